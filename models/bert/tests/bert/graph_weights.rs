//! Weights that are not the config's: one error that says all of what is wrong, where, and what was expected.

use lockstep_bert::fixtures::{Fixture, FixtureHead, Naming};
use lockstep_bert::{BertModel, Error, LoadOptions, Pooling, WeightProblems};
use lockstep_graph::{DType, HostTensor};
use serde_json::{Value, json};
use std::path::Path;

type Tensors = Vec<(String, HostTensor)>;

/// A folder of `fixture` whose tensors went through `change`.
fn changed(fixture: &Fixture, change: impl FnOnce(&mut Tensors)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture.write(folder.path()).unwrap();
    let mut tensors = fixture.tensors();
    change(&mut tensors);
    fixture.write_weights(folder.path(), &tensors).unwrap();
    folder
}

/// A folder of `fixture` whose config says something else.
fn configured(fixture: &Fixture, field: &str, value: Value) -> tempfile::TempDir {
    let folder = changed(fixture, |_| {});
    let mut config = fixture.config();
    config[field] = value;
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn load(folder: &Path) -> Result<BertModel, Error> {
    BertModel::load(folder, LoadOptions::default())
}

fn problems(folder: &Path) -> (WeightProblems, String) {
    match load(folder) {
        Err(error @ Error::Weights { .. }) => {
            let text = error.to_string();
            assert!(text.contains("model.safetensors"), "{text}");
            match error {
                Error::Weights { problems, .. } => (problems, text),
                _ => unreachable!(),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn replace(tensors: &mut Tensors, name: &str, tensor: HostTensor) {
    let slot = tensors.iter_mut().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}"));
    slot.1 = tensor;
}

#[test]
fn all_missing_tensors_are_listed_at_once() {
    for (naming, prefix) in [(Naming::Plain, ""), (Naming::Prefixed, "bert.")] {
        let missing = [
            "embeddings.word_embeddings.weight",
            "encoder.layer.1.output.LayerNorm.bias",
            "pooler.dense.bias",
        ];
        let mut expected: Vec<String> = missing.iter().map(|name| format!("{prefix}{name}")).collect();
        expected.push("classifier.weight".into());
        let fixture = Fixture { naming, ..Fixture::default() };
        let folder = changed(&fixture, |tensors| tensors.retain(|(name, _)| !expected.contains(name)));
        let (problems, text) = problems(folder.path());
        assert_eq!(problems.missing, expected);
        assert_eq!(problems.unfit, [] as [&str; 0]);
        assert!(text.contains("4 tensors are missing"), "{text}");
        assert!(expected.iter().all(|name| text.contains(&format!("`{name}`"))), "{text}");
    }
}

#[test]
fn a_config_with_more_layers_than_the_weights_is_said_to_be_one() {
    let folder = configured(&Fixture::default(), "num_hidden_layers", json!(3));
    let (problems, text) = problems(folder.path());
    assert_eq!(problems.missing.len(), 16);
    assert!(problems.missing.iter().all(|name| name.starts_with("bert.encoder.layer.2.")), "{text}");
    assert!(text.ends_with("num_hidden_layers is 3, the weights have 2 layers"), "{text}");
}

#[test]
fn a_hundred_missing_tensors_do_not_fill_the_screen() {
    let folder = configured(&Fixture::default(), "num_hidden_layers", json!(1000));
    let (problems, text) = problems(folder.path());
    assert_eq!(problems.missing.len(), 998 * 16);
    assert!(text.contains("and 15928 more"), "{text}");
    assert!(text.len() < 5000, "{}", text.len());
}

#[test]
fn a_wrong_shape_names_the_setting_that_it_contradicts() {
    let folder = changed(&Fixture::default(), |tensors| {
        let tensor = HostTensor::zeros(DType::F32, &[48, 24]).unwrap();
        replace(tensors, "bert.encoder.layer.1.intermediate.dense.weight", tensor);
    });
    let (_, text) = problems(folder.path());
    assert!(
        text.ends_with(
            "model.safetensors: bert.encoder.layer.1.intermediate.dense (Linear): weight is [48, 24], expected [48, 32] \
             from config.json's hidden_size; is this folder's model.safetensors of another model?"
        ),
        "{text}"
    );
}

#[test]
fn every_tensor_that_contradicts_the_config_is_listed() {
    let cases = [
        ("intermediate_size", json!(64), 6),
        ("vocab_size", json!(21128), 1),
        ("max_position_embeddings", json!(512), 1),
        ("type_vocab_size", json!(3), 1),
        ("id2label", json!({"0": "no", "1": "yes"}), 2),
        // Every tensor but the biases of the intermediate layers and of the classifier.
        ("hidden_size", json!(64), 41 - 3),
    ];
    for (field, value, count) in cases {
        let folder = configured(&Fixture::default(), field, value);
        let (problems, text) = problems(folder.path());
        assert_eq!(problems.missing, [] as [&str; 0], "{field}");
        assert_eq!(problems.unfit.len(), count, "{field}: {text}");
        for problem in &problems.unfit {
            assert!(problem.ends_with(&format!("from config.json's {field}")), "{problem}");
        }
        assert!(text.len() < 1500, "{text}");
    }
}

#[test]
fn a_weight_of_another_rank_is_refused() {
    let folder = changed(&Fixture::default(), |tensors| {
        replace(tensors, "classifier.weight", HostTensor::zeros(DType::F32, &[96]).unwrap());
    });
    let (_, text) = problems(folder.path());
    let expected =
        "classifier (Linear): weight is [96], expected [3, 32] from config.json's id2label and hidden_size";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_weight_of_integers_is_refused() {
    let folder = changed(&Fixture::default(), |tensors| {
        replace(tensors, "bert.pooler.dense.weight", HostTensor::zeros(DType::I8, &[32, 32]).unwrap());
    });
    let (problems, text) = problems(folder.path());
    assert_eq!(problems.unfit.len(), 1);
    assert!(
        text.contains("bert.pooler.dense (Linear): weight is i8, expected f64, f32, f16 or bf16"),
        "{text}"
    );
}

#[test]
fn weights_of_another_kind_of_model_are_shown_by_example() {
    let tensor = HostTensor::zeros(DType::F32, &[4]).unwrap();
    let folder =
        changed(&Fixture::default(), |tensors| *tensors = vec![("model.norm.weight".into(), tensor)]);
    let (problems, text) = problems(folder.path());
    assert_eq!(problems.missing.len(), 41);
    assert!(text.contains("which holds `model.norm.weight`, of another model?"), "{text}");
}

#[test]
fn unknown_tensors_are_a_warning_and_known_leftovers_are_none() {
    let small = || HostTensor::zeros(DType::I64, &[1, 64]).unwrap();
    let leftovers = ["bert.embeddings.position_ids", "cls.predictions.bias", "cls.seq_relationship.weight"];
    let folder = changed(&Fixture::default(), |tensors| {
        tensors.extend(leftovers.map(|name| (name.to_owned(), small())));
    });
    assert_eq!(load(folder.path()).unwrap().warnings(), [] as [&str; 0]);

    let folder = changed(&Fixture::default(), |tensors| {
        tensors.extend(["qa_outputs.weight", "bert.encoder.adapter"].map(|name| (name.to_owned(), small())));
    });
    let model = load(folder.path()).unwrap();
    let [warning] = model.warnings() else { panic!("{:?}", model.warnings()) };
    assert!(warning.contains("2 tensors are not used"), "{warning}");
    assert!(warning.ends_with("`bert.encoder.adapter`, `qa_outputs.weight`"), "{warning}");
}

#[test]
fn layers_beyond_the_config_are_a_warning() {
    let folder = configured(&Fixture::default(), "num_hidden_layers", json!(1));
    let model = load(folder.path()).unwrap();
    assert!(model.warnings()[0].contains("16 tensors are not used"), "{:?}", model.warnings());
    assert!(model.warnings()[0].contains("`bert.encoder.layer.1.output.dense.weight`"));
}

#[test]
fn the_head_of_another_class_is_left_aside() {
    let classifier = Fixture::default();
    for architecture in ["BertModel", "BertForTokenClassification"] {
        let folder = configured(&classifier, "architectures", json!([architecture]));
        let model = load(folder.path()).unwrap();
        assert_eq!(model.warnings(), [] as [&str; 0], "{architecture}");
    }
    let folder = configured(
        &Fixture { head: FixtureHead::Encoder, ..classifier },
        "architectures",
        json!(["BertForSequenceClassification"]),
    );
    let (problems, _) = problems(folder.path());
    assert_eq!(problems.missing, ["classifier.weight", "classifier.bias"]);
}

#[test]
fn half_a_pooler_is_missing_the_other_half() {
    let fixture = Fixture { head: FixtureHead::Encoder, naming: Naming::Plain, ..Fixture::default() };
    let folder = changed(&fixture, |tensors| tensors.retain(|(name, _)| name != "pooler.dense.weight"));
    assert_eq!(problems(folder.path()).0.missing, ["pooler.dense.weight"]);
    // An embedding needs no pooler.
    let fixture = Fixture { head: FixtureHead::Embedding(Pooling::Mean), ..fixture };
    let folder = changed(&fixture, |tensors| tensors.retain(|(name, _)| name != "pooler.dense.weight"));
    assert_eq!(load(folder.path()).unwrap().warnings(), [] as [&str; 0]);
}

#[test]
fn a_tensor_without_the_prefix_of_the_others_is_found() {
    let folder = changed(&Fixture::default(), |tensors| {
        for (name, _) in tensors.iter_mut().filter(|(name, _)| name.contains("layer.1")) {
            *name = name.trim_start_matches("bert.").to_owned();
        }
    });
    assert_eq!(load(folder.path()).unwrap().warnings(), [] as [&str; 0]);
}

#[test]
fn a_truncated_file_is_named() {
    let folder = changed(&Fixture::default(), |_| {});
    let file = folder.path().join("model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    for len in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..len]).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Tensor(_)), "{len}: {error:?}");
        assert!(error.to_string().contains("model.safetensors"), "{len}: {error}");
    }
}

#[test]
fn a_shard_that_is_not_there_is_named() {
    let fixture = Fixture { shards: 3, ..Fixture::default() };
    let folder = changed(&fixture, |_| {});
    assert!(load(folder.path()).is_ok());
    std::fs::remove_file(folder.path().join("model-00002-of-00003.safetensors")).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("model-00002-of-00003.safetensors"), "{error}");
}

#[test]
fn no_weights_at_all_says_what_was_looked_for() {
    let folder = changed(&Fixture::default(), |_| {});
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(matches!(load(folder.path()), Err(Error::FileMissing { what: "weights", .. })));
}

#[test]
fn options_that_no_model_can_meet_are_refused() {
    let folder = changed(&Fixture::default(), |_| {});
    let with = |options| BertModel::load(folder.path(), options);
    for dtype in [DType::I64, DType::I8, DType::Bool] {
        let error = with(LoadOptions { dtype, ..LoadOptions::default() }).unwrap_err();
        assert!(matches!(error, Error::UnknownName { .. }), "{error:?}");
        assert!(error.to_string().contains("f64, f32, f16, bf16"), "{error}");
    }
    for length in [0, 1, 65, usize::MAX] {
        let error = with(LoadOptions { max_length: Some(length), ..LoadOptions::default() }).unwrap_err();
        assert!(matches!(error, Error::MaxLength { smallest: 2, largest: 64, .. }), "{error:?}");
    }
    for length in [2, 64] {
        assert!(with(LoadOptions { max_length: Some(length), ..LoadOptions::default() }).is_ok());
    }
}
