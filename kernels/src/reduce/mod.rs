//! Sums, means and extremes over any axes. The definition is in `spec.md`.

mod float;
mod integer;

pub use float::{Reduce, reduce};
pub use integer::{ReduceInteger, reduce_integer};

use crate::movement::{ShapeError, Strided};

/// Which axes of which shape are reduced; made once, then used without allocating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// Where each output element starts in the input.
    kept: Strided<1>,
    /// The elements of one output element, relative to its start.
    reduced: Strided<1>,
}

impl Reduction {
    /// Reduces `axes` of a dense operand of `shape`; the other axes are kept, in their order. No axes reduce nothing.
    ///
    /// # Errors
    /// [`ShapeError`] if an axis is listed twice or is not below the rank, or too many dimensions remain after merging
    /// neighbours that are treated alike.
    pub fn new(shape: &[usize], axes: &[usize]) -> Result<Self, ShapeError> {
        for (position, &axis) in axes.iter().enumerate() {
            if axis >= shape.len() || axes[..position].contains(&axis) {
                return Err(ShapeError::InvalidAxis { axis, rank: shape.len() });
            }
        }
        Ok(Self {
            kept: Strided::over(shape, |axis| !axes.contains(&axis))?,
            reduced: Strided::over(shape, |axis| axes.contains(&axis))?,
        })
    }

    /// How many elements the output has.
    pub fn output_len(&self) -> usize {
        self.kept.len()
    }

    /// How many elements each output element is made of.
    pub fn reduced_len(&self) -> usize {
        self.reduced.len()
    }

    fn check(&self, x: usize, out: usize) {
        assert_eq!(x, self.kept.source_len(0), "x has the shape that the reduction was made for");
        assert_eq!(out, self.kept.len(), "out has the kept axes' shape");
    }
}

#[cfg(test)]
mod tests;
