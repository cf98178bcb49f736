//! Ops that move elements without looking at them, and those that make them from nothing.

use super::{Launch, StepPlan, with_size};
use crate::memory::Slot;
use lockstep_hal::graph::{DType, HostTensor};
use lockstep_hal::{Error, Result};
use lockstep_kernels::movement::{
    Part, ShapeError, Strided, concat as concat_kernel, copy as copy_kernel, fill as fill_kernel,
};

/// A walk the kernels cannot take is refused when the program is compiled.
pub(super) fn shape_error(plan: &StepPlan<'_>, error: &ShapeError) -> Error {
    Error::program(format!("{} ({}): {error}", plan.step.name, plan.step.op))
}

fn walk(plan: &StepPlan<'_>, walk: std::result::Result<Strided<1>, ShapeError>) -> Result<Launch> {
    let walk = walk.map_err(|error| shape_error(plan, &error))?;
    let (pool, x, out) = (plan.pool.clone(), plan.inputs[0].clone(), plan.output.clone());
    with_size!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        copy_kernel(pool.as_ref(), &walk, memory.read::<T>(&x), memory.write::<T>(&out));
        Ok(())
    })))
}

pub(super) fn transpose(plan: &StepPlan<'_>, permutation: &[usize]) -> Result<Launch> {
    walk(plan, Strided::permuted(plan.shape(0), permutation))
}

pub(super) fn expand(plan: &StepPlan<'_>) -> Result<Launch> {
    walk(plan, Strided::broadcast(plan.out_shape(), [plan.shape(0)]))
}

pub(super) fn slice(plan: &StepPlan<'_>, axis: usize, start: usize, step: usize) -> Result<Launch> {
    let shape = plan.shape(0);
    let (mut starts, mut steps) = (vec![0; shape.len()], vec![1; shape.len()]);
    (starts[axis], steps[axis]) = (start, step);
    walk(plan, Strided::sliced(shape, &starts, &steps, plan.out_shape()))
}

/// A reshape that could not be a view: the same bytes in another place.
pub(super) fn copy(plan: &StepPlan<'_>) -> Result<Launch> {
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    Ok(Box::new(move |memory| {
        memory.write::<u8>(&out).copy_from_slice(memory.read::<u8>(&x));
        Ok(())
    }))
}

pub(super) fn concat(plan: &StepPlan<'_>, axis: usize) -> Result<Launch> {
    let outer = plan.out_shape()[..axis].iter().product();
    let inputs: Vec<(Slot, usize)> = (plan.inputs.iter().enumerate())
        .map(|(at, slot)| (slot.clone(), plan.shape(at)[axis..].iter().product()))
        .collect();
    let (pool, out) = (plan.pool.clone(), plan.output.clone());
    with_size!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let parts: Vec<Part<'_, T>> = (inputs.iter())
            .map(|(slot, width)| Part { values: memory.read::<T>(slot), width: *width })
            .collect();
        concat_kernel(pool.as_ref(), outer, &parts, memory.write::<T>(&out));
        Ok(())
    })))
}

pub(super) fn fill(plan: &StepPlan<'_>, dtype: DType, value: f64) -> Result<Launch> {
    let element = HostTensor::from_f64(dtype, &[1], &[value])?;
    let (pool, out) = (plan.pool.clone(), plan.output.clone());
    with_size!(dtype, T => {
        let element: T = bytemuck::pod_read_unaligned(element.bytes());
        Ok(Box::new(move |memory| {
            fill_kernel(pool.as_ref(), element, memory.write::<T>(&out));
            Ok(())
        }))
    })
}

pub(super) fn iota(plan: &StepPlan<'_>) -> Result<Launch> {
    let out = plan.output.clone();
    Ok(Box::new(move |memory| {
        for (value, position) in memory.write::<i64>(&out).iter_mut().zip(0..) {
            *value = position;
        }
        Ok(())
    }))
}
