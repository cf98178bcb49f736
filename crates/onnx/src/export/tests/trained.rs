//! The models of the repository, and small random ones with every head.

use super::{operators, ports, read};
use crate::export;
use crate::messages::GraphProto;
use crate::tensor::from_message;
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_bert::{BertModel, LoadOptions, Pooling};
use lockstep_graph::tensor::TensorSource;
use lockstep_graph::{DType, HostTensor};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn bert_small(task: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small").join(task)
}

fn load(folder: &Path, dtype: DType) -> BertModel {
    BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap()
}

#[test]
fn both_trained_models_are_standard_operators_with_symbolic_extents() {
    for (task, logits) in
        [("document-classifier", "logits f32[batch, 12]"), ("field-extractor", "logits f32[batch, seq, 19]")]
    {
        for dtype in [DType::F32, DType::F16] {
            let model = load(&bert_small(task), dtype);
            let exported = export(model.graph(), &[]).unwrap();
            let graph = read(&exported);
            let ids = ["input_ids", "token_type_ids", "attention_mask"]
                .map(|name| format!("{name} i64[batch, seq]"));
            assert_eq!(ports(exported.inputs()), ids);
            assert_eq!(ports(exported.outputs()), [logits]);
            let dim = |at: usize| {
                let ty = graph.input[0].ty.clone().unwrap().tensor_type.unwrap();
                ty.shape.unwrap().dim[at].dim_param.clone()
            };
            assert_eq!([dim(0), dim(1)], ["batch", "seq"].map(|name| Some(name.to_owned())));
            let written = operators(&graph);
            let count = |op: &str| written.iter().filter(|written| **written == op).count();
            // Of four layers: six products with weights and two of attention, and the head's.
            assert_eq!(count("MatMul"), 4 * 8 + if task == "document-classifier" { 2 } else { 1 });
            assert_eq!((count("Softmax"), count("Erf"), count("Sqrt")), (4, 4, 9));
            // One mask for all layers, and one shape for the positions.
            assert_eq!((count("Where"), count("Shape"), count("Concat")), (1, 1, 0));
        }
    }
}

/// Every weight of the folder that the model reads, by name, as bits: stored ones widened, matrices of products turned.
fn holds_weights(graph: &GraphProto, folder: &Path) {
    let source = TensorSource::open(&folder.join("model.safetensors")).unwrap();
    let mut held = BTreeSet::new();
    for message in &graph.initializer {
        if !source.names().any(|name| name == message.name) {
            continue;
        }
        let stored = source.tensor(&message.name).unwrap();
        let found = from_message(message).unwrap();
        let is_product = message.name.ends_with(".weight")
            && stored.shape().len() == 2
            && !message.name.contains("embeddings.");
        let expected = stored.cast(found.dtype()).unwrap();
        let expected = if is_product { turned(&expected) } else { expected };
        assert_eq!(found.shape(), expected.shape(), "{}", message.name);
        assert!(found.bytes() == expected.bytes(), "{} has other bits", message.name);
        held.insert(message.name.clone());
    }
    // Embeddings 3 + 2, a layer 6 * 2 + 2 * 2, a pooler and a classifier.
    assert_eq!(held.len(), 5 + 4 * 16 + 4, "{held:?}");
}

fn turned(matrix: &HostTensor) -> HostTensor {
    let &[rows, columns] = matrix.shape() else { panic!("no matrix") };
    let values = matrix.to_f64();
    let turned: Vec<f64> = (0..columns)
        .flat_map(|column| (0..rows).map(move |row| row * columns + column))
        .map(|at| values[at])
        .collect();
    HostTensor::from_f64(matrix.dtype(), &[columns, rows], &turned).unwrap()
}

#[test]
fn initializers_hold_the_weights_bits() {
    let folder = bert_small("document-classifier");
    for dtype in [DType::F32, DType::F16] {
        holds_weights(&read(&export(load(&folder, dtype).graph(), &[]).unwrap()), &folder);
    }
}

#[test]
fn every_checkpoint_can_be_an_output_under_its_name() {
    let model = load(&bert_small("document-classifier"), DType::F32);
    let names: Vec<&str> = model.graph().checkpoints().iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"encoder.2.attention.output"));
    let exported = export(model.graph(), &names).unwrap();
    read(&exported);
    for (checkpoint, output) in exported.checkpoints() {
        assert_eq!(checkpoint, output);
    }
    assert_eq!(exported.checkpoints().len(), names.len());
    // The logits are an output already.
    assert_eq!(exported.outputs().len(), names.len());
    let ty = |name: &str| exported.outputs().iter().find(|port| port.name == name).unwrap().ty.to_string();
    assert_eq!(ty("encoder.2.attention.output"), "f32[batch, seq, 512]");
    assert_eq!(ty("pooler"), "f32[batch, 512]");
}

#[test]
fn every_head_and_activation_is_exported() {
    let heads = [
        FixtureHead::Encoder,
        FixtureHead::EncoderWithoutPooler,
        FixtureHead::SequenceClassification(3),
        FixtureHead::TokenClassification(3),
        FixtureHead::Embedding(Pooling::Mean),
        FixtureHead::NormalizedEmbedding(Pooling::Max),
        FixtureHead::Embedding(Pooling::Cls),
    ];
    for head in heads {
        for hidden_act in ["gelu", "gelu_new"] {
            let folder = tempfile::tempdir().unwrap();
            Fixture { head, hidden_act, ..Fixture::default() }.write(folder.path()).unwrap();
            for dtype in [DType::F32, DType::F16] {
                let model = load(folder.path(), dtype);
                let names: Vec<&str> =
                    model.graph().checkpoints().iter().map(|(name, _)| name.as_str()).collect();
                read(&export(model.graph(), &names).unwrap());
            }
        }
    }
}
