//! Reductions.

use super::Result;
use candle_core::{DType, Device, Tensor};
use lockstep_hal::graph::ReduceOp;

/// Combines along `axes` and gives the result `shape`, which says whether they stay.
pub(super) fn reduce(op: ReduceOp, x: &Tensor, axes: &[usize], shape: &[usize]) -> Result<Tensor> {
    if x.elem_count() == 0 {
        return of_nothing(op, x.dtype(), shape);
    }
    let reduced = match op {
        ReduceOp::Sum => x.sum_keepdim(axes)?,
        ReduceOp::Mean => x.mean_keepdim(axes)?,
        ReduceOp::Max | ReduceOp::Min => axes.iter().try_fold(x.clone(), |x, &axis| extreme(op, &x, axis))?,
    };
    Ok(reduced.reshape(shape)?)
}

/// The largest or smallest along one axis, which stays; NaN where any element is. candle alone keeps a NaN only in the
/// first position.
pub(super) fn extreme(op: ReduceOp, x: &Tensor, axis: usize) -> Result<Tensor> {
    let result = if op == ReduceOp::Max { x.max_keepdim(axis)? } else { x.min_keepdim(axis)? };
    if !x.dtype().is_float() {
        return Ok(result);
    }
    let has_nan = x.ne(x)?.max_keepdim(axis)?;
    let nan = Tensor::new(f64::NAN, &Device::Cpu)?.to_dtype(x.dtype())?.broadcast_as(result.shape())?;
    Ok(has_nan.where_cond(&nan, &result)?)
}

fn of_nothing(op: ReduceOp, dtype: DType, shape: &[usize]) -> Result<Tensor> {
    let value = match op {
        ReduceOp::Sum => 0.0,
        ReduceOp::Mean => f64::NAN,
        ReduceOp::Max => f64::NEG_INFINITY,
        ReduceOp::Min => f64::INFINITY,
    };
    // For integers the cast saturates at the lowest and highest.
    Ok(Tensor::new(value, &Device::Cpu)?.to_dtype(dtype)?.broadcast_as(shape)?)
}
