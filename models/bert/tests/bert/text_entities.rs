//! Entities against transformers' token-classification pipeline, whose results are in `fixtures/entity_cases.json`.

use crate::text_folders;
use lockstep_bert::{
    Aggregation, BertConfig, Entity, EntityOptions, Error, Labels, ModelFolder, Tokenizer, extract_entities,
};
use serde_json::{Value, json};
use text_folders::{
    config_with, excerpt, fixture, folder_of, list, tokenizer_in, trained, trained_tokenizer,
};

const STRATEGIES: [Aggregation; 5] =
    [Aggregation::None, Aggregation::Simple, Aggregation::First, Aggregation::Average, Aggregation::Max];

fn options(aggregation: Aggregation) -> EntityOptions {
    EntityOptions { aggregation, ..EntityOptions::default() }
}

#[test]
fn every_strategy_gives_what_transformers_gives() {
    let file = fixture("entity_cases.json");
    let labels = Labels::new(list(&file, "labels"));
    let vocab = list::<String>(&file, "vocab").join("\n");
    let config = config_with(json!({}));
    let wordpiece = folder_of(&[("config.json", &config), ("vocab.txt", &vocab)]);
    let (wordpiece, _) = tokenizer_in(wordpiece.path()).unwrap();
    let wordlevel =
        folder_of(&[("config.json", &config), ("tokenizer.json", &file["wordlevel"].to_string())]);
    let (wordlevel, _) = tokenizer_in(wordlevel.path()).unwrap();

    let mut found = 0;
    for case in file["cases"].as_array().unwrap() {
        let tokenizer = if case["tokenizer"] == "wordpiece" { &wordpiece } else { &wordlevel };
        let text = case["text"].as_str().unwrap();
        let encoding = tokenizer.encode(text, None).unwrap();
        let logits: Vec<f64> = list::<Vec<f64>>(case, "logits").concat();
        for aggregation in STRATEGIES {
            let entities =
                extract_entities(&logits, text, &encoding, tokenizer, &labels, &options(aggregation))
                    .unwrap();
            let expected = case["expected"][aggregation.to_string()].as_array().unwrap();
            assert_eq!(entities.len(), expected.len(), "{aggregation} of {text:?}: {entities:#?}");
            for (entity, expected) in entities.iter().zip(expected) {
                assert_entity(entity, expected, text);
            }
            found += entities.len();
        }
    }
    assert!(found > 1000, "{found}");
}

fn assert_entity(entity: &Entity, expected: &Value, text: &str) {
    assert_eq!(entity.label, expected["label"], "{entity:?}");
    assert_eq!(entity.word, expected["word"], "{entity:?}");
    assert_eq!(json!([entity.start, entity.end]), json!([expected["start"], expected["end"]]), "{entity:?}");
    assert_eq!(entity.index.map_or(Value::Null, Value::from), expected["index"], "{entity:?}");
    // Both are f64; they differ in the order of sums of a few terms.
    let score = expected["score"].as_f64().unwrap();
    assert!((entity.score - score).abs() <= 1e-14, "{entity:?} against {score}");
    assert_eq!(entity.text, slice(text, entity.start, entity.end), "{entity:?}");
}

fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

/// Logits that are certain of PyTorch's tags must give back the fields that the generator wrote, but for the fields that
/// the model gets wrong: its F1 on the test set is 95 %.
#[test]
fn pytorchs_tags_become_the_generators_fields() {
    let (tokenizer, config) = trained_tokenizer();
    let (mut right, mut written, mut extracted) = (0, 0, 0);
    for document in excerpt() {
        let text = document["text"].as_str().unwrap();
        let encoding = tokenizer.encode(text, Some(128)).unwrap();
        let tags = list::<String>(&document, "predicted_tags");
        assert_eq!(tags.len() + 2, encoding.len());
        let mut logits = vec![0f32; encoding.len() * config.labels.len()];
        for (token, tag) in tags.iter().enumerate() {
            logits[(token + 1) * config.labels.len() + config.labels.index_of(tag).unwrap()] = 30.0;
        }
        let entities = extract_entities(
            &logits,
            text,
            &encoding,
            &tokenizer,
            &config.labels,
            &options(Aggregation::Simple),
        )
        .unwrap();
        let fields = document["entities"].as_array().unwrap();
        let is_written = |entity: &&Entity| {
            fields.contains(
                &json!({"type": entity.label, "start": entity.start, "end": entity.end, "text": entity.text}),
            )
        };
        right += entities.iter().filter(is_written).count();
        written += fields.len();
        extracted += entities.len();
        assert!(entities.iter().all(|entity| entity.score > 0.999));
    }
    let f1 = 2.0 * right as f64 / (written + extracted) as f64;
    assert!(f1 > 0.9, "{right} right of {written} written, {extracted} extracted");
}

