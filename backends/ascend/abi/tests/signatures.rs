//! The signatures on which a transformer depends, written a second time in plain types, and a library's
//! functions held to the declarations, loaded and called: arguments must arrive as they were passed.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{self, NonNull};
use lockstep_ascend_abi::{meta::*, ops::*, runtime::*, *};

type Ptr = *mut c_void;
type Tensor = *const aclTensor;
type Size = *mut u64;
type Executor = *mut *mut aclOpExecutor;

/// Compiles only if the two types are one.
macro_rules! same {
    ($($declared:path = fn($($param:ty),*) $(-> $result:ty)?;)*) => {$(
        const _: fn($declared) -> unsafe extern "C" fn($($param),*) $(-> $result)? = |function| function;
    )*};
}

same! {
    aclInit = fn(*const c_char) -> i32;
    aclFinalize = fn() -> i32;
    aclGetRecentErrMsg = fn() -> *const c_char;
    aclrtGetSocName = fn() -> *const c_char;
    aclrtSetDevice = fn(i32) -> i32;
    aclrtGetDeviceCount = fn(*mut u32) -> i32;
    aclrtCreateContext = fn(*mut Ptr, i32) -> i32;
    aclrtSetCurrentContext = fn(Ptr) -> i32;
    aclrtCreateStream = fn(*mut Ptr) -> i32;
    aclrtSynchronizeStreamWithTimeout = fn(Ptr, i32) -> i32;
    aclrtRecordEvent = fn(Ptr, Ptr) -> i32;
    aclrtStreamWaitEvent = fn(Ptr, Ptr) -> i32;
    aclrtEventElapsedTime = fn(*mut f32, Ptr, Ptr) -> i32;
    aclrtMalloc = fn(*mut Ptr, usize, aclrtMemMallocPolicy) -> i32;
    aclrtMallocHost = fn(*mut Ptr, usize) -> i32;
    aclrtFree = fn(Ptr) -> i32;
    aclrtMemcpy = fn(Ptr, usize, *const c_void, usize, aclrtMemcpyKind) -> i32;
    aclrtMemcpyAsync = fn(Ptr, usize, *const c_void, usize, aclrtMemcpyKind, Ptr) -> i32;
    aclrtMemset = fn(Ptr, usize, i32, usize) -> i32;
    aclrtGetMemInfo = fn(aclrtMemAttr, *mut usize, *mut usize) -> i32;
    aclrtSetSysParamOpt = fn(aclSysParamOpt, i64) -> i32;
    capture::aclmdlRICaptureBegin = fn(Ptr, aclmdlRICaptureMode) -> i32;
    capture::aclmdlRICaptureEnd = fn(Ptr, *mut Ptr) -> i32;
    capture::aclmdlRIExecuteAsync = fn(Ptr, Ptr) -> i32;
    model::aclmdlGetInputDims = fn(*const aclmdlDesc, usize, *mut aclmdlIODims) -> i32;
    model::aclmdlExecuteAsync = fn(u32, *const aclmdlDataset, *mut aclmdlDataset, Ptr) -> i32;
    model::aclCreateTensorDesc = fn(aclDataType, c_int, *const i64, aclFormat) -> *mut aclTensorDesc;
    model::aclDestroyTensorDesc = fn(*const aclTensorDesc);
    aclCreateTensor = fn(
        *const i64, u64, aclDataType, *const i64, i64, aclFormat, *const i64, u64, Ptr
    ) -> *mut aclTensor;
    aclCreateTensorList = fn(*const Tensor, u64) -> *mut aclTensorList;
    aclCreateBoolArray = fn(*const bool, u64) -> *mut aclBoolArray;
    aclSetInputTensorAddr = fn(*mut aclOpExecutor, usize, *mut aclTensor, Ptr) -> i32;
    matmul::aclnnMatmulGetWorkspaceSize = fn(Tensor, Tensor, *mut aclTensor, i8, Size, Executor) -> i32;
    matmul::aclnnMatmul = fn(Ptr, u64, *mut aclOpExecutor, Ptr) -> i32;
    matmul::aclnnAddmmGetWorkspaceSize = fn(
        Tensor, Tensor, Tensor, *const aclScalar, *const aclScalar, *mut aclTensor, i8, Size, Executor
    ) -> i32;
    normalization::aclnnLayerNormGetWorkspaceSize = fn(
        Tensor, *const aclIntArray, Tensor, Tensor, f64, *mut aclTensor, *mut aclTensor, *mut aclTensor, Size,
        Executor
    ) -> i32;
    normalization::aclnnAddLayerNormGetWorkspaceSize = fn(
        Tensor, Tensor, Tensor, Tensor, Tensor, f64, bool, Tensor, Tensor, Tensor, Tensor, Size, Executor
    ) -> i32;
    activation::aclnnGeluV2GetWorkspaceSize = fn(Tensor, i64, *mut aclTensor, Size, Executor) -> i32;
    activation::aclnnSoftmaxGetWorkspaceSize = fn(Tensor, i64, *mut aclTensor, Size, Executor) -> i32;
    elementwise::aclnnAddGetWorkspaceSize = fn(
        Tensor, Tensor, *const aclScalar, *mut aclTensor, Size, Executor
    ) -> i32;
    elementwise::aclnnMulsGetWorkspaceSize = fn(
        Tensor, *const aclScalar, *mut aclTensor, Size, Executor
    ) -> i32;
    elementwise::aclnnDivModGetWorkspaceSize = fn(
        Tensor, Tensor, c_int, *mut aclTensor, Size, Executor
    ) -> i32;
    elementwise::aclnnCastGetWorkspaceSize = fn(Tensor, aclDataType, *mut aclTensor, Size, Executor) -> i32;
    index::aclnnEmbeddingGetWorkspaceSize = fn(Tensor, Tensor, Tensor, Size, Executor) -> i32;
    index::aclnnGatherV2GetWorkspaceSize = fn(Tensor, i64, Tensor, *mut aclTensor, Size, Executor) -> i32;
    index::aclnnIndexAddGetWorkspaceSize = fn(
        Tensor, i64, Tensor, Tensor, *const aclScalar, *mut aclTensor, Size, Executor
    ) -> i32;
    layout::aclnnInplaceCopyGetWorkspaceSize = fn(*mut aclTensor, Tensor, Size, Executor) -> i32;
    layout::aclnnPermuteGetWorkspaceSize = fn(
        Tensor, *const aclIntArray, *mut aclTensor, Size, Executor
    ) -> i32;
    layout::aclnnCatGetWorkspaceSize = fn(*const aclTensorList, i64, *mut aclTensor, Size, Executor) -> i32;
    layout::aclnnArgMaxGetWorkspaceSize = fn(Tensor, i64, bool, *mut aclTensor, Size, Executor) -> i32;
    attention::aclnnPromptFlashAttentionGetWorkspaceSize = fn(
        Tensor, Tensor, Tensor, Tensor, Tensor, *const aclIntArray, i64, f64, i64, i64, *mut c_char, i64,
        Tensor, Size, Executor
    ) -> i32;
    attention::aclnnFlashAttentionScoreGetWorkspaceSize = fn(
        Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, *const aclIntArray, f64, f64, i64, i64, i64,
        *mut c_char, i64, i64, Tensor, Tensor, Tensor, Tensor, Size, Executor
    ) -> i32;
}

