//! Ops that move elements without looking at them, and those that make them from nothing.

use super::walk::{broadcast, dense};
use super::{StepPlan, count, number, pointer};
use crate::launch::{Argument, Command};
use lockstep_hal::Result;
use lockstep_hal::graph::{DType, HostTensor};

/// The output from elements of x at `start` and these strides.
fn strided(plan: &mut StepPlan<'_, '_>, start: i64, strides: &[i64]) -> Result<()> {
    let out = plan.output()?;
    let walk = plan.walk(&out.shape, [strides])?;
    let arguments = vec![
        pointer(plan.input_place(0)),
        Argument::I64(start),
        pointer(plan.output_place()?),
        number(count(out)),
        Argument::Walk(walk),
    ];
    plan.launch_elements(format!("gather_strided_{}", out.dtype.size()), count(out), arguments)
}

pub(super) fn transpose(plan: &mut StepPlan<'_, '_>, permutation: &[usize]) -> Result<()> {
    let own = dense(&plan.input(0).shape);
    let strides: Vec<i64> = permutation.iter().map(|axis| own[*axis]).collect();
    strided(plan, 0, &strides)
}

pub(super) fn expand(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let strides = broadcast(&plan.input(0).shape, &plan.output()?.shape);
    strided(plan, 0, &strides)
}

pub(super) fn slice(plan: &mut StepPlan<'_, '_>, axis: usize, start: usize, step: usize) -> Result<()> {
    let mut strides = dense(&plan.input(0).shape);
    let first = start as i64 * strides[axis];
    strides[axis] *= step as i64;
    strided(plan, first, &strides)
}

/// A reshape that could not be a view: the same bytes in another place.
pub(super) fn copy(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let bytes = plan.input(0).bytes();
    let (from, to) = (plan.input_place(0), plan.output_place()?);
    if bytes > 0 && from != to {
        plan.push(Command::Copy { from, to, bytes });
    }
    Ok(())
}

pub(super) fn concat(plan: &mut StepPlan<'_, '_>, axis: usize) -> Result<()> {
    let out = plan.output()?;
    let pitch: usize = out.shape[axis..].iter().product();
    let mut at = 0;
    for input in 0..plan.step.inputs.len() {
        let x = plan.input(input);
        let width: usize = x.shape[axis..].iter().product();
        let arguments = vec![
            pointer(plan.input_place(input)),
            pointer(plan.output_place()?.plus(at * out.dtype.size())),
            number(count(x)),
            number(width),
            number(pitch),
        ];
        plan.launch_elements(format!("copy_rows_{}", out.dtype.size()), count(x), arguments)?;
        at += width;
    }
    Ok(())
}

pub(super) fn fill(plan: &mut StepPlan<'_, '_>, dtype: DType, value: f64) -> Result<()> {
    let out = plan.output()?;
    let mut bits = [0; 8];
    bits[..dtype.size()].copy_from_slice(HostTensor::from_f64(dtype, &[1], &[value])?.bytes());
    let arguments =
        vec![Argument::I64(i64::from_le_bytes(bits)), pointer(plan.output_place()?), number(count(out))];
    plan.launch_elements(format!("fill_{}", dtype.size()), count(out), arguments)
}

pub(super) fn iota(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let out = plan.output()?;
    let arguments = vec![pointer(plan.output_place()?), number(count(out))];
    plan.launch_elements("iota", count(out), arguments)
}
