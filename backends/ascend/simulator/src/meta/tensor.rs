//! Tensors, as views over a storage, and lists of them.

use crate::exports::exports;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use crate::view::contiguous_strides;
use core::ffi::c_void;
use lockstep_ascend_abi::{aclDataType, aclFormat, aclTensor, aclTensorList};
use std::sync::{Arc, Mutex};

/// What `aclCreateTensor` was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// Element type.
    pub dtype: aclDataType,
    /// The view's extents.
    pub dims: Vec<i64>,
    /// The view's strides, in elements.
    pub strides: Vec<i64>,
    /// The view's first element, in elements of the storage.
    pub offset: i64,
    /// The storage's layout.
    pub format: aclFormat,
    /// The storage's extents.
    pub storage_dims: Vec<i64>,
    /// The storage's address on the device.
    pub address: usize,
}

/// A live tensor, and the operator that saw it last.
pub(crate) struct Tensor {
    description: Mutex<Description>,
    last_op: Mutex<Option<&'static str>>,
}

/// A live list, by its tensors' handles.
pub(crate) struct TensorList(Vec<usize>);

pub(crate) static TENSORS: Registry<Tensor> = Registry::new(1);
pub(crate) static TENSOR_LISTS: Registry<TensorList> = Registry::new(2);

/// Of a live tensor, now also seen by `op`.
pub(crate) fn seen_by(op: &'static str, tensor: *const aclTensor) -> Option<Description> {
    let tensor = TENSORS.get(tensor)?;
    *lock(&tensor.last_op) = Some(op);
    let description = lock(&tensor.description).clone();
    Some(description)
}

/// Where a tensor points now, if it is alive.
pub(crate) fn address(tensor: usize) -> Option<usize> {
    let tensor = TENSORS.get(as_pointer::<aclTensor>(tensor))?;
    let address = lock(&tensor.description).address;
    Some(address)
}

/// The live tensors and lists, one line each.
pub(crate) fn leaks() -> Vec<String> {
    let describe = |tensor: Arc<Tensor>| {
        let description = lock(&tensor.description);
        let op = lock(&tensor.last_op).map_or("never used".to_owned(), |op| format!("last used by {op}"));
        format!("tensor {:?} {:?} by aclCreateTensor, {op}", description.dtype, description.dims)
    };
    let lists = TENSOR_LISTS.all().into_iter();
    let lists = lists.map(|list| format!("a list of {} tensors by aclCreateTensorList", list.0.len()));
    TENSORS.all().into_iter().map(describe).chain(lists).collect()
}

/// The tensors of a live list.
pub(crate) fn listed(list: *const aclTensorList) -> Option<Vec<*const aclTensor>> {
    let list = TENSOR_LISTS.get(list)?;
    Some(list.0.iter().map(|handle| as_pointer::<aclTensor>(*handle).cast_const()).collect())
}

/// Points a live tensor elsewhere.
pub(crate) fn set_address(tensor: *const aclTensor, address: usize) -> Result<(), Failure> {
    let tensor = live(tensor)?;
    lock(&tensor.description).address = address;
    Ok(())
}

fn live(tensor: *const aclTensor) -> Result<Arc<Tensor>, Failure> {
    if tensor.is_null() {
        return Err(Failure::new(161_001, "parameter tensor is NULL"));
    }
    TENSORS.get(tensor).ok_or_else(|| Failure::new(561_103, "tensor is not one that is alive"))
}

/// `count` values at `values`.
///
/// # Errors
/// 161001 if it is null although there are some; 161002 for more than 1 GiB of them.
///
/// # Safety
/// If not null, `values` is valid for reads of `count` values.
pub(crate) unsafe fn values<T: Clone>(values: *const T, count: u64, name: &str) -> Result<Vec<T>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if values.is_null() {
        return Err(Failure::new(161_001, format!("parameter {name} is NULL, its length is {count}")));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= (1 << 30) / size_of::<T>());
    let count = count.ok_or_else(|| Failure::new(161_002, format!("{name} is too long")))?;
    // SAFETY: the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(values, count) }.to_vec())
}

/// Axes of a tensor that the operators take at most.
const MAX_DIMS: usize = 8;

