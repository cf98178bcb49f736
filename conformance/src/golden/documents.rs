//! The optional part of a pack: what a device gave for every document of a file, and how fast it was.
//!
//! It is what an acceptance needs of a device that is not here ([`crate::accept`]). Outputs lie one after another without
//! padding, checkpoints are not kept, and both tensors are hashed like all others.

use super::manifest::Recorded;
use super::{Error, Pack, Result, TENSORS};
use crate::accept::{DocumentOutputs, Measured, Task, TestSet};
use lockstep_runtime::tensor::{HostTensor, Result as TensorResult};
use serde::{Deserialize, Serialize};

/// The names of the two tensors; no graph's values are called so.
const VALUES: &str = "documents/outputs";
const ROWS: &str = "documents/rows";

/// What is to be recorded of documents.
#[derive(Clone, Debug)]
pub struct DocumentRecording {
    /// SHA-256 of the file.
    pub data_sha256: String,
    /// The output's name.
    pub output: String,
    /// What the device gave, document by document.
    pub outputs: DocumentOutputs,
    /// How fast it was.
    pub measured: Option<Measured>,
}

/// What a manifest says of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedDocuments {
    /// SHA-256 of the file.
    pub data_sha256: String,
    /// How many of its documents, from its start.
    pub count: usize,
    /// The graph's output that was kept.
    pub output: String,
    /// Its rows, `[rows, width]`.
    pub values: Recorded,
    /// How many rows each document has: i64 `[count]`.
    pub rows: Recorded,
    /// How fast the device was, and on what machine.
    pub measured: Option<Measured>,
}

impl DocumentRecording {
    /// What the manifest says, and the tensors.
    pub(super) fn parts(&self) -> TensorResult<(RecordedDocuments, [(&'static str, HostTensor); 2])> {
        let outputs = &self.outputs;
        let shape = [outputs.rows.iter().sum(), outputs.width];
        let values = HostTensor::from_f64(outputs.dtype, &shape, &outputs.values)?;
        let rows: Vec<i64> = outputs.rows.iter().map(|&rows| rows as i64).collect();
        let rows = HostTensor::from_slice(&[rows.len()], &rows)?;
        let documents = RecordedDocuments {
            data_sha256: self.data_sha256.clone(),
            count: outputs.rows.len(),
            output: self.output.clone(),
            values: Recorded::of(VALUES, &values, true),
            rows: Recorded::of(ROWS, &rows, true),
            measured: self.measured.clone(),
        };
        Ok((documents, [(VALUES, values), (ROWS, rows)]))
    }
}

impl Pack {
    /// The part of the pack that an acceptance needs.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with the command that records it.
    fn documents(&self) -> Result<&RecordedDocuments> {
        let manifest = self.manifest();
        manifest.documents.as_ref().ok_or_else(|| {
            let reason = format!(
                "holds no documents to be accepted by; record them: lockstep golden record {} --device {} --data \
                 test.jsonl -o NEW_PACK",
                manifest.model, manifest.device.id
            );
            Error::Mismatch { path: self.folder.clone(), reason }
        })
    }

    /// The batch that the recording device's speed was measured at, if it was.
    pub fn batch(&self) -> Option<usize> {
        self.manifest.documents.as_ref()?.measured.as_ref().map(|measured| measured.batch)
    }

    /// The recorded outputs of all documents in `data`, checked to be of the same documents and the same output.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a pack without documents, of other data, or of fewer.
    pub fn outputs_of(&self, data: &TestSet, task: &dyn Task) -> Result<DocumentOutputs> {
        let recorded = self.documents()?;
        let mismatch = |reason: String| Error::Mismatch { path: self.folder.clone(), reason };
        if recorded.data_sha256 != data.sha256 {
            return Err(mismatch(format!(
                "was recorded of documents with SHA-256 {}, and {} has {}; take the same file, or record anew",
                recorded.data_sha256,
                data.path.display(),
                data.sha256
            )));
        }
        if recorded.count < data.documents.len() {
            return Err(mismatch(format!(
                "holds the first {} documents of {}; add --limit {0}, or record anew without a limit",
                recorded.count,
                data.path.display()
            )));
        }
        if recorded.output != task.output() {
            return Err(mismatch(format!("holds the output `{}`, not `{}`", recorded.output, task.output())));
        }
        let outputs = self.read_outputs(recorded)?;
        let fits = (outputs.rows.iter().enumerate().take(data.documents.len()))
            .all(|(at, &rows)| rows == task.tokens(at).len() || rows == 1);
        if !fits {
            return Err(mismatch(
                "was recorded with another tokenizer: a document has other tokens".to_owned(),
            ));
        }
        Ok(outputs)
    }

    fn read_outputs(&self, recorded: &RecordedDocuments) -> Result<DocumentOutputs> {
        let (values, rows) = (self.tensor(&recorded.values)?, self.tensor(&recorded.rows)?);
        let rows: Vec<usize> = rows.to_f64().into_iter().map(|rows| rows.max(0.0) as usize).collect();
        let width = values.shape().last().copied().unwrap_or(0);
        let total: usize = rows.iter().sum();
        if rows.len() != recorded.count || total.checked_mul(width) != Some(values.element_count()) {
            return Err(self.mismatch(TENSORS, "has another number of rows than its documents".to_owned()));
        }
        Ok(DocumentOutputs { dtype: values.dtype(), width, rows, values: values.to_f64() })
    }

    /// What was measured on `count` documents at batches of `batch`.
    ///
    /// # Errors
    /// Why it is no measure for these.
    pub fn speed_of(&self, count: usize, batch: usize) -> std::result::Result<Measured, String> {
        let documents = self.documents().map_err(|error| error.to_string())?;
        let measured = documents.measured.as_ref().ok_or("the pack holds no speed")?;
        if documents.count != count {
            return Err(format!(
                "the pack's speed is of {} documents, not of {count}; leave --limit out",
                documents.count
            ));
        }
        if measured.batch != batch.min(count) {
            return Err(format!("the pack's speed is at --batch {}, not {batch}", measured.batch));
        }
        Ok(measured.clone())
    }
}
