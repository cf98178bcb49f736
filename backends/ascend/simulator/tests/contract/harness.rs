//! Drives the library as a C program would: opened by `dlopen`, called through the tables of
//! `lockstep-ascend-abi`, each test in a process of its own.

use lockstep_ascend_abi::{
    Symbol, aclDataType, aclFormat, aclOpExecutor, aclScalar, aclTensor, aclrtMemMallocPolicy,
    aclrtMemcpyKind, aclrtStream, capture, meta, model, ops, runtime,
};
use std::ffi::{CStr, c_char, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::ptr::{NonNull, null, null_mut};
use std::sync::OnceLock;

/// The library's functions.
pub(crate) struct Acl {
    pub(crate) runtime: runtime::Runtime,
    pub(crate) capture: capture::Capture,
    pub(crate) model: model::Model,
    pub(crate) meta: meta::Meta,
    pub(crate) ops: ops::Ops,
    pub(crate) library: libloading::Library,
}

/// `acl!(GROUP.NAME(ARGUMENTS))`: calls an export.
macro_rules! acl {
    ($group:ident.$name:ident($($argument:expr),* $(,)?)) => {{
        let function = $crate::harness::library().$group.$name.expect(stringify!($name));
        // SAFETY: the arguments are what the test says; wrong ones are handles and nulls that the simulator
        // promises to refuse.
        unsafe { function($($argument),*) }
    }};
}
pub(crate) use acl;

pub(crate) const POLICY: aclrtMemMallocPolicy = aclrtMemMallocPolicy::MALLOC_HUGE_FIRST;
pub(crate) const KIND: aclrtMemcpyKind = aclrtMemcpyKind::DEFAULT;

/// The shared library that this test was built with.
pub(crate) fn library_path() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let deps = own.parent().expect("a file has a folder");
    let name = "liblockstep_ascend_simulator.so";
    let found = [Some(deps), deps.parent()].into_iter().flatten().map(|folder| folder.join(name));
    found.into_iter().find(|path| path.exists()).expect("cargo builds the cdylib with its tests")
}

/// Opens a library and takes its functions.
pub(crate) fn open(path: &std::path::Path) -> Acl {
    // SAFETY: the simulator runs nothing when it is loaded.
    let library = unsafe { libloading::Library::new(path) }.expect("the simulator loads");
    let mut resolve = |symbol: &Symbol| {
        // SAFETY: only the address is taken.
        let found = unsafe { library.get::<*mut c_void>(symbol.name.to_bytes_with_nul()) }.ok()?;
        NonNull::new(*found)
    };
    Acl {
        runtime: runtime::Runtime::load(&mut resolve),
        capture: capture::Capture::load(&mut resolve),
        model: model::Model::load(&mut resolve),
        meta: meta::Meta::load(&mut resolve),
        ops: ops::Ops::load(&mut resolve),
        library,
    }
}

/// The library, opened once per process.
pub(crate) fn library() -> &'static Acl {
    static LIBRARY: OnceLock<Acl> = OnceLock::new();
    LIBRARY.get_or_init(|| open(&library_path()))
}

/// Runs `body` in a fresh process with `environment`; `test` is the calling test's path, such as
/// `start::a_second_init_is_told`.
pub(crate) fn fresh(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    const MARK: &str = "CONTRACT_TEST_IN_CHILD";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let own = std::env::current_exe().expect("a test has a path");
    let output = Command::new(own)
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env_remove("ASCEND_RT_VISIBLE_DEVICES")
        .env(MARK, "1")
        .envs(environment.iter().copied())
        .output()
        .expect("a test can run itself");
    let told = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {}\n{told}\n{wrong}", output.status);
    assert!(told.contains("1 passed"), "{test} is no test's path:\n{told}");
}

