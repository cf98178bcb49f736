//! Casts, and the two ways into a narrower integer dtype: floats saturate, integers keep their low bits.

use crate::buffer::{ReferenceTensor, Values};
use lockstep_hal::Result;
use lockstep_hal::tensor::{DType, HostTensor};

/// `x` in another dtype: floats round to nearest even; float to integer truncates toward zero and saturates, NaN gives 0;
/// integer to integer keeps the low bits; truth values are `!= 0`.
pub(super) fn cast(x: &ReferenceTensor, to: DType) -> Result<Values> {
    Ok(match (&x.values, to) {
        (Values::Float(values), DType::Bool) => Values::truths(values.iter().map(|&x| x != 0.0).collect()),
        (Values::Integer(values), DType::Bool) => Values::truths(values.iter().map(|&x| x != 0).collect()),
        (Values::Truth(_), DType::Bool) => x.values.clone(),
        (_, DType::F64) => Values::Float(x.values.to_f64()),
        (_, DType::F32 | DType::F16 | DType::Bf16) => {
            // The host tensor's rounding is the definition.
            Values::floats(HostTensor::from_f64(to, &x.shape, &x.values.to_f64())?.to_f64())
        }
        (Values::Float(values), _) => {
            Values::integers(values.iter().map(|&x| saturate(to, x as i64)).collect())
        }
        (Values::Integer(values), _) => Values::integers(values.iter().map(|&x| wrap(to, x)).collect()),
        (Values::Truth(values), _) => Values::integers(values.iter().map(|&x| x.into()).collect()),
    })
}

/// The nearest value that an integer dtype holds.
pub(super) fn saturate(dtype: DType, x: i64) -> i64 {
    match dtype {
        DType::I32 => x.clamp(i32::MIN.into(), i32::MAX.into()),
        DType::I8 => x.clamp(i8::MIN.into(), i8::MAX.into()),
        DType::U8 => x.clamp(u8::MIN.into(), u8::MAX.into()),
        _ => x,
    }
}

/// The low bits that an integer dtype holds.
pub(super) fn wrap(dtype: DType, x: i64) -> i64 {
    match dtype {
        DType::I32 => (x as i32).into(),
        DType::I8 => (x as i8).into(),
        DType::U8 => (x as u8).into(),
        _ => x,
    }
}
