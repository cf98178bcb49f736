//! Offline models (`.om`): load, describe, execute; and the buffers and descriptions that this takes.
//!
//! A model is loaded, executed and unloaded in one context, and one model's id must not run twice at a time.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{
    aclDataBuffer, aclDataType, aclError, aclFloat16, aclFormat, aclTensorDesc, aclmdlBatch,
    aclmdlConfigAttr, aclmdlConfigHandle, aclmdlDataset, aclmdlDesc, aclmdlExecConfigAttr,
    aclmdlExecConfigHandle, aclmdlHW, aclmdlIODims, aclmdlIODimsRange, aclrtStream, functions,
};
use core::ffi::{c_char, c_int, c_void};

functions! {
    /// The functions of offline models.
    Model;

    // Models.
    [AscendCl AclMdl] fn aclmdlQuerySize(
        file_name: *const c_char, work_size: *mut usize, weight_size: *mut usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlQuerySizeFromMem(
        model: *const c_void, model_size: usize, work_size: *mut usize, weight_size: *mut usize,
    ) -> aclError;
    /// The system finds the memory.
    [AscendCl AclMdl] fn aclmdlLoadFromFile(model_path: *const c_char, model_id: *mut u32) -> aclError;
    [AscendCl AclMdl] fn aclmdlLoadFromMem(
        model: *const c_void, model_size: usize, model_id: *mut u32,
    ) -> aclError;
    /// Null where the system shall find the memory. Models that run one after the other may share `work_ptr`.
    [AscendCl AclMdl] fn aclmdlLoadFromFileWithMem(
        model_path: *const c_char, model_id: *mut u32, work_ptr: *mut c_void, work_size: usize,
        weight_ptr: *mut c_void, weight_size: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlLoadFromMemWithMem(
        model: *const c_void, model_size: usize, model_id: *mut u32, work_ptr: *mut c_void, work_size: usize,
        weight_ptr: *mut c_void, weight_size: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlLoadWithConfig(
        handle: *const aclmdlConfigHandle, model_id: *mut u32,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlCreateConfigHandle() -> *mut aclmdlConfigHandle;
    [AscendCl AclMdl] fn aclmdlSetConfigOpt(
        handle: *mut aclmdlConfigHandle, attr: aclmdlConfigAttr, attr_value: *const c_void, value_size: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlDestroyConfigHandle(handle: *mut aclmdlConfigHandle) -> aclError;
    [AscendCl AclMdl] fn aclmdlUnload(model_id: u32) -> aclError;
    [AscendCl AclMdl] fn aclmdlCreateDesc() -> *mut aclmdlDesc;
    [AscendCl AclMdl] fn aclmdlDestroyDesc(model_desc: *mut aclmdlDesc) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDesc(model_desc: *mut aclmdlDesc, model_id: u32) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDescFromFile(
        model_desc: *mut aclmdlDesc, model_path: *const c_char,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDescFromMem(
        model_desc: *mut aclmdlDesc, model: *const c_void, model_size: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetNumInputs(model_desc: *mut aclmdlDesc) -> usize;
    [AscendCl AclMdl] fn aclmdlGetNumOutputs(model_desc: *mut aclmdlDesc) -> usize;
    /// Bytes of the largest size that the model was built for; 0 where dims are dynamic.
    [AscendCl AclMdl] fn aclmdlGetInputSizeByIndex(model_desc: *mut aclmdlDesc, index: usize) -> usize;
    [AscendCl AclMdl] fn aclmdlGetOutputSizeByIndex(model_desc: *mut aclmdlDesc, index: usize) -> usize;
    [AscendCl AclMdl] fn aclmdlGetInputDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputDimsV2(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputDimsRange(
        model_desc: *const aclmdlDesc, index: usize, dims_range: *mut aclmdlIODimsRange,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetOutputDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims,
    ) -> aclError;
    /// After the batch size or dims were set.
    [AscendCl AclMdl] fn aclmdlGetCurOutputDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputNameByIndex(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> *const c_char;
    [AscendCl AclMdl] fn aclmdlGetOutputNameByIndex(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> *const c_char;
    [AscendCl AclMdl] fn aclmdlGetInputIndexByName(
        model_desc: *const aclmdlDesc, name: *const c_char, index: *mut usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetOutputIndexByName(
        model_desc: *const aclmdlDesc, name: *const c_char, index: *mut usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputDataType(model_desc: *const aclmdlDesc, index: usize) -> aclDataType;
    [AscendCl AclMdl] fn aclmdlGetOutputDataType(model_desc: *const aclmdlDesc, index: usize) -> aclDataType;
    [AscendCl AclMdl] fn aclmdlGetInputFormat(model_desc: *const aclmdlDesc, index: usize) -> aclFormat;
    [AscendCl AclMdl] fn aclmdlGetOutputFormat(model_desc: *const aclmdlDesc, index: usize) -> aclFormat;
    [AscendCl AclMdl] fn aclmdlGetTensorRealName(
        model_desc: *const aclmdlDesc, name: *const c_char,
    ) -> *const c_char;
    [AscendCl AclMdl] fn aclmdlGetDynamicBatch(
        model_desc: *const aclmdlDesc, batch: *mut aclmdlBatch,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDynamicHW(
        model_desc: *const aclmdlDesc, index: usize, hw: *mut aclmdlHW,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputDynamicGearCount(
        model_desc: *const aclmdlDesc, index: usize, gear_count: *mut usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetInputDynamicDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims, gear_count: usize,
    ) -> aclError;
    /// `index` is that of the input [`ACL_DYNAMIC_TENSOR_NAME`](crate::ACL_DYNAMIC_TENSOR_NAME).
    [AscendCl AclMdl] fn aclmdlSetDynamicBatchSize(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, batch_size: u64,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlSetDynamicHWSize(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, height: u64, width: u64,
    ) -> aclError;
    /// `dims` holds the dims of all inputs, one after the other; `index` as for the batch size.
    [AscendCl AclMdl] fn aclmdlSetInputDynamicDims(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, dims: *const aclmdlIODims,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlCreateDataset() -> *mut aclmdlDataset;
    [AscendCl AclMdl] fn aclmdlDestroyDataset(dataset: *const aclmdlDataset) -> aclError;
    /// The memory stays the caller's.
    [AscendCl AclMdl] fn aclmdlAddDatasetBuffer(
        dataset: *mut aclmdlDataset, data_buffer: *mut aclDataBuffer,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDatasetNumBuffers(dataset: *const aclmdlDataset) -> usize;
    [AscendCl AclMdl] fn aclmdlGetDatasetBuffer(
        dataset: *const aclmdlDataset, index: usize,
    ) -> *mut aclDataBuffer;
    [AscendCl AclMdl] fn aclmdlSetDatasetTensorDesc(
        dataset: *mut aclmdlDataset, tensor_desc: *mut aclTensorDesc, index: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlGetDatasetTensorDesc(
        dataset: *const aclmdlDataset, index: usize,
    ) -> *mut aclTensorDesc;
    [AscendCl AclMdl] fn aclmdlExecute(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlExecuteV2(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
        handle: *const aclmdlExecConfigHandle,
    ) -> aclError;
    /// One model at most once at a time, on whatever stream.
    [AscendCl AclMdl] fn aclmdlExecuteAsync(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlExecuteAsyncV2(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
        handle: *const aclmdlExecConfigHandle,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlCreateExecConfigHandle() -> *mut aclmdlExecConfigHandle;
    [AscendCl AclMdl] fn aclmdlSetExecConfigOpt(
        handle: *mut aclmdlExecConfigHandle, attr: aclmdlExecConfigAttr, attr_value: *const c_void,
        value_size: usize,
    ) -> aclError;
    [AscendCl AclMdl] fn aclmdlDestroyExecConfigHandle(handle: *const aclmdlExecConfigHandle) -> aclError;
    [AscendCl AclRt] fn aclmdlInitDump() -> aclError;
    [AscendCl AclRt] fn aclmdlSetDump(dump_cfg_path: *const c_char) -> aclError;
    [AscendCl AclRt] fn aclmdlFinalizeDump() -> aclError;

    // Buffers, tensor descriptions, half precision.
    /// Null and 0 for an output that the runtime shall allocate.
    [AscendCl AclRt] fn aclCreateDataBuffer(data: *mut c_void, size: usize) -> *mut aclDataBuffer;
    [AscendCl AclRt] fn aclDestroyDataBuffer(data_buffer: *const aclDataBuffer) -> aclError;
    [AscendCl AclRt] fn aclUpdateDataBuffer(
        data_buffer: *mut aclDataBuffer, data: *mut c_void, size: usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclGetDataBufferAddr(data_buffer: *const aclDataBuffer) -> *mut c_void;
    /// Deprecated, since it has 32 bits.
    [AscendCl AclRt] fn aclGetDataBufferSize(data_buffer: *const aclDataBuffer) -> u32;
    [AscendCl AclRt] fn aclGetDataBufferSizeV2(data_buffer: *const aclDataBuffer) -> usize;
    [AscendCl AclRt] fn aclDataTypeSize(data_type: aclDataType) -> usize;
    [AscendCl AclRt] fn aclFloat16ToFloat(value: aclFloat16) -> f32;
    [AscendCl AclRt] fn aclFloatToFloat16(value: f32) -> aclFloat16;
    [AscendCl AclMdl] fn aclCreateTensorDesc(
        data_type: aclDataType, num_dims: c_int, dims: *const i64, format: aclFormat,
    ) -> *mut aclTensorDesc;
    [AscendCl AclMdl] fn aclDestroyTensorDesc(desc: *const aclTensorDesc);
    [AscendCl AclMdl] fn aclGetTensorDescType(desc: *const aclTensorDesc) -> aclDataType;
    [AscendCl AclMdl] fn aclGetTensorDescFormat(desc: *const aclTensorDesc) -> aclFormat;
    [AscendCl AclMdl] fn aclGetTensorDescSize(desc: *const aclTensorDesc) -> usize;
    [AscendCl AclMdl] fn aclGetTensorDescElementCount(desc: *const aclTensorDesc) -> usize;
    [AscendCl AclMdl] fn aclGetTensorDescNumDims(desc: *const aclTensorDesc) -> usize;
    [AscendCl AclMdl] fn aclGetTensorDescDimV2(
        desc: *const aclTensorDesc, index: usize, dim_size: *mut i64,
    ) -> aclError;
    [AscendCl AclMdl] fn aclSetTensorDescName(desc: *mut aclTensorDesc, name: *const c_char);
    [AscendCl AclMdl] fn aclGetTensorDescName(desc: *mut aclTensorDesc) -> *const c_char;
}
