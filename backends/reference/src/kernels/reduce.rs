//! Reductions, in ascending position of each reduced axis.

use super::cast::{saturate, wrap};
use super::elementwise::{maximum, minimum};
use crate::buffer::{ReferenceTensor, Values};
use crate::layout::{Offsets, strides};
use lockstep_hal::graph::ReduceOp;

/// Of no elements: `Sum` 0, `Mean` NaN, `Max` the lowest and `Min` the highest value. `None` for truth values and means
/// of integers.
pub(super) fn reduce(op: ReduceOp, x: &ReferenceTensor, axes: &[usize], shape: &[usize]) -> Option<Values> {
    let targets = targets(&x.shape, axes);
    let count: usize = shape.iter().product();
    match &x.values {
        Values::Float(values) => {
            let (start, combine): (f64, fn(f64, f64) -> f64) = match op {
                ReduceOp::Sum | ReduceOp::Mean => (0.0, |a, b| a + b),
                ReduceOp::Max => (f64::NEG_INFINITY, maximum),
                ReduceOp::Min => (f64::INFINITY, minimum),
            };
            let mut results = combined(values, targets, vec![start; count], combine);
            if op == ReduceOp::Mean {
                let divisor = axes.iter().map(|&axis| x.shape[axis]).product::<usize>() as f64;
                results.iter_mut().for_each(|sum| *sum /= divisor);
            }
            Some(Values::floats(results))
        }
        Values::Integer(values) => {
            let (start, combine): (i64, fn(i64, i64) -> i64) = match op {
                ReduceOp::Sum => (0, i64::wrapping_add),
                ReduceOp::Max => (saturate(x.dtype, i64::MIN), i64::max),
                ReduceOp::Min => (saturate(x.dtype, i64::MAX), i64::min),
                ReduceOp::Mean => return None,
            };
            let results = combined(values, targets, vec![start; count], combine);
            Some(Values::integers(results.into_iter().map(|result| wrap(x.dtype, result)).collect()))
        }
        Values::Truth(_) => None,
    }
}

/// For each element of an input of `shape`, which result it goes into.
fn targets(shape: &[usize], axes: &[usize]) -> Offsets {
    let kept: Vec<usize> = shape
        .iter()
        .enumerate()
        .map(|(axis, &extent)| if axes.contains(&axis) { 1 } else { extent })
        .collect();
    let moving = strides(&kept).into_iter().enumerate();
    Offsets::new(
        shape,
        moving.map(|(axis, stride)| if axes.contains(&axis) { 0 } else { stride }).collect(),
        0,
    )
}

fn combined<T: Copy>(values: &[T], targets: Offsets, mut results: Vec<T>, combine: fn(T, T) -> T) -> Vec<T> {
    for (&value, target) in values.iter().zip(targets) {
        results[target] = combine(results[target], value);
    }
    results
}
