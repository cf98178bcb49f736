//! Ops that move elements, and those that make them from nothing.

use super::Lowering;
use crate::launch::Call;
use lockstep_hal::Result;
use lockstep_hal::graph::DType;

impl Lowering<'_> {
    pub(super) fn transpose(&mut self, permutation: &[usize]) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        self.calls.push(Call::Permute { x, permutation: permutation.to_vec(), out });
        Ok(())
    }

    /// Seen only where an output must have its own memory.
    pub(super) fn reshape(&mut self) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        self.calls.push(Call::Copy { from: x.shaped(&out.dims), to: out });
        Ok(())
    }

    /// A copy from a view whose repeated axes have stride 0.
    pub(super) fn expand(&mut self) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        let new = out.dims.len() - x.dims.len();
        let strides: Vec<usize> = (0..out.dims.len())
            .map(|axis| match axis.checked_sub(new) {
                Some(old) if x.dims[old] == out.dims[axis] => x.strides[old],
                _ => 0,
            })
            .collect();
        self.calls.push(Call::Copy { from: x.strided(&out.dims, &strides, 0), to: out });
        Ok(())
    }

    pub(super) fn slice(&mut self, axis: usize, start: usize, step: usize) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        let end = start + (out.dims[axis] - 1) * step + 1;
        self.calls.push(Call::Slice { x, axis, start, end, step, out });
        Ok(())
    }

    pub(super) fn concat(&mut self, axis: usize) -> Result<()> {
        let mut parts = Vec::new();
        for at in 0..self.inputs.len() {
            let part = self.input(at)?;
            if part.count() > 0 {
                parts.push(part);
            }
        }
        let out = self.out()?;
        self.calls.push(Call::Cat { parts, axis, out });
        Ok(())
    }

    /// The value is rounded here, so that the device has nothing to round.
    pub(super) fn fill(&mut self, dtype: DType, value: f64) -> Result<()> {
        let rounded = lockstep_hal::tensor::HostTensor::from_f64(dtype, &[], &[value])?.to_f64();
        let out = self.out()?;
        self.fill_with(out, rounded.first().copied().unwrap_or(value));
        Ok(())
    }

    pub(super) fn iota(&mut self) -> Result<()> {
        let out = self.out()?;
        self.calls.push(Call::Arange { end: out.dims[0] as i64, out });
        Ok(())
    }
}
