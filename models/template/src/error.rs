//! What can be wrong with a model folder.
//!
//! What to do, in order:
//! 1. Keep these variants; add one for each new thing that can be wrong and that a caller may want to tell apart.
//! 2. Say in each message what was found, what was expected and from which file that follows, and what to try.

use std::path::PathBuf;

/// Shorthand for this crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a folder is no model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read.
    #[error("{}: {source}; is this a model's folder?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A config that is none, or asks for what this family does not do.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Tensors that are missing or do not fit the config; all of them at once.
    #[error("{}: {}; are config.json and the weights of one model?", path.display(), problems.join("; "))]
    Weights {
        /// The weights' file.
        path: PathBuf,
        /// One line for each tensor.
        problems: Vec<String>,
    },
    /// A weight file that is truncated, corrupt or absent.
    #[error(transparent)]
    Tensor(#[from] lockstep_graph::tensor::Error),
    /// A graph that its ops refuse: a mistake in this crate, not in the folder.
    #[error(transparent)]
    Graph(#[from] lockstep_graph::Error),
}
