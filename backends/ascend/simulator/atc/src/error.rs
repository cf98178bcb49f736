//! Why nothing is compiled.

use lockstep_ascend_container as container;
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error, with what to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A flag that is refused.
    #[error("{flag}: {reason}")]
    Flag {
        /// As it is written.
        flag: String,
        /// What is wrong.
        reason: String,
    },
    /// A file that cannot be read or written, or is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A node that is not compiled.
    #[error("node `{name}` ({operator}): {reason}")]
    Node {
        /// Its name.
        name: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        reason: String,
    },
    /// An input, output or initializer that is not compiled.
    #[error("tensor `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Operators that are not compiled, all of them.
    #[error("{}", lines(.0))]
    Lacking(Vec<Lacking>),
    /// A message of the model that is not well formed.
    #[error(transparent)]
    Onnx(#[from] lockstep_onnx::Error),
    /// A model that the simulator would refuse: a fault of this crate.
    #[error("what was compiled {0}; this is a fault of atc-sim")]
    Container(#[from] container::Error),
}

/// An operator that is not compiled, and the nodes that are of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The operator.
    pub operator: String,
    /// Its nodes' names.
    pub nodes: Vec<String>,
    /// What is known of it, and what to try.
    pub reason: String,
}

/// How many nodes of an operator are named.
const NAMED: usize = 8;

fn lines(lacking: &[Lacking]) -> String {
    let line = |one: &Lacking| {
        let named: Vec<String> = one.nodes.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
        let more = match one.nodes.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}: {} ({}{more})", one.operator, one.reason, named.join(", "))
    };
    lacking.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Error {
    pub(crate) fn flag(flag: &str, reason: impl Into<String>) -> Self {
        Error::Flag { flag: flag.to_owned(), reason: reason.into() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Error::File { path: path.into(), reason: reason.to_string() }
    }

    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Error::Tensor { name: name.to_owned(), reason: reason.into() }
    }
}
