//! Scalars: one value on the host, copied when it is created.

use crate::exports::exports;
use crate::meta::executor::Refusal;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::view::element_size;
use core::ffi::c_void;
use half::{bf16, f16};
use lockstep_ascend_abi::{aclDataType, aclScalar};

/// A value and its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// Its type.
    pub dtype: aclDataType,
    bytes: [u8; 8],
}

pub(crate) static SCALARS: Registry<Scalar> = Registry::new(3);

impl Scalar {
    /// As f64; integers beyond 2^53 are rounded.
    pub(crate) fn to_f64(self) -> f64 {
        let [a, b, c, d, ..] = self.bytes;
        match self.dtype {
            aclDataType::FLOAT => f32::from_le_bytes([a, b, c, d]).into(),
            aclDataType::FLOAT16 => f16::from_le_bytes([a, b]).into(),
            aclDataType::BF16 => bf16::from_le_bytes([a, b]).into(),
            aclDataType::DOUBLE => f64::from_le_bytes(self.bytes),
            aclDataType::UINT64 => u64::from_le_bytes(self.bytes) as f64,
            _ => self.to_i64() as f64,
        }
    }

    /// As i64; floats are truncated, and clamped to its range.
    pub(crate) fn to_i64(self) -> i64 {
        let [a, b, c, d, ..] = self.bytes;
        match self.dtype {
            aclDataType::INT8 => i8::from_le_bytes([a]).into(),
            aclDataType::UINT8 => a.into(),
            aclDataType::BOOL => (a != 0).into(),
            aclDataType::INT16 => i16::from_le_bytes([a, b]).into(),
            aclDataType::UINT16 => u16::from_le_bytes([a, b]).into(),
            aclDataType::INT32 => i32::from_le_bytes([a, b, c, d]).into(),
            aclDataType::UINT32 => u32::from_le_bytes([a, b, c, d]).into(),
            aclDataType::INT64 | aclDataType::UINT64 => i64::from_le_bytes(self.bytes),
            _ => self.to_f64() as i64,
        }
    }
}

/// The value of the parameter `name`, for an operator's plan.
///
/// # Errors
/// 161001 if it is null or not alive.
pub(crate) fn value_of(scalar: *const aclScalar, name: &str) -> Result<Scalar, Refusal> {
    if scalar.is_null() {
        return Err(Refusal::null(name));
    }
    let alive = SCALARS.get(scalar).map(|scalar| *scalar);
    alive.ok_or_else(|| Refusal::new(161_001, format!("{name} is not a scalar that is alive")))
}

exports! { meta;
    fn aclCreateScalar(
        value: *mut c_void, data_type: aclDataType,
    ) -> *mut aclScalar, or core::ptr::null_mut(), {
        if value.is_null() {
            return Err(Failure::new(161_001, "parameter value is NULL"));
        }
        let size = element_size(data_type).filter(|size| *size <= 8);
        let size = size.ok_or_else(|| Failure::new(161_002, format!("no scalar is a {data_type:?}")))?;
        let mut bytes = [0; 8];
        // SAFETY: ACL's contract: `value` holds one value of the type, of at most 8 bytes.
        bytes[..size].copy_from_slice(unsafe { core::slice::from_raw_parts(value.cast::<u8>(), size) });
        Ok(as_pointer(SCALARS.add(Scalar { dtype: data_type, bytes })))
    }

    fn aclDestroyScalar(scalar: *const aclScalar) {
        if scalar.is_null() {
            return Err(Failure::new(161_001, "parameter scalar is NULL"));
        }
        let removed = SCALARS.remove(scalar);
        removed.map(drop).ok_or_else(|| Failure::new(561_103, "scalar is not one that is alive"))
    }
}
