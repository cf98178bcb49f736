//! Reductions.

use super::Lowering;
use crate::launch::{Call, Reduction};
use lockstep_hal::Result;
use lockstep_hal::graph::{DType, ReduceOp};

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, op: ReduceOp, axes: &[usize], keep_axes: bool) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        if x.count() == 0 {
            self.fill_with(out, of_nothing(op, x.dtype));
            return Ok(());
        }
        if axes.is_empty() {
            self.calls.push(Call::Copy { from: x, to: out });
            return Ok(());
        }
        let reduction = match op {
            ReduceOp::Sum => Reduction::Sum,
            ReduceOp::Mean => Reduction::Mean,
            ReduceOp::Max => Reduction::Amax,
            ReduceOp::Min => Reduction::Amin,
        };
        self.calls.push(Call::Reduce { reduction, x, axes: axes.to_vec(), keep_axes, out });
        Ok(())
    }
}

/// What is left of no elements; an integer's limits are what the conversion from an infinity saturates to.
fn of_nothing(op: ReduceOp, dtype: DType) -> f64 {
    match op {
        ReduceOp::Sum => 0.0,
        ReduceOp::Mean => f64::NAN,
        ReduceOp::Max if dtype == DType::I32 => f64::from(i32::MIN),
        ReduceOp::Min if dtype == DType::I32 => f64::from(i32::MAX),
        ReduceOp::Max => f64::NEG_INFINITY,
        ReduceOp::Min => f64::INFINITY,
    }
}
