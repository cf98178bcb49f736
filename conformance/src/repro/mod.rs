//! Repro packs: one guilty op with its tensors, for someone who has the device but not the model, nor Lockstep.
//!
//! A pack is a folder in the layout of ONNX's backend tests: `model.onnx` of one node, `test_data_set_0/input_N.pb` what it
//! was given, `test_data_set_0/output_0.pb` what is right: the result in float64, rounded once to the output's dtype. Any ONNX
//! runtime can run it ([`lockstep_onnx`]). Beside it lie `found_0.pb`, what the device gave; `bound_0.pb`, how far each element
//! may be off at worst, in float64; and `repro.json`, which says who found it where, and has a digest of every file.
//!
//! Operands that were constants of the graph stay constants, as initializers of the model: devices prepare weights ahead of a
//! run, and a fault in that would be gone if the pack handed them over as inputs.

mod again;
mod manifest;
mod offender;
mod pack;
mod write;

pub use again::Again;
pub use manifest::Finding;
pub use offender::{MOST_KEPT, Offender};
pub use pack::Pack;
pub use write::{Finder, folder_name, write};

use std::path::{Path, PathBuf};

/// The files of a pack.
const MODEL: &str = "model.onnx";
const DATA: &str = "test_data_set_0";
const FOUND: &str = "found_0.pb";
const BOUND: &str = "bound_0.pb";
const MANIFEST: &str = "repro.json";

/// What the model's inputs and output are called.
const INPUT: &str = "in";
const OUTPUT: &str = "out0";

/// The result of this module's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a repro pack.
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
    /// A pack that is damaged, edited or of another version, or holds what is not read.
    #[error("{path}: {reason}")]
    Pack {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to try.
        reason: String,
    },
    /// A file of tensors that does not fit the model.
    #[error(transparent)]
    Inputs(#[from] crate::inputs::Error),
    /// What a device or the graph said.
    #[error(transparent)]
    Run(#[from] lockstep_runtime::Error),
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}

fn damaged(path: &Path, reason: impl ToString) -> Error {
    Error::Pack { path: path.to_owned(), reason: reason.to_string() }
}
