//! What can go wrong with tensors and their files.

use crate::DType;
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a tensor or of a file of tensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes handed over do not fill the shape.
    #[error("{dtype} tensor of shape {shape:?} needs {expected} bytes, got {actual}")]
    Size {
        /// The dtype asked for.
        dtype: DType,
        /// The shape asked for.
        shape: Vec<usize>,
        /// Bytes that the shape takes.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// A shape whose element count or byte count overflows.
    #[error("shape {shape:?} of {dtype} is too large for this machine's address space")]
    TooLarge {
        /// The dtype asked for.
        dtype: DType,
        /// The shape asked for.
        shape: Vec<usize>,
    },
    /// A typed view of a tensor of another dtype.
    #[error("tensor is {actual}, asked for {expected}")]
    DType {
        /// What was asked for.
        expected: DType,
        /// What the tensor is.
        actual: DType,
    },
    /// A symbolic dimension with no value.
    #[error("dimension `{symbol}` has no value; give an input whose shape names it")]
    Unbound {
        /// The symbol's name.
        symbol: String,
    },
    /// A file that could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file whose content is not what its format says.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to try.
        reason: String,
    },
    /// A tensor that the file does not hold.
    #[error("{path}: no tensor `{tensor}`{hint}")]
    Missing {
        /// The file or folder that was searched.
        path: PathBuf,
        /// The tensor asked for.
        tensor: String,
        /// Names alike, or an empty text.
        hint: String,
    },
}
