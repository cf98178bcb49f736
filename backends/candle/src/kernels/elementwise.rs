//! Elementwise ops, broadcast by candle.

use super::Result;
use crate::buffer::{CandleTensor, candle_dtype};
use candle_core::{DType, Tensor};
use lockstep_hal::Error;
use lockstep_hal::graph::{BinaryOp, CompareOp, UnaryOp};
use lockstep_hal::tensor::HostTensor;

pub(super) fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    Ok(match op {
        UnaryOp::Neg => x.neg()?,
        UnaryOp::Abs => x.abs()?,
        UnaryOp::Exp => x.exp()?,
        UnaryOp::Log => x.log()?,
        UnaryOp::Sqrt => x.sqrt()?,
        UnaryOp::Reciprocal => x.recip()?,
        UnaryOp::Erf => x.erf()?,
        UnaryOp::Tanh => x.tanh()?,
        UnaryOp::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip()?,
        // candle's relu turns a NaN into 0; its maximum keeps one that comes first.
        UnaryOp::Relu => x.maximum(0.0)?,
        UnaryOp::Not => x.eq(0u8)?,
    })
}

pub(super) fn binary(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(match op {
        BinaryOp::Add => a.broadcast_add(b)?,
        BinaryOp::Sub => a.broadcast_sub(b)?,
        BinaryOp::Mul | BinaryOp::And => a.broadcast_mul(b)?,
        BinaryOp::Div => a.broadcast_div(b)?,
        BinaryOp::Or => a.broadcast_maximum(b)?,
        BinaryOp::Max => keeping_nan(&a.broadcast_maximum(b)?, b)?,
        BinaryOp::Min => keeping_nan(&a.broadcast_minimum(b)?, b)?,
        BinaryOp::Pow => return Err(Error::program("candle has no power of negative bases").into()),
    })
}

/// candle's maximum and minimum keep a NaN of the first operand only; this puts in those of the second.
fn keeping_nan(result: &Tensor, second: &Tensor) -> Result<Tensor> {
    if !result.dtype().is_float() {
        return Ok(result.clone());
    }
    let second = second.broadcast_as(result.shape())?;
    Ok(second.ne(&second)?.where_cond(&second, result)?)
}

pub(super) fn compare(op: CompareOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(match op {
        CompareOp::Eq => a.broadcast_eq(b)?,
        CompareOp::Ne => a.broadcast_ne(b)?,
        CompareOp::Lt => a.broadcast_lt(b)?,
        CompareOp::Le => a.broadcast_le(b)?,
        CompareOp::Gt => a.broadcast_gt(b)?,
        CompareOp::Ge => a.broadcast_ge(b)?,
    })
}

pub(super) fn select(condition: &Tensor, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Tensor> {
    Ok(condition.broadcast_as(shape)?.where_cond(&a.broadcast_as(shape)?, &b.broadcast_as(shape)?)?)
}

/// candle's casts saturate from floats and keep the low bits of integers, as the op wants; integers on their way to narrow
/// floats go through f64, as the host's cast does. From f64 to half precision candle drops the low 32 bits before it rounds, and
/// sends what is just above a tie to the wrong side; the host's cast does not.
pub(super) fn cast(x: &Tensor, to: lockstep_hal::tensor::DType) -> Result<Tensor> {
    if to == lockstep_hal::tensor::DType::Bool {
        return Ok(x.ne(0.0)?);
    }
    let dtype = candle_dtype(to).ok_or_else(|| Error::program("candle has no i8 tensors"))?;
    let from_integer = matches!(x.dtype(), DType::I64 | DType::I32);
    match dtype {
        DType::F16 | DType::BF16 if from_integer || x.dtype() == DType::F64 => {
            let wide = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
            let host = HostTensor::from_slice(x.dims(), &wide)?.cast(to)?;
            Ok(CandleTensor::from_host(&host)?.tensor)
        }
        DType::F32 if from_integer => Ok(x.to_dtype(DType::F64)?.to_dtype(dtype)?),
        _ => Ok(x.to_dtype(dtype)?),
    }
}
