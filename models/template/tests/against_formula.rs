//! The template on the reference backend against its formula in plain f64, and folders that are wrong.
//!
//! When you clone it: write your family's formula where `logits_by_hand` is, without the graph and its ops, and add a
//! test for each setting and each tensor that you refuse.

use lockstep_graph::tensor::write_safetensors;
use lockstep_graph::{DType, Dim, HostTensor};
use lockstep_model_template::{BagModel, Error};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::{Backend, Packing, RunOptions, Session};
use std::path::Path;

const VOCABULARY: usize = 7;
const WIDTH: usize = 5;
const LABELS: usize = 3;
const SEED: u64 = 20_260_101;

/// Random weights in -1..1; multiples of 2^-23, so that storing them in f32 changes nothing.
struct Values {
    table: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Values {
    fn random(seed: u64) -> Self {
        let mut state = seed;
        // Knuth's 64-bit linear congruential generator; its high bits are good enough for weights.
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 23) - 1.0
        };
        let mut many = |count: usize| (0..count).map(|_| next()).collect();
        Self { table: many(VOCABULARY * WIDTH), weight: many(LABELS * WIDTH), bias: many(LABELS) }
    }

    fn write(&self, folder: &Path) {
        let stored = |shape: &[usize], data: &[f64]| HostTensor::from_f64(DType::F32, shape, data).unwrap();
        let tensors = [
            ("embedding.weight", stored(&[VOCABULARY, WIDTH], &self.table)),
            ("classifier.weight", stored(&[LABELS, WIDTH], &self.weight)),
            ("classifier.bias", stored(&[LABELS], &self.bias)),
        ];
        save(folder, &tensors);
        write_config(folder, VOCABULARY, "");
    }

    /// `mean of the kept rows of the table, times the classifier`, one text.
    fn logits_by_hand(&self, ids: &[i64]) -> Vec<f64> {
        let mean: Vec<f64> = (0..WIDTH)
            .map(|at| {
                ids.iter().map(|&id| self.table[id as usize * WIDTH + at]).sum::<f64>() / ids.len() as f64
            })
            .collect();
        (0..LABELS)
            .map(|label| {
                (0..WIDTH).map(|at| mean[at] * self.weight[label * WIDTH + at]).sum::<f64>()
                    + self.bias[label]
            })
            .collect()
    }
}

fn save(folder: &Path, tensors: &[(&str, HostTensor)]) {
    let tensors = tensors.iter().map(|(name, tensor)| (*name, tensor));
    write_safetensors(&folder.join("model.safetensors"), tensors).unwrap();
}

fn write_config(folder: &Path, vocab_size: usize, more: &str) {
    let config = format!(
        "{{\"vocab_size\": {vocab_size}, \"embedding_size\": {WIDTH}, \"num_labels\": {LABELS}{more}}}"
    );
    std::fs::write(folder.join("config.json"), config).unwrap();
}

fn session(model: &BagModel, packing: Packing) -> Session {
    let device = ReferenceBackend::new().open(0).unwrap();
    Session::builder(model.graph().clone()).device(device).packing(packing).build().unwrap()
}

#[test]
fn the_graph_is_the_formula_packed_or_padded() {
    let folder = tempfile::tempdir().unwrap();
    let values = Values::random(SEED);
    values.write(folder.path());
    let model = BagModel::load(folder.path(), DType::F64).unwrap();

    // Padding takes an id that has a row of its own: the mask, not the id, leaves it out.
    let ids = HostTensor::from_slice(&[2, 4], &[1i64, 6, 6, 3, 2, 0, 5, 5]).unwrap();
    let mask = HostTensor::from_slice(&[2, 4], &[1i64, 1, 1, 1, 1, 1, 0, 0]).unwrap();
    let inputs = [("input_ids", &ids), ("attention_mask", &mask)];
    let expected = [values.logits_by_hand(&[1, 6, 6, 3]), values.logits_by_hand(&[2, 0])].concat();
    for packing in [Packing::Off, Packing::Required] {
        let options = RunOptions::new().taps(&["embeddings", "pooled"]);
        let result = session(&model, packing).run_with(&inputs, &options).unwrap();
        let logits = result.output("logits").unwrap();
        assert_eq!((logits.dtype(), logits.shape()), (DType::F64, &[2, LABELS][..]));
        for (at, (found, expected)) in logits.to_f64().iter().zip(&expected).enumerate() {
            let error = (found - expected).abs();
            assert!(error < 1e-14, "seed {SEED}, {packing:?}, logit {at}: {found} is not {expected}");
        }
        assert_eq!(result.tap("embeddings").unwrap().to_f64()[..WIDTH], values.table[WIDTH..2 * WIDTH]);
        assert_eq!(result.tap("pooled").unwrap().shape(), [2, WIDTH]);
    }
}

#[test]
fn shapes_are_inferred_for_any_batch_and_length() {
    let folder = tempfile::tempdir().unwrap();
    Values::random(SEED).write(folder.path());
    for dtype in [DType::F32, DType::F64] {
        let model = BagModel::load(folder.path(), dtype).unwrap();
        let graph = model.graph();
        let (name, logits) = &graph.outputs()[0];
        assert_eq!((name.as_str(), graph.outputs().len()), ("logits", 1));
        let ty = &graph.value(*logits).ty;
        assert_eq!((ty.dtype, ty.shape.as_slice()), (dtype, &[Dim::symbol("batch"), Dim::from(LABELS)][..]));
        let checkpoints: Vec<&str> = graph.checkpoints().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(checkpoints, ["embeddings", "pooled"]);
    }
}

#[test]
fn an_id_outside_the_table_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    Values::random(SEED).write(folder.path());
    let model = BagModel::load(folder.path(), DType::F64).unwrap();
    let ids = HostTensor::from_slice(&[1, 1], &[VOCABULARY as i64]).unwrap();
    let mask = HostTensor::from_slice(&[1, 1], &[1i64]).unwrap();
    assert!(session(&model, Packing::Off).run(&[("input_ids", &ids), ("attention_mask", &mask)]).is_err());
}

#[test]
fn every_wrong_tensor_is_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = |shape: &[usize]| HostTensor::zeros(DType::F32, shape).unwrap();
    let flags = HostTensor::zeros(DType::I64, &[LABELS]).unwrap();
    save(folder.path(), &[("embedding.weight", tensor(&[VOCABULARY, 2])), ("classifier.bias", flags)]);
    write_config(folder.path(), VOCABULARY, "");
    let Err(Error::Weights { problems, .. }) = BagModel::load(folder.path(), DType::F32) else {
        panic!("the folder was not refused");
    };
    assert_eq!(
        problems,
        [
            "`embedding.weight` is f32[7, 2], expected floats [7, 5]",
            "`classifier.weight` [3, 5] is missing",
            "`classifier.bias` is i64[3], expected floats [3]",
        ]
    );
}

#[test]
fn a_config_that_is_not_honoured_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Values::random(SEED).write(folder.path());
    let refusal = || match BagModel::load(folder.path(), DType::F32) {
        Err(Error::Config { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    };
    write_config(folder.path(), VOCABULARY, ", \"pooling\": \"max\"");
    assert_eq!(refusal(), "pooling is \"max\", only \"mean\" is supported");
    write_config(folder.path(), 0, "");
    assert!(refusal().starts_with("vocab_size is 0"));
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(refusal().contains("vocab_size"));
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(matches!(BagModel::load(folder.path(), DType::F32), Err(Error::Read { .. })));
}
