//! Ops that follow an index, which the host checks: the device does not, and would read or write beyond the tensor.

use super::Lowering;
use crate::launch::{Call, IndexCheck};
use crate::port::Port;
use lockstep_hal::Result;
use lockstep_hal::graph::DType;

impl Lowering<'_> {
    pub(super) fn check(&mut self, axis: usize) -> Result<()> {
        let rows = self.operand(0)?.shape[axis];
        let index = self.input(1)?;
        if index.count() > 0 {
            self.checks.push(IndexCheck { index, rows });
        }
        Ok(())
    }

    pub(super) fn gather(&mut self, axis: usize) -> Result<()> {
        self.check(axis)?;
        let (data, index, out) = (self.input(0)?, self.input(1)?, self.out()?);
        self.calls.push(Call::GatherV2 { data, axis, index, out });
        Ok(())
    }

    pub(super) fn index_add(&mut self, axis: usize) -> Result<()> {
        self.check(axis)?;
        let (base, index, source, out) = (self.input(0)?, self.input(1)?, self.input(2)?, self.out()?);
        if source.count() == 0 {
            self.calls.push(Call::Copy { from: base, to: out });
            return Ok(());
        }
        // Along the first axis sums are f32; along others they are rounded to half precision at each addition.
        if axis == 0 || out.dtype == DType::F32 || self.port == Port::Naive {
            self.calls.push(Call::IndexAdd { base, axis, index, source, out });
            return Ok(());
        }
        let (base, source) = (self.casted(&base, DType::F32), self.casted(&source, DType::F32));
        let sums = self.temporary(DType::F32, &out.dims);
        self.calls.push(Call::IndexAdd { base, axis, index, source, out: sums.clone() });
        self.calls.push(Call::Cast { x: sums, out });
        Ok(())
    }
}