#[test]
fn an_entitys_text_is_always_the_original_slice() {
    let (tokenizer, config) = trained_tokenizer();
    let texts = ["Café 北京\u{301}😀ABC, x\u{0}y ﬁn", "  \u{3000}中 [SEP] É", "İİİ 123.45元", "👨‍👩‍👧家庭", ""];
    let documents = excerpt();
    let texts = texts.into_iter().chain(documents.iter().map(|document| document["text"].as_str().unwrap()));
    let mut random = Random(7);
    for text in texts {
        for limit in [8, 512] {
            let encoding = tokenizer.encode(text, Some(limit)).unwrap();
            let logits: Vec<f32> = (0..encoding.len() * config.labels.len())
                .map(|_| random.below(1000) as f32 / 100.0)
                .collect();
            for aggregation in STRATEGIES {
                let entities = extract_entities(
                    &logits,
                    text,
                    &encoding,
                    &tokenizer,
                    &config.labels,
                    &options(aggregation),
                )
                .unwrap();
                for entity in entities {
                    assert_eq!(entity.text, slice(text, entity.start, entity.end), "seed 7: {entity:?}");
                    assert!(entity.score > 0.0 && entity.score <= 1.0 && entity.label != "O", "{entity:?}");
                }
            }
        }
    }
}

#[test]
fn ignored_labels_are_the_callers_choice() {
    let (tokenizer, config) = trained_tokenizer();
    let encoding = tokenizer.encode("中文", None).unwrap();
    let mut logits = vec![0f32; 4 * 19];
    logits[19] = 5.0; // 中: O
    logits[2 * 19 + 1] = 5.0; // 文: B-PER
    let labels_kept = |ignore_labels: &[&str], aggregation| {
        let ignore_labels = ignore_labels.iter().map(|label| label.to_string()).collect();
        let options = EntityOptions { aggregation, ignore_labels };
        let entities =
            extract_entities(&logits, "中文", &encoding, &tokenizer, &config.labels, &options).unwrap();
        entities.into_iter().map(|entity| entity.label).collect::<Vec<_>>()
    };
    assert_eq!(labels_kept(&["O"], Aggregation::None), ["B-PER"]);
    assert_eq!(labels_kept(&[], Aggregation::None), ["O", "B-PER"]);
    assert_eq!(labels_kept(&[], Aggregation::Simple), ["O", "PER"]);
    assert_eq!(labels_kept(&["O", "PER"], Aggregation::Simple), [""; 0]);
}

#[test]
fn logits_that_fit_no_text_are_refused() {
    let (tokenizer, config) = trained_tokenizer();
    let labels = &config.labels;
    let encoding = tokenizer.encode("中文", None).unwrap();
    let extract = |logits: &[f32], text| {
        extract_entities(logits, text, &encoding, &tokenizer, labels, &EntityOptions::default())
    };
    assert!(extract(&[0.0; 4 * 19], "中文").is_ok());
    assert!(matches!(extract(&[0.0; 3 * 19], "中文"), Err(Error::LogitsLength { rows: 4, labels: 19, .. })));
    assert!(matches!(extract(&[], "中文"), Err(Error::LogitsLength { found: 0, .. })));
    let mut overflowed = [0.0; 4 * 19];
    overflowed[2 * 19 + 3] = f32::NAN;
    assert!(
        matches!(extract(&overflowed, "中文"), Err(Error::NotFinite { row: 2, label, .. }) if label == "B-ORG")
    );
    let error = extract(&[0.0; 4 * 19], "中").unwrap_err();
    assert!(
        matches!(error, Error::OffsetsOutsideText { token: 2, start: 1, end: 2, characters: 1 }),
        "{error}"
    );

    let pair = tokenizer.encode(("中", "文"), None).unwrap();
    let options = EntityOptions::default();
    let error = extract_entities(&[0f32; 5 * 19], "中", &pair, &tokenizer, labels, &options).unwrap_err();
    assert!(matches!(error, Error::EntitiesOfPair));
    let error =
        extract_entities::<f32>(&[], "中", &encoding, &tokenizer, &Labels::default(), &options).unwrap_err();
    assert!(matches!(error, Error::LogitsLength { .. }));
}

#[test]
fn strategies_are_named_as_in_transformers() {
    for aggregation in STRATEGIES {
        assert_eq!(aggregation.to_string().parse::<Aggregation>().unwrap(), aggregation);
    }
    let error = "mean".parse::<Aggregation>().unwrap_err().to_string();
    assert!(error.contains("mean") && error.contains("average"), "{error}");
}

#[test]
fn half_precision_logits_are_taken_as_they_are() {
    let folder = ModelFolder::open(trained("field-extractor")).unwrap();
    let config = BertConfig::from_file(&folder.config_path()).unwrap();
    let tokenizer = Tokenizer::load(&folder.tokenizer_files().unwrap(), &config).unwrap();
    let encoding = tokenizer.encode("李娜", None).unwrap();
    let mut logits = vec![half::f16::ZERO; 4 * 19];
    logits[19 + 1] = half::f16::from_f32(12.0);
    logits[2 * 19 + 2] = half::f16::from_f32(12.0);
    let entities = extract_entities(
        &logits,
        "李娜",
        &encoding,
        &tokenizer,
        &config.labels,
        &options(Aggregation::Simple),
    )
    .unwrap();
    assert_eq!(entities.len(), 1);
    assert_eq!((entities[0].label.as_str(), entities[0].text.as_str()), ("PER", "李娜"));
    let expected = 12f64.exp() / (12f64.exp() + 18.0);
    assert!((entities[0].score - expected).abs() < 1e-15);
}

/// A small linear congruential generator: the tests need variety, not quality.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}
