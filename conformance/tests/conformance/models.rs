//! Model folders, devices and inputs that the tests of this crate share.

use lockstep_bert::{BertModel, LoadOptions};
use lockstep_candle::CandleBackend;
use lockstep_cpu::CpuBackend;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Packing, RunOptions, RunResult, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) fn bert_small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bert-small").join(name)
}

pub(crate) fn reference() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).expect("the reference is always there")
}

pub(crate) fn candle() -> Arc<dyn Device> {
    CandleBackend::new().open(0).expect("candle's CPU is always there")
}

pub(crate) fn cpu() -> Arc<dyn Device> {
    CpuBackend::default().open(0).expect("the processor is always there")
}

pub(crate) fn cpu_with(threads: usize, isa: lockstep_cpu::Isa) -> Arc<dyn Device> {
    CpuBackend::builder()
        .threads(threads)
        .isa(isa)
        .build()
        .expect("a backend")
        .open(0)
        .expect("the processor")
}

pub(crate) fn load(folder: &Path, dtype: DType) -> BertModel {
    BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() }).expect("the folder loads")
}

pub(crate) fn session(model: &BertModel, device: Arc<dyn Device>, packing: Packing) -> Session {
    Session::builder(model.graph().clone())
        .device(device)
        .packing(packing)
        .build()
        .expect("the device runs BERT")
}

/// How a device can run BERT. The reference has no fused attention to hand sequence ends to, so it always pads.
pub(crate) fn packings(device: &Arc<dyn Device>) -> &'static [Packing] {
    if device.info().id.starts_with("reference") {
        &[Packing::Off]
    } else {
        &[Packing::Off, Packing::Required]
    }
}

/// A padded batch of token ids.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) ids: HostTensor,
    pub(crate) types: HostTensor,
    pub(crate) mask: HostTensor,
}

impl Batch {
    pub(crate) fn of(rows: &[Vec<i64>]) -> Self {
        Self::padded_to(rows, rows.iter().map(Vec::len).max().expect("a row"))
    }

    pub(crate) fn padded_to(rows: &[Vec<i64>], length: usize) -> Self {
        let shape = [rows.len(), length];
        let fill = |value: &dyn Fn(&Vec<i64>, usize) -> i64| {
            let data: Vec<i64> =
                rows.iter().flat_map(|row| (0..length).map(move |at| value(row, at))).collect();
            HostTensor::from_slice(&shape, &data).expect("a batch")
        };
        Self {
            ids: fill(&|row, at| row.get(at).copied().unwrap_or(0)),
            types: fill(&|_, _| 0),
            mask: fill(&|row, at| i64::from(at < row.len())),
        }
    }

    pub(crate) fn run(&self, session: &Session, options: &RunOptions<'_>) -> RunResult {
        let inputs =
            [("input_ids", &self.ids), ("token_type_ids", &self.types), ("attention_mask", &self.mask)];
        session.run_with(&inputs, options).expect("the batch runs")
    }
}

/// The token ids of the excerpt's documents.
pub(crate) fn excerpt_ids() -> Vec<Vec<i64>> {
    let text = std::fs::read_to_string(bert_small("excerpt/documents.jsonl"))
        .expect("the excerpt is in the repository");
    text.lines()
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON Lines");
            row["input_ids"].as_array().expect("ids").iter().map(|id| id.as_i64().expect("an id")).collect()
        })
        .collect()
}

/// Rows of a `[batch, seq, width]` tensor that are tokens, one after another, as f64.
pub(crate) fn token_rows(tensor: &HostTensor, rows: &[Vec<i64>]) -> Vec<f64> {
    let (seq, width) = (tensor.shape()[1], tensor.shape()[2]);
    let all = tensor.to_f64();
    (rows.iter().enumerate())
        .flat_map(|(at, row)| all[at * seq * width..][..row.len() * width].to_vec())
        .collect()
}

pub(crate) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |max, (x, y)| if (x - y).is_nan() { f64::INFINITY } else { max.max((x - y).abs()) })
}
