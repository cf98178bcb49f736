//! Every kind of folder loads, and how a model is stored does not change what it is.

use lockstep_bert::fixtures::{Fixture, FixtureHead, Naming, vocabulary};
use lockstep_bert::{BertModel, Error, LoadOptions, Pooling};
use lockstep_graph::{DType, Op, Origin};
use std::path::Path;

fn written(fixture: &Fixture) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture.write(folder.path()).unwrap();
    folder
}

fn load(folder: &Path, dtype: DType) -> BertModel {
    BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap()
}

fn outputs(model: &BertModel) -> Vec<String> {
    let graph = model.graph();
    graph.outputs().iter().map(|(name, id)| format!("{name}: {}", graph.value(*id).ty)).collect()
}

/// Nodes with their inputs, and the weights' bytes: all of a graph but the names of its weights.
fn content(model: &BertModel) -> (Vec<String>, Vec<Vec<u8>>) {
    let nodes = model.graph().nodes().iter().map(|node| format!("{node:?}")).collect();
    let weights = model.graph().values().filter_map(|(_, value)| match &value.origin {
        Origin::Constant(constant) => Some(constant.tensor().bytes().to_vec()),
        _ => None,
    });
    (nodes, weights.collect())
}

#[test]
fn prefix_old_names_and_shards_hold_the_same_model() {
    for head in
        [FixtureHead::SequenceClassification(5), FixtureHead::TokenClassification(1), FixtureHead::Encoder]
    {
        let plain = Fixture { head, naming: Naming::Plain, ..Fixture::default() };
        let expected = content(&load(written(&plain).path(), DType::F32));
        assert!(!expected.1.is_empty());
        for (naming, shards) in [
            (Naming::Plain, 3),
            (Naming::Prefixed, 1),
            (Naming::Prefixed, 2),
            (Naming::Old, 1),
            (Naming::Old, 40),
        ] {
            let folder = written(&Fixture { naming, shards, ..plain.clone() });
            let model = load(folder.path(), DType::F32);
            assert_eq!(content(&model), expected, "{head:?}, {naming:?}, {shards} shards");
            assert_eq!(model.warnings(), [] as [&str; 0], "{head:?}, {naming:?}, {shards} shards");
        }
    }
}

#[test]
fn another_seed_is_another_model() {
    let [first, second] = [1, 2]
        .map(|seed| content(&load(written(&Fixture { seed, ..Fixture::default() }).path(), DType::F32)));
    assert_eq!(first.0, second.0);
    assert!(first.1.iter().zip(&second.1).all(|(a, b)| a != b));
}

#[test]
fn each_head_has_its_outputs() {
    let hidden = "last_hidden_state: f32[batch, seq, 32]";
    let embedding = "embedding: f32[batch, 32]";
    let cases: Vec<(FixtureHead, Vec<&str>)> = vec![
        (FixtureHead::SequenceClassification(1), vec!["logits: f32[batch, 1]"]),
        (FixtureHead::SequenceClassification(7), vec!["logits: f32[batch, 7]"]),
        (FixtureHead::TokenClassification(4), vec!["logits: f32[batch, seq, 4]"]),
        (FixtureHead::Encoder, vec![hidden, "pooler_output: f32[batch, 32]"]),
        (FixtureHead::EncoderWithoutPooler, vec![hidden]),
        (FixtureHead::Embedding(Pooling::Cls), vec![embedding]),
        (FixtureHead::Embedding(Pooling::Mean), vec![embedding]),
        (FixtureHead::Embedding(Pooling::Max), vec![embedding]),
        (FixtureHead::NormalizedEmbedding(Pooling::Mean), vec![embedding]),
    ];
    for (head, expected) in cases {
        let folder = written(&Fixture { head, ..Fixture::default() });
        let model = load(folder.path(), DType::F32);
        assert_eq!(outputs(&model), expected, "{head:?}");
        assert_eq!(model.warnings(), [] as [&str; 0], "{head:?}");
        let graph = model.graph();
        for (name, id) in graph.outputs() {
            assert!(graph.checkpoints().contains(&(name.clone(), *id)), "{head:?}: {name} is no checkpoint");
        }
    }
}

#[test]
fn pooling_reads_the_mask_except_for_the_first_token() {
    for pooling in [Pooling::Cls, Pooling::Mean, Pooling::Max] {
        let folder = written(&Fixture { head: FixtureHead::Embedding(pooling), ..Fixture::default() });
        let model = load(folder.path(), DType::F32);
        let graph = model.graph();
        let pools: Vec<_> = graph.nodes().iter().filter(|node| matches!(node.op, Op::Pool { .. })).collect();
        match (pooling, pools.as_slice()) {
            (Pooling::Cls, []) => {}
            (Pooling::Mean | Pooling::Max, [pool]) => {
                let expected = if pooling == Pooling::Mean { "PoolMean" } else { "PoolMax" };
                assert_eq!(pool.op.name(), expected);
                assert_eq!(graph.value(pool.inputs[1]).name, "attention_mask.kept");
            }
            _ => panic!("{pooling:?}: {pools:?}"),
        }
    }
}

