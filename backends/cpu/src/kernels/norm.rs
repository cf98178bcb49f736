//! Ops over the last axis of rows: LayerNorm, with a residual or without, and softmax.

use super::{Floats, Launch, StepPlan, with_float};
use lockstep_hal::Result;
use lockstep_kernels::{layer_norm as kernel, softmax::softmax as softmax_kernel};

pub(super) fn layer_norm(plan: &StepPlan<'_>, epsilon: f64) -> Result<Launch> {
    let (gamma, beta) = (Floats::of(plan, 1)?, Floats::of(plan, 2)?);
    let (isa, pool) = (plan.isa, plan.pool.clone());
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (gamma, beta) = (gamma.get(memory)?, beta.get(memory)?);
        let (x, out) = (memory.read::<T>(&x), memory.write::<T>(&out));
        kernel::layer_norm(isa, pool.as_ref(), x, &gamma, &beta, epsilon as f32, out);
        Ok(())
    })), else Err(plan.unclaimed()))
}

pub(super) fn add_layer_norm(plan: &StepPlan<'_>, epsilon: f64) -> Result<Launch> {
    let (gamma, beta) = (Floats::of(plan, 2)?, Floats::of(plan, 3)?);
    let (isa, pool) = (plan.isa, plan.pool.clone());
    let (x, residual, out) = (plan.inputs[0].clone(), plan.inputs[1].clone(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (gamma, beta) = (gamma.get(memory)?, beta.get(memory)?);
        let (x, residual, out) = (memory.read::<T>(&x), memory.read::<T>(&residual), memory.write::<T>(&out));
        kernel::add_layer_norm(isa, pool.as_ref(), x, residual, &gamma, &beta, epsilon as f32, out);
        Ok(())
    })), else Err(plan.unclaimed()))
}

pub(super) fn softmax(plan: &StepPlan<'_>) -> Result<Launch> {
    let width = plan.shape(0).last().copied().unwrap_or(1);
    let (isa, pool) = (plan.isa, plan.pool.clone());
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        softmax_kernel(isa, pool.as_ref(), width, memory.read::<T>(&x), memory.write::<T>(&out));
        Ok(())
    })), else Err(plan.unclaimed()))
}
