//! What operators take: tensors as views of device memory, scalars, arrays, lists, and executors.
//!
//! Strides and offsets count elements; addresses of tensors are aligned to 32 bytes.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{
    aclBoolArray, aclDataType, aclFloatArray, aclFormat, aclIntArray, aclOpExecutor, aclScalar,
    aclScalarList, aclTensor, aclTensorList, aclnnStatus, aclrtStream, functions,
};
use core::ffi::{c_char, c_void};

functions! {
    /// The functions on operators' arguments and executors.
    Meta;

    /// Not needed after `aclInit`.
    [NnOpBase NnOpBase] fn aclnnInit(config_path: *const c_char) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclnnFinalize() -> aclnnStatus;

    // Tensors, scalars, arrays, lists.
    /// A view: `view_dims`, `stride` and `offset` in elements, over a storage of `storage_dims`. Null on
    /// failure.
    [NnOpBase NnOpBase] fn aclCreateTensor(
        view_dims: *const i64, view_dims_num: u64, data_type: aclDataType, stride: *const i64, offset: i64,
        format: aclFormat, storage_dims: *const i64, storage_dims_num: u64, tensor_data: *mut c_void,
    ) -> *mut aclTensor;
    /// Describes a tensor anew.
    [NnOpBase NnOpBase] fn aclInitTensor(
        tensor: *mut aclTensor, view_dims: *const i64, view_dims_num: u64, data_type: aclDataType,
        stride: *const i64, offset: i64, format: aclFormat, storage_dims: *const i64, storage_dims_num: u64,
        tensor_data: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclDestroyTensor(tensor: *const aclTensor) -> aclnnStatus;
    /// Copies the value, which is on the host.
    [NnOpBase NnOpBase] fn aclCreateScalar(value: *mut c_void, data_type: aclDataType) -> *mut aclScalar;
    [NnOpBase NnOpBase] fn aclDestroyScalar(scalar: *const aclScalar) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclCreateIntArray(value: *const i64, size: u64) -> *mut aclIntArray;
    [NnOpBase NnOpBase] fn aclCreateFloatArray(value: *const f32, size: u64) -> *mut aclFloatArray;
    [NnOpBase NnOpBase] fn aclCreateBoolArray(value: *const bool, size: u64) -> *mut aclBoolArray;
    /// The list owns the tensors from now on.
    [NnOpBase NnOpBase] fn aclCreateTensorList(
        value: *const *const aclTensor, size: u64,
    ) -> *mut aclTensorList;
    [NnOpBase NnOpBase] fn aclCreateScalarList(
        value: *const *const aclScalar, size: u64,
    ) -> *mut aclScalarList;
    [NnOpBase NnOpBase] fn aclDestroyIntArray(array: *const aclIntArray) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclDestroyFloatArray(array: *const aclFloatArray) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclDestroyBoolArray(array: *const aclBoolArray) -> aclnnStatus;
    /// Its tensors too.
    [NnOpBase NnOpBase] fn aclDestroyTensorList(list: *const aclTensorList) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclDestroyScalarList(list: *const aclScalarList) -> aclnnStatus;

    // What they hold.
    /// The dims come from C++'s `new[]` and leak unless its `delete[]` is called; better not used.
    [NnOpBase NnOpBase] fn aclGetViewShape(
        tensor: *const aclTensor, view_dims: *mut *mut i64, view_dims_num: *mut u64,
    ) -> aclnnStatus;
    /// The dims leak as those of `aclGetViewShape`.
    [NnOpBase NnOpBase] fn aclGetStorageShape(
        tensor: *const aclTensor, storage_dims: *mut *mut i64, storage_dims_num: *mut u64,
    ) -> aclnnStatus;
    /// The strides leak as the dims of `aclGetViewShape`.
    [NnOpBase NnOpBase] fn aclGetViewStrides(
        tensor: *const aclTensor, strides: *mut *mut i64, strides_num: *mut u64,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetViewOffset(tensor: *const aclTensor, offset: *mut i64) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetFormat(tensor: *const aclTensor, format: *mut aclFormat) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetDataType(
        tensor: *const aclTensor, data_type: *mut aclDataType,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetIntArraySize(array: *const aclIntArray, size: *mut u64) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetFloatArraySize(array: *const aclFloatArray, size: *mut u64) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetBoolArraySize(array: *const aclBoolArray, size: *mut u64) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetTensorListSize(list: *const aclTensorList, size: *mut u64) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetScalarListSize(list: *const aclScalarList, size: *mut u64) -> aclnnStatus;

    // Executors that run more than once, and the addresses they use.
    /// Right after phase 1; phase 2 may then run again and again, and the caller destroys the executor.
    [NnOpBase NnOpBase] fn aclSetAclOpExecutorRepeatable(executor: *mut aclOpExecutor) -> aclnnStatus;
    /// Of repeatable ones only; phase 2 consumes others.
    [NnOpBase NnOpBase] fn aclDestroyAclOpExecutor(executor: *mut aclOpExecutor) -> aclnnStatus;
    /// `index` counts the inputs in the order of phase 1.
    [NnOpBase NnOpBase] fn aclSetInputTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    /// `index` counts the outputs in the order of phase 1.
    [NnOpBase NnOpBase] fn aclSetOutputTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    /// `index` counts all tensors in the order of phase 1.
    [NnOpBase NnOpBase] fn aclSetTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclSetDynamicInputTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclSetDynamicOutputTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclSetDynamicTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    /// The older spelling, as are those below.
    [NnOpBase NnOpBase] fn AclSetInputTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn AclSetOutputTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn AclSetTensorAddr(
        executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn AclSetDynamicInputTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn AclSetDynamicOutputTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    [NnOpBase NnOpBase] fn AclSetDynamicTensorAddr(
        executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize, tensors: *mut aclTensorList,
        addr: *mut c_void,
    ) -> aclnnStatus;
    /// Not between the phases.
    [NnOpBase NnOpBase] fn aclSetRawTensorAddr(tensor: *mut aclTensor, addr: *mut c_void) -> aclnnStatus;
    [NnOpBase NnOpBase] fn aclGetRawTensorAddr(
        tensor: *const aclTensor, addr: *mut *mut c_void,
    ) -> aclnnStatus;

    // Dumps.
    [NnOpBase] fn aclDumpOpTensors(
        op_type: *const c_char, op_name: *const c_char, tensors: *mut *mut aclTensor, input_tensor_num: usize,
        output_tensor_num: usize, stream: aclrtStream,
    ) -> aclnnStatus;
}
