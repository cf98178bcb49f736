//! `aclTensorDesc`, and what is asked of element types and half precision alone.

use crate::exports::exports;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use crate::view::element_size;
use core::ffi::{CStr, c_char, c_int};
use half::f16;
use lockstep_ascend_abi::{ACL_MAX_DIM_CNT, aclDataType, aclFloat16, aclFormat, aclTensorDesc};
use std::ffi::CString;
use std::sync::{Arc, Mutex};

/// What `aclCreateTensorDesc` was told.
pub(super) struct TensorDesc {
    pub(super) dtype: aclDataType,
    pub(super) dims: Vec<i64>,
    format: aclFormat,
    name: Mutex<CString>,
}

pub(super) static TENSOR_DESCS: Registry<TensorDesc> = Registry::new(23);

/// The live ones, one line each.
pub(super) fn leaks() -> Vec<String> {
    let describe =
        |desc: Arc<TensorDesc>| format!("a desc {:?} {:?} by aclCreateTensorDesc", desc.dtype, desc.dims);
    TENSOR_DESCS.all().into_iter().map(describe).collect()
}

pub(super) fn live(desc: *const aclTensorDesc) -> Result<Arc<TensorDesc>, Failure> {
    if desc.is_null() {
        return Err(Failure::null("desc"));
    }
    TENSOR_DESCS.get(desc).ok_or_else(|| Failure::invalid("desc is not a tensor's description that is alive"))
}

impl TensorDesc {
    /// Elements; 0 where an extent is dynamic.
    fn count(&self) -> usize {
        let sizes = self.dims.iter().map(|dim| usize::try_from(*dim).unwrap_or(0));
        sizes.fold(1, usize::saturating_mul)
    }
}

exports! { model;
    fn aclCreateTensorDesc(
        data_type: aclDataType, num_dims: c_int, dims: *const i64, format: aclFormat,
    ) -> *mut aclTensorDesc, or core::ptr::null_mut(), {
        let count = usize::try_from(num_dims).ok().filter(|count| *count <= ACL_MAX_DIM_CNT);
        let count = count.ok_or_else(|| Failure::invalid(format!("numDims is {num_dims}")))?;
        let dims = match count {
            0 => Vec::new(),
            _ if dims.is_null() => return Err(Failure::null("dims")),
            // SAFETY: ACL's contract: as many extents as it says.
            _ => unsafe { core::slice::from_raw_parts(dims, count) }.to_vec(),
        };
        let desc = TensorDesc { dtype: data_type, dims, format, name: Mutex::default() };
        Ok(as_pointer(TENSOR_DESCS.add(desc)))
    }

    fn aclDestroyTensorDesc(desc: *const aclTensorDesc) -> (), or (), {
        live(desc)?;
        TENSOR_DESCS.remove(desc);
        Ok(())
    }

    fn aclGetTensorDescType(desc: *const aclTensorDesc) -> aclDataType, or aclDataType::UNDEFINED, {
        Ok(live(desc)?.dtype)
    }

    fn aclGetTensorDescFormat(desc: *const aclTensorDesc) -> aclFormat, or aclFormat::UNDEFINED, {
        Ok(live(desc)?.format)
    }

    fn aclGetTensorDescSize(desc: *const aclTensorDesc) -> usize, or 0, {
        let desc = live(desc)?;
        Ok(desc.count().saturating_mul(element_size(desc.dtype).unwrap_or(0)))
    }

    fn aclGetTensorDescElementCount(desc: *const aclTensorDesc) -> usize, or 0, {
        Ok(live(desc)?.count())
    }

    fn aclGetTensorDescNumDims(desc: *const aclTensorDesc) -> usize, or 0, {
        Ok(live(desc)?.dims.len())
    }

    fn aclGetTensorDescDimV2(
        desc: *const aclTensorDesc, index: usize, dim_size: *mut i64,
    ) writes(dim_size) {
        let desc = live(desc)?;
        let dim = desc.dims.get(index).copied();
        dim_size.write(dim.ok_or_else(|| {
            Failure::invalid(format!("index is {index}, expected less than {}", desc.dims.len()))
        })?);
        Ok(())
    }

    fn aclSetTensorDescName(desc: *mut aclTensorDesc, name: *const c_char) -> (), or (), {
        let desc = live(desc)?;
        if name.is_null() {
            return Err(Failure::null("name"));
        }
        // SAFETY: ACL's contract: a name that ends in NUL.
        *lock(&desc.name) = unsafe { CStr::from_ptr(name) }.into();
        Ok(())
    }

    // What it returns is there until the name is set again or the description destroyed.
    fn aclGetTensorDescName(desc: *mut aclTensorDesc) -> *const c_char, or core::ptr::null(), {
        let desc = live(desc)?;
        let name = lock(&desc.name).as_ptr();
        Ok(name)
    }

    fn aclDataTypeSize(data_type: aclDataType) -> usize, or 0, {
        Ok(element_size(data_type).unwrap_or(0))
    }

    fn aclFloat16ToFloat(value: aclFloat16) -> f32, or f32::NAN, {
        Ok(f16::from_bits(value).to_f32())
    }

    fn aclFloatToFloat16(value: f32) -> aclFloat16, or f16::NAN.to_bits(), {
        Ok(f16::from_f32(value).to_bits())
    }
}
