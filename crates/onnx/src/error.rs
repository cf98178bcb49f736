//! What can go wrong with ONNX files.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate. Who knows the file adds its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are no such message.
    #[error("is no ONNX {what}: {source}; was it cut short?")]
    Message {
        /// What was expected.
        what: &'static str,
        /// What the decoder said.
        source: prost::DecodeError,
    },
    /// A tensor that cannot be read.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Its name in the file; empty if it has none.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A model that cannot be read or written.
    #[error("`{name}`: {reason}")]
    Model {
        /// The node, input or output.
        name: String,
        /// What is wrong, and what to try.
        reason: String,
    },
    /// A graph that is not well formed.
    #[error(transparent)]
    Graph(#[from] lockstep_graph::Error),
}

impl Error {
    pub(crate) fn model(name: &str, reason: impl Into<String>) -> Self {
        Error::Model { name: name.to_owned(), reason: reason.into() }
    }

    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Error::Tensor { name: name.to_owned(), reason: reason.into() }
    }
}
