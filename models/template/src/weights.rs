//! Weights by name, checked against the config before they enter the graph.
//!
//! What to do, in order:
//! 1. Nothing, if each tensor has one name.
//! 2. For names that differ between releases, look them up here, so that `model.rs` knows one name only.
//! 3. For weights that are stored otherwise than the ops take them (a transposed matrix, a fused one), add the
//!    `Transpose` or `Slice` to the graph: the planner folds constants on the device.
//!
//! Weights keep the dtype that they are stored in and stay in the file's mapping; `Linear`, `LayerNorm` and `Gather` read
//! other float dtypes than they compute in.

use crate::error::{Error, Result};
use lockstep_graph::tensor::TensorSource;
use lockstep_graph::{DType, GraphBuilder, TensorType, ValueId};

/// The tensors of a model while its graph is built.
pub(crate) struct Weights<'a> {
    source: &'a TensorSource,
    problems: Vec<String>,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(source: &'a TensorSource) -> Self {
        Self { source, problems: Vec::new() }
    }

    /// The float tensor `name` of `shape` as a constant. What is missing or does not fit is noted, and a placeholder
    /// stands in for it, so that the graph is built to its end and [`Weights::finish`] reports everything at once.
    ///
    /// # Errors
    /// A tensor that cannot be read.
    pub(crate) fn constant(&mut self, b: &mut GraphBuilder, name: &str, shape: &[usize]) -> Result<ValueId> {
        let problem = if self.source.contains(name) {
            let tensor = self.source.tensor(name)?;
            if tensor.dtype().is_float() && tensor.shape() == shape {
                return Ok(b.constant(name, tensor));
            }
            format!("`{name}` is {}{:?}, expected floats {shape:?}", tensor.dtype(), tensor.shape())
        } else {
            format!("`{name}` {shape:?} is missing")
        };
        self.problems.push(problem);
        Ok(b.input(name, TensorType::fixed(DType::F32, shape))?)
    }

    /// Closes the model.
    ///
    /// # Errors
    /// [`Error::Weights`] lists every tensor that was missing or did not fit.
    pub(crate) fn finish(self) -> Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Error::Weights { path: self.source.path().to_owned(), problems: self.problems })
    }
}