/// A test whose body runs in a fresh process.
macro_rules! contract {
    ($(#[$attribute:meta])* fn $name:ident() $body:block) => {
        contract! { $(#[$attribute])* fn $name() with [] $body }
    };
    ($(#[$attribute:meta])* fn $name:ident() with [$($variable:literal = $value:expr),*] $body:block) => {
        #[test]
        $(#[$attribute])*
        fn $name() {
            let module = module_path!().split_once("::").map_or("", |(_, module)| module);
            let test = [module, stringify!($name)].join("::");
            $crate::harness::fresh(&test, &[$(($variable, $value)),*], || $body);
        }
    };
}
pub(crate) use contract;

/// `aclInit` and device 0.
pub(crate) fn start() {
    assert_eq!(acl!(runtime.aclInit(null())), 0, "{}", recent());
    assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0, "{}", recent());
}

/// The thread's messages.
pub(crate) fn recent() -> String {
    let text = acl!(runtime.aclGetRecentErrMsg());
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null: a text that ends in NUL.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A number of the simulator's report; 0 if it has no such line.
pub(crate) fn reported(name: &str) -> u64 {
    type Report = unsafe extern "C" fn(*mut c_char, usize) -> usize;
    let mut text = vec![0u8; 1 << 16];
    // SAFETY: the documented signature, and the buffer's own size.
    let size = unsafe {
        let report = library().library.get::<Report>(b"lockstep_ascend_simulator_report\0");
        report.expect("exported")(text.as_mut_ptr().cast(), text.len())
    };
    let text = String::from_utf8_lossy(&text[..size - 1]).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.into_iter().find(|(known, _)| *known == name);
    found.map_or(0, |(_, value)| value.parse().expect("a number"))
}

/// Device memory of the current device.
pub(crate) fn device_memory(bytes: usize) -> *mut c_void {
    let mut address = null_mut();
    assert_eq!(acl!(runtime.aclrtMalloc(&mut address, bytes, POLICY)), 0, "{}", recent());
    address
}

/// Pinned memory.
pub(crate) fn pinned_memory(bytes: usize) -> *mut c_void {
    let mut address = null_mut();
    assert_eq!(acl!(runtime.aclrtMallocHost(&mut address, bytes)), 0, "{}", recent());
    address
}

/// Device memory that holds `values`.
pub(crate) fn uploaded(values: &[f32]) -> *mut c_void {
    let bytes = size_of_val(values);
    let address = device_memory(bytes);
    assert_eq!(acl!(runtime.aclrtMemcpy(address, bytes, values.as_ptr().cast(), bytes, KIND)), 0);
    address
}

/// What device memory holds.
pub(crate) fn downloaded(address: *mut c_void, count: usize) -> Vec<f32> {
    let mut values = vec![0f32; count];
    let bytes = size_of_val(&values[..]);
    let code = acl!(runtime.aclrtMemcpy(values.as_mut_ptr().cast(), bytes, address, bytes, KIND));
    assert_eq!(code, 0, "{}", recent());
    values
}

/// A stream of the current context.
pub(crate) fn new_stream() -> aclrtStream {
    let mut stream = null_mut();
    assert_eq!(acl!(runtime.aclrtCreateStream(&mut stream)), 0, "{}", recent());
    stream
}

/// A dense f32 tensor.
pub(crate) fn tensor(address: *mut c_void, dims: &[i64]) -> *mut aclTensor {
    let count = dims.len() as u64;
    let made = acl!(meta.aclCreateTensor(
        dims.as_ptr(),
        count,
        aclDataType::FLOAT,
        null(),
        0,
        aclFormat::ND,
        dims.as_ptr(),
        count,
        address
    ));
    assert!(!made.is_null(), "{}", recent());
    made
}

/// An f32 scalar.
pub(crate) fn scalar(mut value: f32) -> *mut aclScalar {
    let made = acl!(meta.aclCreateScalar((&raw mut value).cast(), aclDataType::FLOAT));
    assert!(!made.is_null(), "{}", recent());
    made
}

/// Both phases of `aclnnAdd`, called as C does.
pub(crate) struct Add {
    pub(crate) a: *mut aclTensor,
    pub(crate) b: *mut aclTensor,
    pub(crate) alpha: *mut aclScalar,
    pub(crate) out: *mut aclTensor,
}

impl Add {
    /// Of `count` f32 at three addresses, with alpha 1.
    pub(crate) fn of(a: *mut c_void, b: *mut c_void, out: *mut c_void, count: i64) -> Self {
        let [a, b, out] = [a, b, out].map(|address| tensor(address, &[count]));
        Self { a, b, alpha: scalar(1.0), out }
    }

    /// Phase 1: the status and the executor.
    pub(crate) fn prepare(&self) -> (i32, *mut aclOpExecutor) {
        let (status, executor, _) = self.prepare_with_workspace();
        (status, executor)
    }

    /// Phase 1: the status, the executor, and the workspace's size.
    pub(crate) fn prepare_with_workspace(&self) -> (i32, *mut aclOpExecutor, u64) {
        let (mut workspace, mut executor) = (0, null_mut());
        let prepare = library().ops.elementwise.aclnnAdd.expect("exported").prepare;
        // SAFETY: handles and nulls, which are refused if they are wrong.
        let status = unsafe { prepare(self.a, self.b, self.alpha, self.out, &mut workspace, &mut executor) };
        (status, executor, workspace)
    }

    /// An executor.
    pub(crate) fn prepared(&self) -> *mut aclOpExecutor {
        let (status, executor) = self.prepare();
        assert_eq!(status, 0, "{}", recent());
        executor
    }

    /// Both phases.
    pub(crate) fn launch(&self, stream: aclrtStream) {
        assert_eq!(execute_add(self.prepared(), stream), 0, "{}", recent());
    }

    /// Gives back the tensors and the scalar.
    pub(crate) fn destroy(self) {
        for tensor in [self.a, self.b, self.out] {
            assert_eq!(acl!(meta.aclDestroyTensor(tensor)), 0);
        }
        assert_eq!(acl!(meta.aclDestroyScalar(self.alpha)), 0);
    }
}

/// Phase 2 of `aclnnAdd`.
pub(crate) fn execute_add(executor: *mut aclOpExecutor, stream: aclrtStream) -> i32 {
    let execute = library().ops.elementwise.aclnnAdd.expect("exported").execute;
    // SAFETY: no workspace is needed; a wrong executor is refused.
    unsafe { execute(null_mut(), 0, executor, stream) }
}