/// What a library would export.
mod library {
    use super::*;

    pub(super) unsafe extern "C" fn memory_info(
        attr: aclrtMemAttr,
        free: *mut usize,
        total: *mut usize,
    ) -> i32 {
        // SAFETY: the caller passes two places.
        unsafe {
            *free = attr.0 as usize;
            *total = usize::MAX;
        }
        0
    }
    const _: aclrtGetMemInfo = memory_info;

    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe extern "C" fn prepare_layer_norm(
        _input: *const aclTensor,
        _shape: *const aclIntArray,
        _weight: *const aclTensor,
        _bias: *const aclTensor,
        epsilon: f64,
        _out: *mut aclTensor,
        mean: *mut aclTensor,
        _rstd: *mut aclTensor,
        workspace_size: *mut u64,
        executor: *mut *mut aclOpExecutor,
    ) -> i32 {
        if !mean.is_null() {
            return 161_002;
        }
        // SAFETY: the caller passes two places.
        unsafe {
            *workspace_size = epsilon.to_bits();
            *executor = NonNull::dangling().as_ptr();
        }
        0
    }
    const _: normalization::aclnnLayerNormGetWorkspaceSize = prepare_layer_norm;

    pub(super) unsafe extern "C" fn execute(
        _workspace: *mut c_void,
        workspace_size: u64,
        executor: *mut aclOpExecutor,
        stream: aclrtStream,
    ) -> i32 {
        if executor.is_null() || !stream.is_null() { 561_103 } else { (workspace_size >> 32) as i32 }
    }
    const _: ExecuteOp = execute;
}

/// The address of one of the functions above by the name under which a library would export it.
fn resolve(symbol: &Symbol) -> Option<NonNull<c_void>> {
    let address = match symbol.name.to_bytes() {
        b"aclrtGetMemInfo" => library::memory_info as *mut c_void,
        b"aclnnLayerNormGetWorkspaceSize" => library::prepare_layer_norm as *mut c_void,
        b"aclnnLayerNorm" => library::execute as *mut c_void,
        _ => return None,
    };
    NonNull::new(address)
}

#[test]
fn a_loaded_function_gets_its_arguments() {
    let runtime = Runtime::load(&mut resolve);
    let memory_info = runtime.aclrtGetMemInfo.expect("resolved");
    assert!(runtime.aclrtMalloc.is_none());
    let (mut free, mut total) = (0, 0);
    // SAFETY: it is `library::memory_info`.
    let status = unsafe { memory_info(aclrtMemAttr::HBM_MEM_HUGE1G, &mut free, &mut total) };
    assert_eq!((status, free, total), (0, 10, usize::MAX));
}

#[test]
fn an_operator_runs_in_two_phases() {
    let layer_norm = Ops::load(&mut resolve).normalization.aclnnLayerNorm.expect("both phases resolved");
    let (mut size, mut executor) = (0, ptr::null_mut());
    let (none, nothing) = (ptr::null(), ptr::null_mut());
    // SAFETY: they are `library`'s functions, which read no tensor.
    let statuses = unsafe {
        [
            (layer_norm.prepare)(
                none,
                ptr::null(),
                none,
                none,
                1e-12,
                nothing,
                nothing,
                nothing,
                &mut size,
                &mut executor,
            ),
            (layer_norm.execute)(ptr::null_mut(), size, executor, ptr::null_mut()),
        ]
    };
    assert_eq!(f64::from_bits(size), 1e-12);
    assert_eq!(statuses, [0, (1e-12f64.to_bits() >> 32) as i32]);
}
