//! What can go wrong while a graph is built, read or shaped.

use std::fmt;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a graph; it names the node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node whose inputs do not fit its op.
    #[error("{node} ({op}): {reason}")]
    Shape {
        /// The node's name.
        node: String,
        /// The op's name.
        op: String,
        /// What was found, what was expected, from where it follows.
        reason: String,
    },
    /// A graph that is not well formed: a duplicate name, an unknown value.
    #[error("graph: {reason}")]
    Structure {
        /// What is wrong.
        reason: String,
    },
    /// A serialised graph that cannot be read.
    #[error("graph file: {reason}")]
    File {
        /// What is wrong, and what to try.
        reason: String,
    },
    /// An error of a tensor.
    #[error(transparent)]
    Tensor(#[from] lockstep_tensor::Error),
}

impl Error {
    pub(crate) fn shape(node: &str, op: impl fmt::Display, reason: impl Into<String>) -> Self {
        Error::Shape { node: node.to_owned(), op: op.to_string(), reason: reason.into() }
    }

    pub(crate) fn structure(reason: impl Into<String>) -> Self {
        Error::Structure { reason: reason.into() }
    }
}
