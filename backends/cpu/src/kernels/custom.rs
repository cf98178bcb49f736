//! Kernels for custom ops, brought by whoever brings the op.

use super::{Launch, StepPlan};
use crate::memory::Slot;
use lockstep_hal::graph::{Custom, DType};
use lockstep_hal::tensor::Element;
use lockstep_hal::{Error, OperandId, Result};
use std::fmt::Debug;
use std::sync::Arc;

/// A tensor that a custom kernel reads.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Its element type.
    pub dtype: DType,
    /// Its extents; row-major and contiguous.
    pub shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Its elements, or `None` if they are not `T`.
    pub fn elements<T: Element>(&self) -> Option<&'a [T]> {
        T::views(self.dtype).then(|| bytemuck::cast_slice(self.bytes))
    }
}

/// A tensor that a custom kernel writes, wholly.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    /// Its element type.
    pub dtype: DType,
    /// Its extents; row-major and contiguous.
    pub shape: &'a [usize],
    bytes: &'a mut [u8],
}

impl TensorViewMut<'_> {
    /// Its elements, to write, or `None` if they are not `T`.
    pub fn elements<T: Element>(&mut self) -> Option<&mut [T]> {
        T::views(self.dtype).then(|| bytemuck::cast_slice_mut(self.bytes))
    }
}

/// A CPU kernel for a custom op, found by the op's name.
pub trait CustomKernel: Debug + Send + Sync {
    /// The op's name.
    fn name(&self) -> &str;

    /// Whether it runs on inputs of these dtypes.
    fn supports(&self, inputs: &[DType]) -> bool;

    /// Computes the outputs.
    ///
    /// # Errors
    /// What is wrong with the values, in words; the node's name is added.
    fn run(
        &self,
        op: &Custom,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> std::result::Result<(), String>;
}

pub(super) fn custom(plan: &StepPlan<'_>, op: &Custom) -> Result<Launch> {
    let kernel: Arc<dyn CustomKernel> =
        plan.context.custom.get(op.name()).cloned().ok_or_else(|| plan.unclaimed())?;
    let program = plan.context.program.clone();
    let operand = move |&id: &OperandId| {
        let operand = program.operand(id);
        (operand.dtype, operand.shape.clone(), Slot::of(&program, id))
    };
    let inputs: Vec<_> = plan.step.inputs.iter().map(&operand).collect();
    let outputs: Vec<_> = plan.step.outputs.iter().map(&operand).collect();
    let (op, name) = (op.clone(), plan.name());
    Ok(Box::new(move |memory| {
        let inputs: Vec<TensorView<'_>> = (inputs.iter())
            .map(|(dtype, shape, slot)| TensorView { dtype: *dtype, shape, bytes: memory.read(slot) })
            .collect();
        let mut outputs: Vec<TensorViewMut<'_>> = (outputs.iter())
            .map(|(dtype, shape, slot)| TensorViewMut { dtype: *dtype, shape, bytes: memory.write(slot) })
            .collect();
        kernel.run(&op, &inputs, &mut outputs).map_err(|reason| Error::value(name.clone(), reason))
    }))
}
