//! Golden packs: what one device computed, to be held against another on another machine.
//!
//! A pack is a folder: `pack.json` says what it is (device with numerics profile, dtype, every tensor with its digest and
//! statistics), `graph.json` is the graph without weights but with their digests, `tensors.safetensors` holds inputs,
//! checkpoints and outputs; on request also the outputs of every document of a file, with the speed of the device, to accept
//! another device by. Everything is hashed, so that a pack that was cut short or edited is refused, and so is a model
//! that is not the one recorded, with the first difference named.

mod check;
mod documents;
mod graphs;
mod manifest;
mod record;

pub use check::{Checked, ValueReport, check};
pub use documents::{DocumentRecording, RecordedDocuments};
pub use manifest::{Manifest, Recorded, RecordedDevice, Statistics};
pub use record::{Recording, is_free, record};

use lockstep_runtime::Session;
use lockstep_runtime::graph::Graph;
use lockstep_runtime::tensor::{AlignedBytes, Bytes, HostTensor, TensorSource};
pub(crate) use manifest::sha256;
use manifest::{GRAPH, TENSORS};
use std::path::{Path, PathBuf};

/// The result of this module's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a pack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pack that is damaged, of another version, or of another model.
    #[error("{path}: {reason}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// What a device or the graph said.
    #[error(transparent)]
    Run(#[from] lockstep_runtime::Error),
}

/// The tensor with zeros at positions that the session's mask leaves out: a packed run computes nothing there, a padded one
/// anything.
fn at_tokens(session: &Session, inputs: &[(&str, &HostTensor)], tensor: &HostTensor) -> HostTensor {
    let mask = session.prepared().mask_input();
    let mask = mask.and_then(|name| inputs.iter().find(|(input, _)| *input == name)).map(|(_, mask)| *mask);
    let Some(mask) = mask.filter(|mask| tensor.shape().starts_with(mask.shape())) else {
        return tensor.clone();
    };
    let positions = mask.element_count().max(1);
    let width = tensor.bytes().len() / positions;
    let mut bytes = AlignedBytes::copy_of(tensor.bytes());
    for (at, _) in mask.to_f64().iter().enumerate().filter(|(_, counts)| **counts == 0.0) {
        bytes.as_mut_slice()[at * width..(at + 1) * width].fill(0);
    }
    HostTensor::from_bytes(tensor.dtype(), tensor.shape(), Bytes::owned(bytes))
        .unwrap_or_else(|_| tensor.clone())
}

/// A pack that was read and whose digests fit.
#[derive(Debug)]
pub struct Pack {
    folder: PathBuf,
    manifest: Manifest,
    graph: String,
    tensors: TensorSource,
}

impl Pack {
    /// Opens a pack and checks every digest.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read; [`Error::Mismatch`] for one that is not as it was recorded.
    pub fn open(folder: &Path) -> Result<Self> {
        let manifest = Manifest::read(folder)?;
        let path = folder.join(GRAPH);
        let graph =
            std::fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        if sha256(graph.as_bytes()) != manifest.graph_sha256 {
            return Err(Error::Mismatch { path, reason: "is not the graph that was recorded".to_owned() });
        }
        let path = folder.join(TENSORS);
        let unreadable = |error: lockstep_runtime::tensor::Error| Error::Mismatch {
            path: folder.join(TENSORS),
            reason: format!("cannot be read: {error}"),
        };
        let tensors = TensorSource::open(&path).map_err(unreadable)?;
        let pack = Self { folder: folder.to_owned(), manifest, graph, tensors };
        let documents =
            pack.manifest.documents.iter().flat_map(|documents| [&documents.values, &documents.rows]);
        let values = pack.manifest.inputs.iter().chain(&pack.manifest.values);
        for recorded in values.filter(|value| value.stored).chain(documents) {
            pack.tensor(recorded)?;
        }
        Ok(pack)
    }

    /// What the pack says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether a graph is the one recorded, weights included.
    ///
    /// # Errors
    /// [`Error::Mismatch`] names the first difference.
    pub fn fits(&self, graph: &Graph) -> Result<()> {
        let own = graph.to_json().map_err(|error| self.mismatch(GRAPH, error.to_string()))?;
        match graphs::difference(&self.graph, &own) {
            None => Ok(()),
            Some(difference) => {
                let reason = format!("was recorded of another graph: {difference}");
                Err(self.mismatch(GRAPH, reason))
            }
        }
    }

    /// The inputs, by name.
    ///
    /// # Errors
    /// As [`Pack::open`].
    pub fn inputs(&self) -> Result<Vec<(&str, HostTensor)>> {
        self.manifest.inputs.iter().map(|input| Ok((input.name.as_str(), self.tensor(input)?))).collect()
    }

    /// The elements of a recorded tensor, checked.
    fn tensor(&self, recorded: &Recorded) -> Result<HostTensor> {
        let unreadable = |error: lockstep_runtime::tensor::Error| self.mismatch(TENSORS, error.to_string());
        let tensor = self.tensors.tensor(&recorded.name).map_err(unreadable)?;
        let is_same = tensor.dtype() == recorded.dtype && tensor.shape() == recorded.shape;
        if !is_same || sha256(tensor.bytes()) != recorded.sha256 {
            return Err(self.mismatch(TENSORS, format!("`{}` is not what was recorded", recorded.name)));
        }
        Ok(tensor)
    }

    fn mismatch(&self, file: &str, reason: String) -> Error {
        Error::Mismatch { path: self.folder.join(file), reason }
    }
}
