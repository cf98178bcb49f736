//! Ops that move elements without looking at them, and those that make them from nothing.

use super::{StepPlan, count, number, pointer};
use crate::launch::{Argument, Command};
use lockstep_hal::Result;
use lockstep_hal::graph::{DType, HostTensor};
use lockstep_kernels::movement::{ShapeError, Strided};

/// The output from the elements of x that a walk names.
fn walked(plan: &mut StepPlan<'_, '_>, strided: std::result::Result<Strided<1>, ShapeError>) -> Result<()> {
    let out = plan.output()?;
    let [start] = plan.strided(strided)?.start();
    let walk = plan.walk(strided)?;
    let arguments = vec![
        pointer(plan.input_place(0)),
        number(start),
        pointer(plan.output_place()?),
        number(count(out)),
        Argument::Walk(walk),
    ];
    plan.launch_elements(format!("gather_strided_{}", out.dtype.size()), count(out), arguments)
}

pub(super) fn transpose(plan: &mut StepPlan<'_, '_>, permutation: &[usize]) -> Result<()> {
    walked(plan, Strided::permuted(&plan.input(0).shape, permutation))
}

pub(super) fn expand(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let strided = Strided::broadcast(&plan.output()?.shape, [&plan.input(0).shape]);
    walked(plan, strided)
}

pub(super) fn slice(plan: &mut StepPlan<'_, '_>, axis: usize, start: usize, step: usize) -> Result<()> {
    let shape = &plan.input(0).shape;
    let (mut starts, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
    (starts[axis], steps[axis]) = (start, step);
    let strided = Strided::sliced(shape, &starts, &steps, &plan.output()?.shape);
    walked(plan, strided)
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