/// The squares of a vector leave f16's range long before the vector does.
#[test]
fn the_norm_is_taken_in_f32_at_least() {
    for (compute, norm) in [(DType::F16, DType::F32), (DType::Bf16, DType::F32), (DType::F64, DType::F64)] {
        let head = FixtureHead::NormalizedEmbedding(Pooling::Mean);
        let model = load(written(&Fixture { head, ..Fixture::default() }).path(), compute);
        let graph = model.graph();
        let node = graph.nodes().iter().find(|node| node.name == "embedding.norm").unwrap();
        assert_eq!(graph.value(node.outputs[0]).ty.dtype, norm);
        assert_eq!(outputs(&model), [format!("embedding: {norm}[batch, 32]")]);
    }
}

#[test]
fn other_sizes_and_activations_load_in_every_dtype() {
    let sizes = [(8, 1, 1, 8), (24, 3, 1, 100), (32, 8, 3, 17), (40, 5, 2, 160)];
    for (hidden_size, num_attention_heads, num_hidden_layers, intermediate_size) in sizes {
        for stored in [DType::F64, DType::F32, DType::F16, DType::Bf16] {
            let fixture = Fixture {
                hidden_size,
                num_attention_heads,
                num_hidden_layers,
                intermediate_size,
                dtype: stored,
                hidden_act: "gelu_new",
                type_vocab_size: 1,
                max_position_embeddings: 9,
                ..Fixture::default()
            };
            let folder = written(&fixture);
            for compute in [DType::F64, DType::F32, DType::F16, DType::Bf16] {
                let model = load(folder.path(), compute);
                let ops =
                    |name: &str| model.graph().nodes().iter().filter(|node| node.op.name() == name).count();
                assert_eq!(ops("GeluTanh"), num_hidden_layers);
                assert_eq!(ops("Linear"), 6 * num_hidden_layers + 2);
                let logits = if compute == DType::F64 { DType::F64 } else { DType::F32 };
                assert_eq!(outputs(&model), [format!("logits: {logits}[batch, 3]")], "{fixture:?}");
            }
        }
    }
}

#[test]
fn the_values_of_a_fixture_are_those_of_a_sane_model() {
    for (name, tensor) in Fixture::default().tensors() {
        let values = tensor.to_f64();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let largest = values.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.0 && largest < 2.0, "{name}: {largest}");
        let expected = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        assert!((mean - expected).abs() < 0.2, "{name}: {mean}");
    }
}

#[test]
fn a_folder_of_transformers_beside_modules_loads() {
    let fixture = Fixture { head: FixtureHead::Embedding(Pooling::Mean), ..Fixture::default() };
    let folder = written(&fixture);
    let inner = folder.path().join("0_Transformer");
    std::fs::create_dir(&inner).unwrap();
    for file in ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"] {
        std::fs::rename(folder.path().join(file), inner.join(file)).unwrap();
    }
    let modules = std::fs::read_to_string(folder.path().join("modules.json")).unwrap();
    assert_eq!(modules.matches(r#""path": """#).count(), 1);
    let modules = modules.replace(r#""path": """#, r#""path": "0_Transformer""#);
    std::fs::write(folder.path().join("modules.json"), modules).unwrap();
    let model = load(folder.path(), DType::F32);
    assert_eq!(model.path(), folder.path());
    assert_eq!(model.encode("abc").unwrap().len(), 5, "a, ##b, ##c and two special tokens");
}

#[test]
fn the_vocabulary_covers_ascii_and_the_length_is_kept() {
    let folder = written(&Fixture::default());
    let options = LoadOptions { max_length: Some(6), ..LoadOptions::default() };
    let model = BertModel::load(folder.path(), options).unwrap();
    let encoding = model.encode("Abc, 12 月均收入").unwrap();
    assert_eq!(encoding.len(), 6);
    assert_eq!(encoding.truncated.unwrap().tokens, 2 + 3 + 1 + 2 + 4);
    let unknown = model.tokenizer().unwrap().unknown_id().unwrap();
    assert!(!encoding.ids.contains(&unknown));
    assert_eq!(model.config().vocab_size, vocabulary().len());
}

#[test]
fn a_default_prompt_is_put_before_the_text() {
    let folder = written(&Fixture { head: FixtureHead::Embedding(Pooling::Mean), ..Fixture::default() });
    let bare = load(folder.path(), DType::F32).encode("q: abc").unwrap();
    let settings = r#"{"prompts": {"query": "q: "}, "default_prompt_name": "query"}"#;
    std::fs::write(folder.path().join("config_sentence_transformers.json"), settings).unwrap();
    let model = load(folder.path(), DType::F32);
    assert_eq!(model.encode("abc").unwrap(), bare);
    let pair = model.encode(("abc", "de")).unwrap();
    assert_eq!(pair.ids[..bare.ids.len()], bare.ids);
    assert!(pair.len() > bare.len());
}

#[test]
fn a_folder_without_a_tokenizer_can_be_inspected() {
    let folder = written(&Fixture::default());
    std::fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    let model = load(folder.path(), DType::F32);
    assert!(model.parameter_count() > 0);
    assert!(matches!(model.tokenizer(), Err(Error::FileMissing { what: "tokenizer", .. })));
}
