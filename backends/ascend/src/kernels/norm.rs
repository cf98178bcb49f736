//! Softmax and LayerNorm.

use super::Lowering;
use crate::launch::{Call, Reduction, View};
use crate::port::Port;
use lockstep_hal::Result;
use lockstep_hal::graph::DType;

impl Lowering<'_> {
    /// In f32 where x is f16: the operator would take the largest, and the differences to it, in f16.
    pub(super) fn softmax(&mut self, axis: usize) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        if x.dtype == DType::F16 {
            let x = self.casted(&x, DType::F32);
            let wide = self.temporary(DType::F32, &x.dims);
            self.softmax_of(&x, axis, wide.clone())?;
            self.calls.push(Call::Cast { x: wide, out });
            return Ok(());
        }
        self.softmax_of(&x, axis, out)
    }

    /// Zeros where every element is -inf, of which the operator makes NaN.
    pub(super) fn softmax_of(&mut self, x: &View, axis: usize, out: View) -> Result<()> {
        let mut dims = x.dims.clone();
        dims[axis] = 1;
        let largest = self.temporary(x.dtype, &dims);
        let is_empty = self.temporary(DType::Bool, &dims);
        let quotients = self.temporary(x.dtype, &x.dims);
        let zero = self.constants.scalar(x.dtype, 0.0)?;
        self.calls.extend([
            Call::Reduce {
                reduction: Reduction::Amax,
                x: x.clone(),
                axes: vec![axis],
                keep_axes: true,
                out: largest.clone(),
            },
            Call::EqScalar { x: largest, value: f32::NEG_INFINITY, out: is_empty.clone() },
            Call::Softmax { x: x.clone(), axis, out: quotients.clone() },
            Call::SWhere { condition: is_empty, a: zero, b: quotients, out },
        ]);
        Ok(())
    }

    /// gamma and beta in f32: with f16 ones the operator rounds mean and deviation to f16.
    pub(super) fn layer_norm(&mut self, epsilon: f64) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        let dtype = if self.port == Port::Naive { x.dtype } else { DType::F32 };
        let (gamma, beta) = (self.input_as(1, dtype)?, self.input_as(2, dtype)?);
        self.calls.push(Call::LayerNorm { x, gamma, beta, epsilon, out });
        Ok(())
    }
}
