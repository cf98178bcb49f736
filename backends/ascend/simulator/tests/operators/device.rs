//! The simulator as a C program sees it: loaded by name, called through the ABI's tables.

use core::ffi::{CStr, c_void};
use core::ptr;
use half::{bf16, f16};
use lockstep_ascend_abi::{
    ExecuteOp, Symbol, aclDataType, aclFormat, aclIntArray, aclOpExecutor, aclScalar, aclTensor,
    aclTensorList, aclrtMemMallocPolicy, aclrtMemcpyKind, meta::Meta, ops::Ops, runtime::Runtime,
};
use std::path::PathBuf;
use std::sync::OnceLock;

pub(crate) type Dtype = aclDataType;
pub(crate) const F32: Dtype = Dtype::FLOAT;
pub(crate) const F16: Dtype = Dtype::FLOAT16;
pub(crate) const BF16: Dtype = Dtype::BF16;
pub(crate) const F64: Dtype = Dtype::DOUBLE;
pub(crate) const I32: Dtype = Dtype::INT32;
pub(crate) const I64: Dtype = Dtype::INT64;
pub(crate) const BOOL: Dtype = Dtype::BOOL;

/// The simulator's functions.
pub(crate) struct Api {
    pub(crate) runtime: Runtime,
    pub(crate) meta: Meta,
    pub(crate) ops: Ops,
}

/// Loads the library once, initialises it, and makes device 0 current on this thread.
pub(crate) fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    let api = API.get_or_init(|| {
        let path = library_path();
        // SAFETY: the library has no initialisers that ask anything of its user; it is never unloaded.
        let library = unsafe { libloading::Library::new(&path) };
        let library: &libloading::Library =
            Box::leak(Box::new(library.unwrap_or_else(|error| panic!("{}: {error}", path.display()))));
        let mut resolve = |symbol: &Symbol| {
            // SAFETY: it is only looked up; the table gives its type.
            let address = unsafe { library.get::<*mut c_void>(symbol.name.to_bytes_with_nul()) };
            ptr::NonNull::new(*address.ok()?)
        };
        let api = Api {
            runtime: Runtime::load(&mut resolve),
            meta: Meta::load(&mut resolve),
            ops: Ops::load(&mut resolve),
        };
        // SAFETY: null is no configuration.
        assert_eq!(unsafe { api.runtime.aclInit.expect("exported")(ptr::null()) }, 0);
        api
    });
    // SAFETY: it takes a number.
    assert_eq!(unsafe { api.runtime.aclrtSetDevice.expect("exported")(0) }, 0);
    api
}

/// Beside this test, or one folder up, as cargo lays it out.
fn library_path() -> PathBuf {
    let test = std::env::current_exe().expect("this process has a path");
    let name = libloading::library_filename("lockstep_ascend_simulator");
    let found = test.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{} is built with this test", name.to_string_lossy()))
}

/// What the thread's newest messages say.
pub(crate) fn messages() -> String {
    // SAFETY: it gives null or a string that lives until the next call.
    unsafe {
        let text = api().runtime.aclGetRecentErrMsg.expect("exported")();
        if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}

/// Why an operator did not run.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Phase 1 said no.
    Phase1(i32, String),
    /// It faulted on the device.
    Late(i32, String),
}

/// What `call!` does after phase 1.
pub(crate) fn finish(
    status: i32,
    size: u64,
    executor: *mut aclOpExecutor,
    execute: ExecuteOp,
) -> Result<(), Refused> {
    if status != 0 {
        return Err(Refused::Phase1(status, messages()));
    }
    let workspace = if size == 0 { ptr::null_mut() } else { allocate(size as usize) };
    let stream = stream();
    // SAFETY: phase 1 made the executor; its tensors are alive.
    unsafe {
        assert_eq!(execute(workspace, size, executor, stream), 0, "{}", messages());
        let status = api().runtime.aclrtSynchronizeStream.expect("exported")(stream);
        let text = if status == 0 { String::new() } else { messages() };
        assert_eq!(api().runtime.aclrtDestroyStream.expect("exported")(stream), 0);
        if status == 0 { Ok(()) } else { Err(Refused::Late(status, text)) }
    }
}

