//! `config.json`: the settings that decide what the model computes.
//!
//! What to do, in order:
//! 1. List the settings of your family with the original's names and, for those it lets a file omit, its defaults.
//! 2. Bound every size: the file is untrusted, and sizes are multiplied.
//! 3. Refuse by name each setting that changes the result and that you do not honour, as `pooling` is refused here. Leave
//!    out what only matters in training.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// Bounds products of two sizes to what `usize` and `i64` hold.
const MAX_SIZE: usize = 1 << 28;

/// The settings of a bag-of-embeddings classifier.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BagConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of an embedding.
    pub embedding_size: usize,
    /// How many classes there are.
    pub num_labels: usize,
    /// How a text's embeddings become one; only `mean`, the default, is known.
    #[serde(default = "mean")]
    pub pooling: String,
}

fn mean() -> String {
    "mean".to_owned()
}

impl BagConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Config`] for a file that is no such config, a size of zero or beyond 2^28, and a pooling
    /// other than `mean`.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let wrong = |reason: String| Error::Config { path: path.to_owned(), reason };
        let config: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let sizes = [
            ("vocab_size", config.vocab_size),
            ("embedding_size", config.embedding_size),
            ("num_labels", config.num_labels),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=MAX_SIZE).contains(size)) {
            return Err(wrong(format!("{name} is {size}, expected 1 to {MAX_SIZE}")));
        }
        if config.pooling != "mean" {
            return Err(wrong(format!("pooling is {:?}, only \"mean\" is supported", config.pooling)));
        }
        Ok(config)
    }
}
