//! Small random BERT folders, token ids for them, and comparisons to the bit.

use lockstep_bert::fixtures::{Fixture, vocabulary};
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::random::Random;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Error, RunResult};
use std::error::Error as _;
use tempfile::TempDir;

/// A loaded folder; its files live as long as it does.
pub(crate) struct RandomModel {
    pub(crate) model: BertModel,
    _folder: TempDir,
}

impl RandomModel {
    pub(crate) fn new(fixture: &Fixture, dtype: DType) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fixture.write(folder.path()).expect("the folder is written");
        let options = LoadOptions { dtype, ..LoadOptions::default() };
        let model =
            BertModel::load(folder.path(), options).unwrap_or_else(|error| panic!("{fixture:?}: {error}"));
        Self { model, _folder: folder }
    }
}

/// Rows of random token ids of a random folder, of these lengths.
pub(crate) fn random_rows(seed: u64, lengths: &[usize]) -> Vec<Vec<i64>> {
    let mut random = Random(seed);
    let words = vocabulary().len();
    lengths.iter().map(|&length| (0..length).map(|_| random.below(words) as i64).collect()).collect()
}

/// Outputs and taps by name, as bytes.
pub(crate) fn bits(result: &RunResult) -> Vec<(String, Vec<u8>)> {
    (result.outputs().iter().chain(result.taps()))
        .map(|(name, tensor)| (name.clone(), tensor.bytes().to_vec()))
        .collect()
}

/// The bytes of row `row` of a batch, of its first `length` positions where the tensor is `[batch, seq, width]`.
pub(crate) fn row_bits(tensor: &HostTensor, row: usize, length: usize) -> &[u8] {
    let shape = tensor.shape();
    let per_row = tensor.bytes().len() / shape[0];
    let all = &tensor.bytes()[row * per_row..(row + 1) * per_row];
    if shape.len() == 3 { &all[..per_row / shape[1] * length] } else { all }
}

/// An error with everything behind it, as a user reads it.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("; {cause}"));
        source = cause.source();
    }
    text
}