/// # Safety
/// The arrays are valid for reads of their lengths, `stride` of `view_dims_num`.
#[allow(clippy::too_many_arguments)]
unsafe fn described(
    view_dims: *const i64,
    view_dims_num: u64,
    dtype: aclDataType,
    stride: *const i64,
    offset: i64,
    format: aclFormat,
    storage_dims: *const i64,
    storage_dims_num: u64,
    tensor_data: *mut c_void,
) -> Result<Description, Failure> {
    // SAFETY: the caller's promise.
    let dims = unsafe { values(view_dims, view_dims_num, "viewDims") }?;
    // SAFETY: the caller's promise.
    let storage_dims = unsafe { values(storage_dims, storage_dims_num, "storageDims") }?;
    let strides = match stride.is_null() {
        true => contiguous_strides(&dims),
        // SAFETY: the caller's promise; one stride per axis.
        false => unsafe { values(stride, view_dims_num, "stride") }?,
    };
    let invalid = |text: String| Err(Failure::new(161_002, text));
    if dims.len() > MAX_DIMS {
        return invalid(format!("a tensor has {} dims, at most {MAX_DIMS} are supported", dims.len()));
    }
    if dims.iter().chain(&storage_dims).any(|dim| *dim < 0) {
        return invalid(format!("dims {dims:?} over {storage_dims:?}: none may be negative"));
    }
    if strides.iter().any(|stride| *stride < 0) || offset < 0 {
        return invalid(format!("strides {strides:?}, offset {offset}: none may be negative"));
    }
    let storage = storage_dims.iter().try_fold(1i64, |count, dim| count.checked_mul(*dim));
    if dims.iter().try_fold(1i64, |count, dim| count.checked_mul(*dim)).is_none() || storage.is_none() {
        return invalid(format!("dims {dims:?} over {storage_dims:?}: too many elements"));
    }
    Ok(Description { dtype, dims, strides, offset, format, storage_dims, address: tensor_data.addr() })
}

exports! { meta;
    fn aclCreateTensor(
        view_dims: *const i64, view_dims_num: u64, data_type: aclDataType, stride: *const i64, offset: i64,
        format: aclFormat, storage_dims: *const i64, storage_dims_num: u64, tensor_data: *mut c_void,
    ) -> *mut aclTensor, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the arrays.
        let description = unsafe {
            described(
                view_dims, view_dims_num, data_type, stride, offset, format, storage_dims, storage_dims_num,
                tensor_data,
            )
        }?;
        Ok(as_pointer(TENSORS.add(Tensor { description: Mutex::new(description), last_op: Mutex::default() })))
    }

    fn aclInitTensor(
        tensor: *mut aclTensor, view_dims: *const i64, view_dims_num: u64, data_type: aclDataType,
        stride: *const i64, offset: i64, format: aclFormat, storage_dims: *const i64, storage_dims_num: u64,
        tensor_data: *mut c_void,
    ) {
        let tensor = live(tensor)?;
        // SAFETY: ACL's contract on the arrays.
        let description = unsafe {
            described(
                view_dims, view_dims_num, data_type, stride, offset, format, storage_dims, storage_dims_num,
                tensor_data,
            )
        }?;
        *lock(&tensor.description) = description;
        Ok(())
    }

    fn aclDestroyTensor(tensor: *const aclTensor) {
        live(tensor)?;
        let owner = TENSOR_LISTS.all().into_iter().any(|list| list.0.contains(&tensor.addr()));
        if owner {
            return Err(Failure::new(561_103, "the tensor belongs to a list, which destroys it"));
        }
        TENSORS.remove(tensor);
        Ok(())
    }

    fn aclGetViewOffset(tensor: *const aclTensor, offset: *mut i64) writes(offset) {
        offset.write(lock(&live(tensor)?.description).offset);
        Ok(())
    }

    fn aclGetFormat(tensor: *const aclTensor, format: *mut aclFormat) writes(format) {
        format.write(lock(&live(tensor)?.description).format);
        Ok(())
    }

    fn aclGetDataType(tensor: *const aclTensor, data_type: *mut aclDataType) writes(data_type) {
        data_type.write(lock(&live(tensor)?.description).dtype);
        Ok(())
    }

    fn aclSetRawTensorAddr(tensor: *mut aclTensor, addr: *mut c_void) {
        set_address(tensor, addr.addr())
    }

    fn aclGetRawTensorAddr(tensor: *const aclTensor, addr: *mut *mut c_void) writes(addr) {
        addr.write(core::ptr::with_exposed_provenance_mut(lock(&live(tensor)?.description).address));
        Ok(())
    }

    fn aclCreateTensorList(
        value: *const *const aclTensor, size: u64,
    ) -> *mut aclTensorList, or core::ptr::null_mut(), {
        // SAFETY: ACL's contract on the array.
        let tensors = unsafe { values(value, size, "value") }?;
        for tensor in &tensors {
            live(*tensor)?;
        }
        let handles = tensors.iter().map(|tensor| tensor.addr()).collect();
        Ok(as_pointer(TENSOR_LISTS.add(TensorList(handles))))
    }

    fn aclDestroyTensorList(list: *const aclTensorList) {
        let list = TENSOR_LISTS.remove(list);
        let list = list.ok_or_else(|| Failure::new(561_103, "array is not a tensor list that is alive"))?;
        for handle in &list.0 {
            TENSORS.remove(as_pointer::<aclTensor>(*handle));
        }
        Ok(())
    }

    fn aclGetTensorListSize(list: *const aclTensorList, size: *mut u64) writes(size) {
        let list = TENSOR_LISTS.get(list);
        let list = list.ok_or_else(|| Failure::new(561_103, "list is not a tensor list that is alive"))?;
        size.write(list.0.len() as u64);
        Ok(())
    }
}
