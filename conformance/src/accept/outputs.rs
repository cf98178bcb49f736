//! The outputs of documents, one after another without padding.

use super::task::Task;
use super::{Error, Result, TaskError};
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{RunOptions, Session};

/// What a device gave for some documents.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentOutputs {
    /// The output's element type.
    pub dtype: DType,
    /// The length of a row.
    pub width: usize,
    /// How many rows each document has: one, or one per token.
    pub rows: Vec<usize>,
    /// All rows.
    pub values: Vec<f64>,
}

impl DocumentOutputs {
    /// Runs these documents as one batch.
    ///
    /// # Errors
    /// What the device or the task says; an output of another shape than the task's.
    pub fn run(session: &Session, task: &dyn Task, documents: &[usize]) -> Result<Self> {
        let inputs = task.inputs(documents)?;
        let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let result = session.run_with(&given, &RunOptions::new().outputs(&[task.output()]))?;
        Self::of(result.output(task.output())?, task, documents)
    }

    fn of(output: &HostTensor, task: &dyn Task, documents: &[usize]) -> Result<Self> {
        let unlike = || {
            Error::Task(TaskError(format!(
                "the output `{}` is {:?} for {} documents; expected [batch, width] or [batch, tokens, width]",
                task.output(),
                output.shape(),
                documents.len()
            )))
        };
        let (longest, width) = match *output.shape() {
            [batch, width] if batch == documents.len() => (1, width),
            [batch, longest, width] if batch == documents.len() => (longest, width),
            _ => return Err(unlike()),
        };
        let all = output.to_f64();
        let has_tokens = output.shape().len() == 3;
        let mut rows = Vec::with_capacity(documents.len());
        let mut values = Vec::with_capacity(all.len());
        for (at, &document) in documents.iter().enumerate() {
            let count = if has_tokens { task.tokens(document).len() } else { 1 };
            let start = at * longest * width;
            values.extend_from_slice(all.get(start..start + count * width).ok_or_else(unlike)?);
            rows.push(count);
        }
        Ok(Self { dtype: output.dtype(), width, rows, values })
    }

    /// Puts the documents of `more` behind these.
    pub fn extend(&mut self, more: Self) {
        self.rows.extend(more.rows);
        self.values.extend(more.values);
    }

    /// Each document's values, in order.
    pub fn documents(&self) -> impl Iterator<Item = &[f64]> {
        let mut rest = self.values.as_slice();
        self.rows.iter().map(move |rows| {
            let (first, after) = rest.split_at((rows * self.width).min(rest.len()));
            rest = after;
            first
        })
    }

    /// Runs the first `count` documents in batches. `progress` is told how many are done.
    ///
    /// # Errors
    /// As [`DocumentOutputs::run`]; no documents.
    pub fn run_all(
        session: &Session,
        task: &dyn Task,
        count: usize,
        batch: usize,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Self> {
        let mut all: Option<Self> = None;
        let documents: Vec<usize> = (0..count).collect();
        for documents in documents.chunks(batch.max(1)) {
            let more = Self::run(session, task, documents)?;
            match &mut all {
                Some(all) => all.extend(more),
                None => all = Some(more),
            }
            progress(all.as_ref().map_or(0, |all| all.rows.len()), count);
        }
        all.ok_or_else(|| Error::Task(TaskError("there is no document to run".to_owned())))
    }
}