/// A stream of its own for each call, so that a fault stays with its test.
fn stream() -> *mut c_void {
    let mut stream = ptr::null_mut();
    // SAFETY: the pointer is a place for it.
    let status = unsafe { api().runtime.aclrtCreateStream.expect("exported")(&mut stream) };
    assert_eq!(status, 0, "{}", messages());
    stream
}

/// Both phases of an operator, and a wait: `call!(elementwise.aclnnExp(x.input(), out.output()))`.
macro_rules! call {
    ($group:ident.$op:ident($($argument:expr),* $(,)?)) => {{
        let op = $crate::device::api().ops.$group.$op.expect("exported");
        let (mut size, mut executor) = (0, core::ptr::null_mut());
        // SAFETY: the arguments are alive until the call is over, and of the types that the table gives.
        let status = unsafe { (op.prepare)($($argument,)* &mut size, &mut executor) };
        $crate::device::finish(status, size, executor, op.execute)
    }};
}
pub(crate) use call;

fn allocate(bytes: usize) -> *mut c_void {
    let mut memory = ptr::null_mut();
    // SAFETY: the pointer is a place for the address.
    let status = unsafe {
        api().runtime.aclrtMalloc.expect("exported")(
            &mut memory,
            bytes,
            aclrtMemMallocPolicy::MALLOC_HUGE_FIRST,
        )
    };
    assert_eq!(status, 0, "{}", messages());
    memory
}

/// A tensor on the device with memory of its own.
pub(crate) struct Tensor {
    handle: *mut aclTensor,
    memory: *mut c_void,
    bytes: usize,
    dtype: Dtype,
}

impl Tensor {
    /// Dense, of these values.
    pub(crate) fn new(dtype: Dtype, dims: &[i64], values: &[f64]) -> Self {
        assert_eq!(dims.iter().product::<i64>() as usize, values.len());
        Self::view(dtype, values, dims, &dense_strides(dims), 0)
    }

    /// Dense, full of a value that no operator is expected to give.
    pub(crate) fn empty(dtype: Dtype, dims: &[i64]) -> Self {
        let count = dims.iter().product::<i64>() as usize;
        Self::new(dtype, dims, &vec![77.0; count])
    }

    /// A view of a storage of these values.
    pub(crate) fn view(dtype: Dtype, storage: &[f64], dims: &[i64], strides: &[i64], offset: i64) -> Self {
        Self::in_format(dtype, storage, dims, strides, offset, aclFormat::ND)
    }

    /// A view in another format.
    pub(crate) fn in_format(
        dtype: Dtype,
        storage: &[f64],
        dims: &[i64],
        strides: &[i64],
        offset: i64,
        format: aclFormat,
    ) -> Self {
        let host: Vec<u8> = storage.iter().flat_map(|value| encode(dtype, *value)).collect();
        let memory = allocate(host.len().max(32));
        let api = api();
        let storage_dims = [storage.len() as i64];
        // SAFETY: the memory holds the bytes, and the arrays are as long as said.
        let handle = unsafe {
            let copy = api.runtime.aclrtMemcpy.expect("exported");
            let status =
                copy(memory, host.len(), host.as_ptr().cast(), host.len(), aclrtMemcpyKind::HOST_TO_DEVICE);
            assert!(status == 0 || host.is_empty(), "{}", messages());
            api.meta.aclCreateTensor.expect("exported")(
                dims.as_ptr(),
                dims.len() as u64,
                dtype,
                strides.as_ptr(),
                offset,
                format,
                storage_dims.as_ptr(),
                1,
                memory,
            )
        };
        assert!(!handle.is_null(), "{}", messages());
        Self { handle, memory, bytes: host.len(), dtype }
    }

    /// For phase 1.
    pub(crate) fn get(&self) -> *mut aclTensor {
        self.handle
    }

