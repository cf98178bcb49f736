//! Reductions over axes.

use super::movement::shape_error;
use super::{Launch, StepPlan, with_float};
use lockstep_hal::Result;
use lockstep_hal::graph::{DType, ReduceOp};
use lockstep_kernels::reduce::{self as kernel, Reduce, ReduceInteger, Reduction};

pub(super) fn reduce(plan: &StepPlan<'_>, op: ReduceOp, axes: &[usize]) -> Result<Launch> {
    let reduction = Reduction::new(plan.shape(0), axes).map_err(|error| shape_error(plan, &error))?;
    let (isa, pool) = (plan.isa, plan.pool.clone());
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    if plan.dtype(0) == DType::I64 {
        let op = match op {
            ReduceOp::Sum => ReduceInteger::Sum,
            ReduceOp::Max => ReduceInteger::Max,
            ReduceOp::Min => ReduceInteger::Min,
            ReduceOp::Mean => return Err(plan.unclaimed()),
        };
        return Ok(Box::new(move |memory| {
            kernel::reduce_integer(pool.as_ref(), op, &reduction, memory.read::<i64>(&x), memory.write(&out));
            Ok(())
        }));
    }
    let op = match op {
        ReduceOp::Sum => Reduce::Sum,
        ReduceOp::Mean => Reduce::Mean,
        ReduceOp::Max => Reduce::Max,
        ReduceOp::Min => Reduce::Min,
    };
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        kernel::reduce(isa, pool.as_ref(), op, &reduction, memory.read::<T>(&x), memory.write::<T>(&out));
        Ok(())
    })), else Err(plan.unclaimed()))
}
