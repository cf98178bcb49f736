//! Texts to answers on the reference backend: against PyTorch's recorded ones, and against itself in other batches.

use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_bert::{
    Aggregation, Answer, EmbeddingSource, Error, Pooling, Prediction, Text, TextModel, TextOptions,
};
use lockstep_graph::DType;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::Backend;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn open(folder: &Path, options: TextOptions) -> Result<TextModel, Error> {
    TextModel::open(folder, ReferenceBackend::new().open(0).unwrap(), options)
}

fn model_of(fixture: &Fixture) -> TextModel {
    let folder = tempfile::tempdir().unwrap();
    fixture.write(folder.path()).unwrap();
    // The weights are mapped by now, so that the folder may go.
    open(folder.path(), TextOptions::default()).unwrap()
}

fn with_head(head: FixtureHead) -> TextModel {
    model_of(&Fixture { head, ..Fixture::default() })
}

fn trained(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert-small").join(name)
}

/// The shortest documents of the excerpt, with what PyTorch predicted of them.
fn documents(count: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(trained("excerpt").join("documents.jsonl")).unwrap();
    let mut all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    all.sort_by_key(|document| document["input_ids"].as_array().unwrap().len());
    all.truncate(count);
    assert_eq!(all.len(), count);
    all
}

fn text_of(document: &Value) -> Text<'_> {
    document["text"].as_str().unwrap().into()
}

fn label(prediction: &Prediction) -> &str {
    match &prediction.answer {
        Answer::Class(scores) => &scores.best().label,
        other => panic!("{other:?}"),
    }
}

