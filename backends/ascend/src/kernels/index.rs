//! Ops that follow an index, which the host checks: the device does not, and would read or write beyond the tensor.

use super::Lowering;
use crate::launch::{Call, IndexCheck};
use lockstep_hal::Result;

impl Lowering<'_> {
    fn check(&mut self, axis: usize) -> Result<()> {
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
        self.calls.push(if source.count() == 0 {
            Call::Copy { from: base, to: out }
        } else {
            Call::IndexAdd { base, axis, index, source, out }
        });
        Ok(())
    }
}
