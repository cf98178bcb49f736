//! Ops that treat each element by itself, after broadcasting. `None` where an op is not defined for a dtype.

use super::cast::wrap;
use crate::buffer::{ReferenceTensor, Values};
use crate::error;
use crate::layout::Offsets;
use lockstep_hal::Result;
use lockstep_hal::graph::{BinaryOp, CompareOp, UnaryOp};
use std::cmp::Ordering;

pub(super) fn unary(op: UnaryOp, x: &ReferenceTensor) -> Option<Values> {
    Some(match &x.values {
        Values::Float(values) => {
            let function = unary_float(op)?;
            Values::floats(values.iter().map(|&x| function(x)).collect())
        }
        Values::Integer(values) => {
            let function = unary_integer(op)?;
            Values::integers(values.iter().map(|&a| wrap(x.dtype, function(a))).collect())
        }
        Values::Truth(values) if op == UnaryOp::Not => Values::truths(values.iter().map(|x| !x).collect()),
        Values::Truth(_) => return None,
    })
}

fn unary_float(op: UnaryOp) -> Option<fn(f64) -> f64> {
    Some(match op {
        UnaryOp::Neg => |x| -x,
        UnaryOp::Abs => f64::abs,
        UnaryOp::Exp => libm::exp,
        UnaryOp::Log => libm::log,
        UnaryOp::Sqrt => f64::sqrt,
        UnaryOp::Reciprocal => |x| 1.0 / x,
        UnaryOp::Erf => libm::erf,
        UnaryOp::Tanh => libm::tanh,
        UnaryOp::Sigmoid => sigmoid,
        // Written so that a NaN stays one.
        UnaryOp::Relu => |x| if x <= 0.0 { 0.0 } else { x },
        UnaryOp::Not => return None,
    })
}

/// `1 / (1 + exp(-x))`, written so that exp does not overflow and small results keep their digits.
fn sigmoid(x: f64) -> f64 {
    let power = libm::exp(-x.abs());
    if x < 0.0 { power / (1.0 + power) } else { 1.0 / (1.0 + power) }
}

fn unary_integer(op: UnaryOp) -> Option<fn(i64) -> i64> {
    Some(match op {
        UnaryOp::Neg => i64::wrapping_neg,
        UnaryOp::Abs => i64::wrapping_abs,
        UnaryOp::Relu => |x| x.max(0),
        _ => return None,
    })
}

pub(super) fn binary(
    node: &str,
    op: BinaryOp,
    a: &ReferenceTensor,
    b: &ReferenceTensor,
    shape: &[usize],
) -> Result<Option<Values>> {
    let pairs = Offsets::broadcast(&a.shape, shape).zip(Offsets::broadcast(&b.shape, shape));
    Ok(match (&a.values, &b.values) {
        (Values::Float(x), Values::Float(y)) => {
            let function = binary_float(op);
            function.map(|function| Values::floats(pairs.map(|(i, j)| function(x[i], y[j])).collect()))
        }
        (Values::Integer(x), Values::Integer(y)) => {
            let mut results = Vec::with_capacity(pairs.size_hint().0);
            for (position, (i, j)) in pairs.enumerate() {
                match binary_integer(node, op, x[i], y[j], position)? {
                    Some(result) => results.push(wrap(a.dtype, result)),
                    None => return Ok(None),
                }
            }
            Some(Values::integers(results))
        }
        (Values::Truth(x), Values::Truth(y)) => match op {
            BinaryOp::And => Some(Values::truths(pairs.map(|(i, j)| x[i] && y[j]).collect())),
            BinaryOp::Or => Some(Values::truths(pairs.map(|(i, j)| x[i] || y[j]).collect())),
            _ => None,
        },
        _ => None,
    })
}

fn binary_float(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        BinaryOp::Add => |a, b| a + b,
        BinaryOp::Sub => |a, b| a - b,
        BinaryOp::Mul => |a, b| a * b,
        BinaryOp::Div => |a, b| a / b,
        BinaryOp::Max => maximum,
        BinaryOp::Min => minimum,
        BinaryOp::Pow => libm::pow,
        BinaryOp::And | BinaryOp::Or => return None,
    })
}

/// The larger; NaN where either is.
pub(super) fn maximum(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller; NaN where either is.
pub(super) fn minimum(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

fn binary_integer(node: &str, op: BinaryOp, a: i64, b: i64, position: usize) -> Result<Option<i64>> {
    Ok(Some(match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div if b == 0 => return Err(error::divided_by_zero(node, position)),
        BinaryOp::Div => a.wrapping_div(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::Min => a.min(b),
        BinaryOp::Pow if b < 0 => return Err(error::negative_power(node, position, b)),
        BinaryOp::Pow => power(a, b),
        BinaryOp::And | BinaryOp::Or => return Ok(None),
    }))
}

/// `base` to a power that is not negative, by squaring.
fn power(mut base: i64, mut exponent: i64) -> i64 {
    let mut result = 1i64;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    result
}

pub(super) fn compare(
    op: CompareOp,
    a: &ReferenceTensor,
    b: &ReferenceTensor,
    shape: &[usize],
) -> Option<Values> {
    let pairs = Offsets::broadcast(&a.shape, shape).zip(Offsets::broadcast(&b.shape, shape));
    // No order means that one of them is NaN.
    let holds = |order: Option<Ordering>| match op {
        CompareOp::Eq => order == Some(Ordering::Equal),
        CompareOp::Ne => order != Some(Ordering::Equal),
        CompareOp::Lt => order == Some(Ordering::Less),
        CompareOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Gt => order == Some(Ordering::Greater),
        CompareOp::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    };
    let truths = match (&a.values, &b.values) {
        (Values::Float(x), Values::Float(y)) => pairs.map(|(i, j)| holds(x[i].partial_cmp(&y[j]))).collect(),
        (Values::Integer(x), Values::Integer(y)) => {
            pairs.map(|(i, j)| holds(x[i].partial_cmp(&y[j]))).collect()
        }
        (Values::Truth(x), Values::Truth(y)) => pairs.map(|(i, j)| holds(x[i].partial_cmp(&y[j]))).collect(),
        _ => return None,
    };
    Some(Values::truths(truths))
}

pub(super) fn select(
    condition: &ReferenceTensor,
    a: &ReferenceTensor,
    b: &ReferenceTensor,
    shape: &[usize],
) -> Option<Values> {
    let Values::Truth(conditions) = &condition.values else { return None };
    let at = Offsets::broadcast(&condition.shape, shape);
    let picks = at.zip(Offsets::broadcast(&a.shape, shape).zip(Offsets::broadcast(&b.shape, shape)));
    let picks = picks.map(|(at, (i, j))| if conditions[at] { (true, i) } else { (false, j) });
    fn chosen<T: Copy>(x: &[T], y: &[T], picks: impl Iterator<Item = (bool, usize)>) -> Vec<T> {
        picks.map(|(first, at)| if first { x[at] } else { y[at] }).collect()
    }
    Some(match (&a.values, &b.values) {
        (Values::Float(x), Values::Float(y)) => Values::floats(chosen(x, y, picks)),
        (Values::Integer(x), Values::Integer(y)) => Values::integers(chosen(x, y, picks)),
        (Values::Truth(x), Values::Truth(y)) => Values::truths(chosen(x, y, picks)),
        _ => return None,
    })
}