fn vector(prediction: &Prediction) -> &[f64] {
    match &prediction.answer {
        Answer::Embedding(embedding) => &embedding.values,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_trained_classifier_says_what_pytorch_said() {
    let model = open(&trained("document-classifier"), TextOptions::default()).unwrap();
    let documents = documents(3);
    let predictions = model.predict(&documents.iter().map(text_of).collect::<Vec<_>>()).unwrap();
    for (document, prediction) in documents.iter().zip(&predictions) {
        assert_eq!(label(prediction), document["predicted_label"], "{}", document["text"]);
        assert_eq!(prediction.tokens, document["input_ids"].as_array().unwrap().len());
        assert_eq!(prediction.truncated, None);
    }
}

#[test]
fn the_trained_extractor_tags_what_pytorch_tagged() {
    let options = TextOptions {
        entities: lockstep_bert::EntityOptions { aggregation: Aggregation::None, ignore_labels: Vec::new() },
        ..TextOptions::default()
    };
    let model = open(&trained("field-extractor"), options).unwrap();
    let documents = documents(2);
    let predictions = model.predict(&documents.iter().map(text_of).collect::<Vec<_>>()).unwrap();
    for (document, prediction) in documents.iter().zip(&predictions) {
        let Answer::Entities(tokens) = &prediction.answer else { panic!("{prediction:?}") };
        let tags: Vec<&str> = tokens.iter().map(|token| token.label.as_str()).collect();
        assert_eq!(Value::from(tags), document["predicted_tags"], "{}", document["text"]);
    }
}

#[test]
fn a_text_s_answer_does_not_depend_on_its_batch() {
    let texts = ["他 在 中国", "of 12 people, 7 are in the union; and then some 中", "a"].map(Text::from);
    for head in [
        FixtureHead::SequenceClassification(3),
        FixtureHead::TokenClassification(4),
        FixtureHead::Encoder,
        FixtureHead::EncoderWithoutPooler,
        FixtureHead::Embedding(Pooling::Mean),
        FixtureHead::Embedding(Pooling::Cls),
        FixtureHead::NormalizedEmbedding(Pooling::Max),
    ] {
        let model = with_head(head);
        let together = model.predict(&texts).unwrap();
        let alone: Vec<_> = texts.iter().flat_map(|&text| model.predict(&[text]).unwrap()).collect();
        assert_eq!(together, alone, "{head:?}");
    }
}

#[test]
fn an_embedding_says_where_it_is_from() {
    let cases = [
        (FixtureHead::Encoder, EmbeddingSource::MeanOfHiddenState),
        (
            FixtureHead::NormalizedEmbedding(Pooling::Max),
            EmbeddingSource::Pooled { pooling: Pooling::Max, normalized: true },
        ),
    ];
    for (head, expected) in cases {
        let predictions = with_head(head).predict(&["union".into()]).unwrap();
        let Answer::Embedding(embedding) = &predictions[0].answer else { panic!("{predictions:?}") };
        assert_eq!((embedding.size(), embedding.source), (32, expected));
        if expected != EmbeddingSource::MeanOfHiddenState {
            assert!((embedding.norm() - 1.0).abs() < 1e-12, "{}", embedding.norm());
        }
    }
}

/// A bare encoder's vector and the graph's own mean pooling are two ways to one number.
#[test]
fn a_bare_encoder_s_vector_is_what_mean_pooling_gives() {
    let texts = ["union".into(), "a longer text of some words".into()];
    let bare = with_head(FixtureHead::EncoderWithoutPooler).predict(&texts).unwrap();
    let pooled = with_head(FixtureHead::Embedding(Pooling::Mean)).predict(&texts).unwrap();
    for (bare, pooled) in bare.iter().zip(&pooled) {
        for (a, b) in vector(bare).iter().zip(vector(pooled)) {
            assert!((a - b).abs() < 1e-12, "{a} and {b}");
        }
    }
}

#[test]
fn the_second_text_of_a_pair_counts() {
    let model = with_head(FixtureHead::SequenceClassification(3));
    let predictions = model.predict(&[("a", "b").into(), ("a", "c").into(), "a b".into()]).unwrap();
    assert_eq!(predictions.iter().map(|p| p.tokens).collect::<Vec<_>>(), [5, 5, 4]);
    assert_ne!(predictions[0].answer, predictions[1].answer);
    assert_ne!(predictions[0].answer, predictions[2].answer);
}

#[test]
fn each_token_of_a_pair_knows_its_text() {
    let model = with_head(FixtureHead::SequenceClassification(3));
    for limit in [64, 7] {
        let encoded = model.model().tokenizer().unwrap().encode(("a b", "c d e"), Some(limit)).unwrap();
        let expected = match limit {
            7 => vec![None, Some(0), Some(0), None, Some(1), Some(1), None],
            _ => vec![None, Some(0), Some(0), None, Some(1), Some(1), Some(1), None],
        };
        assert_eq!(encoded.sequence_ids, expected, "at most {limit} tokens");
    }
}

#[test]
fn no_texts_give_no_predictions() {
    assert_eq!(with_head(FixtureHead::Encoder).predict(&[]).unwrap(), []);
}

#[test]
fn a_text_without_tokens_is_refused_by_its_place() {
    let model = with_head(FixtureHead::SequenceClassification(3));
    for empty in ["", "  \n\t", "\u{0}\u{1}"] {
        let error = model.predict(&["a".into(), empty.into()]).unwrap_err();
        assert!(
            matches!(&error, Error::Text { number: 2, source } if matches!(**source, Error::EmptyText { .. })),
            "{error}"
        );
        assert!(error.to_string().starts_with("text 2: the text is empty"), "{error}");
    }
    let error = model.predict(&[("a", " ").into()]).unwrap_err();
    assert!(error.to_string().contains("the second text of the pair is empty"), "{error}");
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let model = with_head(FixtureHead::SequenceClassification(3));
    let prediction = model.predict(&["a ".repeat(1000).as_str().into()]).unwrap().remove(0);
    let truncation = prediction.truncated.unwrap();
    assert_eq!((prediction.tokens, truncation.tokens, truncation.limit), (64, 1002, 64));
}

#[test]
fn entities_are_not_extracted_from_pairs() {
    let model = with_head(FixtureHead::TokenClassification(3));
    assert!(matches!(model.encode(("a", "b")), Err(Error::EntitiesOfPair)));
}

#[test]
fn a_dtype_the_device_lacks_is_refused_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    Fixture::default().write(folder.path()).unwrap();
    let error =
        open(folder.path(), TextOptions { dtype: Some(DType::Bf16), ..TextOptions::default() }).unwrap_err();
    assert_eq!(error.to_string(), "reference:0 does not compute in bf16; it has f64");
}

#[test]
fn a_padding_id_outside_the_table_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Fixture::default();
    fixture.write(folder.path()).unwrap();
    let expected =
        open(folder.path(), TextOptions::default()).unwrap().predict(&["a".into(), "a b c".into()]).unwrap();
    let mut config = fixture.config();
    config["pad_token_id"] = 1_000_000.into();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let model = open(folder.path(), TextOptions::default()).unwrap();
    assert_eq!(model.predict(&["a".into(), "a b c".into()]).unwrap(), expected);
}

#[test]
fn one_model_serves_several_threads() {
    fn shareable<T: Send + Sync>(value: T) -> T {
        value
    }
    let model = &shareable(with_head(FixtureHead::SequenceClassification(3)));
    let texts = ["a", "b c", "d e f", "的 一"].map(Text::from);
    let expected: Vec<_> = texts.iter().flat_map(|&text| model.predict(&[text]).unwrap()).collect();
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads = texts.map(|text| scope.spawn(move || model.predict(&[text]).unwrap()));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(found, expected);
}