    /// The storage's values.
    pub(crate) fn values(&self) -> Vec<f64> {
        let mut host = vec![0u8; self.bytes];
        if self.bytes > 0 {
            // SAFETY: both hold the bytes.
            let status = unsafe {
                api().runtime.aclrtMemcpy.expect("exported")(
                    host.as_mut_ptr().cast(),
                    self.bytes,
                    self.memory,
                    self.bytes,
                    aclrtMemcpyKind::DEVICE_TO_HOST,
                )
            };
            assert_eq!(status, 0, "{}", messages());
        }
        host.chunks_exact(encode(self.dtype, 0.0).len()).map(|bytes| decode(self.dtype, bytes)).collect()
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        // SAFETY: both were made by `in_format`, and nothing is in flight.
        unsafe {
            api().meta.aclDestroyTensor.expect("exported")(self.handle);
            api().runtime.aclrtFree.expect("exported")(self.memory);
        }
    }
}

/// Strides of dense extents.
pub(crate) fn dense_strides(dims: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// A scalar parameter.
pub(crate) struct Scalar(*mut aclScalar);

impl Scalar {
    pub(crate) fn new(dtype: Dtype, value: f64) -> Self {
        let mut bytes = encode(dtype, value);
        // SAFETY: the bytes are one value of the type.
        let handle =
            unsafe { api().meta.aclCreateScalar.expect("exported")(bytes.as_mut_ptr().cast(), dtype) };
        assert!(!handle.is_null());
        Self(handle)
    }

    pub(crate) fn get(&self) -> *mut aclScalar {
        self.0
    }
}

impl Drop for Scalar {
    fn drop(&mut self) {
        // SAFETY: `new` made it.
        unsafe { api().meta.aclDestroyScalar.expect("exported")(self.0) };
    }
}

/// An array parameter.
pub(crate) struct Integers(*mut aclIntArray);

impl Integers {
    pub(crate) fn new(values: &[i64]) -> Self {
        // SAFETY: the array is as long as said.
        let handle =
            unsafe { api().meta.aclCreateIntArray.expect("exported")(values.as_ptr(), values.len() as u64) };
        assert!(!handle.is_null());
        Self(handle)
    }

    pub(crate) fn get(&self) -> *mut aclIntArray {
        self.0
    }
}

impl Drop for Integers {
    fn drop(&mut self) {
        // SAFETY: `new` made it.
        unsafe { api().meta.aclDestroyIntArray.expect("exported")(self.0) };
    }
}

/// A list parameter, which takes the tensors' handles; their memory is freed with the list.
pub(crate) struct List(*mut aclTensorList, Vec<Tensor>);

impl List {
    pub(crate) fn new(tensors: Vec<Tensor>) -> Self {
        let handles: Vec<*const aclTensor> =
            tensors.iter().map(|tensor| tensor.handle.cast_const()).collect();
        // SAFETY: the array is as long as said.
        let handle = unsafe {
            api().meta.aclCreateTensorList.expect("exported")(handles.as_ptr(), handles.len() as u64)
        };
        assert!(!handle.is_null());
        Self(handle, tensors)
    }

    pub(crate) fn get(&self) -> *mut aclTensorList {
        self.0
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: `new` made it; the tensors go with it, and only their memory is left.
        unsafe {
            api().meta.aclDestroyTensorList.expect("exported")(self.0);
            for tensor in self.1.drain(..) {
                api().runtime.aclrtFree.expect("exported")(tensor.memory);
                core::mem::forget(tensor);
            }
        }
    }
}

/// One value in memory.
fn encode(dtype: Dtype, value: f64) -> Vec<u8> {
    match dtype {
        Dtype::FLOAT => (value as f32).to_le_bytes().to_vec(),
        Dtype::FLOAT16 => f16::from_f64(value).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f64(value).to_le_bytes().to_vec(),
        Dtype::DOUBLE => value.to_le_bytes().to_vec(),
        Dtype::INT64 => (value as i64).to_le_bytes().to_vec(),
        Dtype::INT32 => (value as i32).to_le_bytes().to_vec(),
        Dtype::INT16 => (value as i16).to_le_bytes().to_vec(),
        Dtype::UINT16 => (value as u16).to_le_bytes().to_vec(),
        Dtype::INT8 => (value as i8).to_le_bytes().to_vec(),
        Dtype::UINT8 => (value as u8).to_le_bytes().to_vec(),
        Dtype::BOOL => vec![u8::from(value != 0.0)],
        other => panic!("the tests use no {other:?}"),
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> f64 {
    macro_rules! of {
        ($type:ty) => {
            <$type>::from_le_bytes(bytes.try_into().expect("one value"))
        };
    }
    match dtype {
        Dtype::FLOAT => of!(f32).into(),
        Dtype::FLOAT16 => of!(f16).into(),
        Dtype::BF16 => of!(bf16).into(),
        Dtype::DOUBLE => of!(f64),
        Dtype::INT64 => of!(i64) as f64,
        Dtype::INT32 => of!(i32).into(),
        Dtype::INT16 => of!(i16).into(),
        Dtype::UINT16 => of!(u16).into(),
        Dtype::INT8 => of!(i8).into(),
        Dtype::UINT8 | Dtype::BOOL => bytes[0].into(),
        other => panic!("the tests use no {other:?}"),
    }
}

/// A value as a type holds it.
pub(crate) fn rounded(dtype: Dtype, value: f64) -> f64 {
    decode(dtype, &encode(dtype, value))
}

/// Holds results to exact ones: off by half a unit in the last place of `dtype`, for the rounding at the store, and
/// `f32_units` of f32, for what was computed before it. NaN and infinities are the same.
pub(crate) fn assert_close(got: &[f64], exact: &[f64], dtype: Dtype, f32_units: f64) {
    assert_eq!(got.len(), exact.len());
    for (index, (got, exact)) in got.iter().zip(exact).enumerate() {
        let same = got == exact || (got.is_nan() && exact.is_nan()) || *got == rounded(dtype, *exact);
        let (digits, smallest) = match dtype {
            Dtype::FLOAT16 => (11, -24),
            Dtype::BF16 => (8, -133),
            _ => (24, -149),
        };
        let unit = |digits: i32, smallest: i32| {
            let exponent = (exact.abs().log2().floor() as i32).clamp(-1100, 1100);
            2f64.powi((exponent + 1 - digits).max(smallest))
        };
        let store = if dtype == Dtype::FLOAT { 0.0 } else { 0.5 * unit(digits, smallest) };
        let bound = store + f32_units * unit(24, -149);
        assert!(
            same || (got - exact).abs() <= bound,
            "{dtype:?} [{index}]: {got}, expected {exact} +- {bound}"
        );
    }
}

/// Numbers that look random, the same ones each time, in -`scale`..`scale`, as `dtype` holds them.
pub(crate) fn numbers(dtype: Dtype, count: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rounded(dtype, ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * scale)
    };
    core::iter::repeat_with(number).take(count).collect()
}

/// Phase 1 refused with `status`, and its text says what.
pub(crate) fn assert_refused(outcome: Result<(), Refused>, status: i32, says: &str) {
    match outcome {
        Err(Refused::Phase1(found, text)) => {
            assert_eq!(found, status, "{text}");
            assert!(text.contains(says), "{text:?} says nothing of {says:?}");
        }
        other => panic!("expected refusal {status}, got {other:?}"),
    }
}

/// It faulted on the device with `code`, and the text says what.
pub(crate) fn assert_faulted(outcome: Result<(), Refused>, code: i32, says: &str) {
    match outcome {
        Err(Refused::Late(found, text)) => {
            assert_eq!(found, code, "{text}");
            assert!(text.contains(says), "{text:?} says nothing of {says:?}");
        }
        other => panic!("expected fault {code}, got {other:?}"),
    }
}
