//! One GPU: its context, a stream, the kernels, and memory.

use super::calls::Calls;
use super::probe::Gpu;
use super::replay::DriverReplay;
use crate::engine::{Engine, Memory, Pinned, Recording, Replay};
use cudarc::driver::{result, sys};
use lockstep_hal::{DeviceInfo, Error, Result};
use lockstep_kernels::cuda::{entries, modules};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A kernel, as the driver knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function(pub(super) sys::CUfunction);

// SAFETY: a function may be launched from any thread with its context current.
unsafe impl Send for Function {}

/// The one stream of a device. The lock is held while commands are put on it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) stream: sys::CUstream,
}

/// The modules that some program has needed. A driver compiles a whole module when it loads one, which takes long enough not to
/// do it for kernels that nothing runs.
#[derive(Debug, Default)]
struct Loaded {
    modules: Vec<sys::CUmodule>,
    functions: HashMap<&'static str, Function>,
    /// Bytes of dynamic shared memory that a kernel may have, where that is more than any kernel may.
    shared: HashMap<String, u32>,
}

/// Dynamic shared memory that a kernel may have without being allowed more.
const SHARED_WITHOUT_ASKING: u32 = 48 << 10;

/// An open GPU.
#[derive(Debug)]
pub(crate) struct DriverEngine {
    info: DeviceInfo,
    primary: Arc<Primary>,
    kernels: Mutex<Loaded>,
    pub(super) calls: Arc<Calls>,
    stream: Mutex<Stream>,
}

// SAFETY: contexts, modules and functions may be used from any thread (the context is made current first); the stream
// is behind a lock.
unsafe impl Send for DriverEngine {}
// SAFETY: as above.
unsafe impl Sync for DriverEngine {}

/// What is being done where no node is.
const OPENING: &str = "the opening of the device";

impl DriverEngine {
    /// Retains the GPU's primary context, and makes the stream.
    pub(super) fn open(gpu: Gpu) -> Result<Self> {
        let calls = Arc::new(Calls::new(&gpu.info.id));
        // SAFETY: the device is the driver's; it is released by `Primary`.
        let context = unsafe { result::primary_ctx::retain(gpu.device) };
        let context = calls.check(OPENING, "cuDevicePrimaryCtxRetain", context)?;
        let primary = Arc::new(Primary { device: gpu.device, context });
        // SAFETY: the context was retained just now.
        calls.check(OPENING, "cuCtxSetCurrent", unsafe { result::ctx::set_current(context) })?;
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking);
        let stream = calls.check(OPENING, "cuStreamCreate", stream)?;
        Ok(Self {
            info: gpu.info,
            primary,
            kernels: Mutex::default(),
            calls,
            stream: Mutex::new(Stream { stream }),
        })
    }

    fn load(&self, loaded: &mut Loaded, name: &str, ptx: &'static str) -> Result<()> {
        let what = format!("the kernels of {name}");
        let image = CString::new(ptx).map_err(|_| {
            self.calls.error(&what, "cuModuleLoadData", 0, "the PTX has a zero byte; is the build damaged?")
        })?;
        // The driver keeps what it has compiled; that may be damaged, and the PTX, which is part of the program, is not.
        let call =
            "cuModuleLoadData (if the driver's cache is damaged, CUDA_CACHE_DISABLE=1 goes without it)";
        // SAFETY: the image is PTX that ends with a zero; the context is current.
        let module = unsafe { result::module::load_data(image.as_ptr().cast()) };
        let module = self.calls.check(&what, call, module)?;
        loaded.modules.push(module);
        for entry in entries(ptx) {
            let symbol =
                CString::new(entry).map_err(|_| Error::program("a kernel's name has a zero byte"))?;
            // SAFETY: the module was loaded just now.
            let function = unsafe { result::module::get_function(module, symbol) };
            let function = self.calls.check(entry, "cuModuleGetFunction", function)?;
            loaded.functions.insert(entry, Function(function));
        }
        Ok(())
    }

    /// The kernel of that name; its module is loaded if it is the first of it. The device's context is current.
    pub(super) fn function(&self, node: &str, kernel: &str) -> Result<Function> {
        let mut loaded = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if !loaded.functions.contains_key(kernel) {
            let holds = |ptx: &str| entries(ptx).any(|entry| entry == kernel);
            if let Some(module) = modules().iter().find(|module| holds(module.ptx)) {
                self.load(&mut loaded, module.name, module.ptx)?;
            }
        }
        (loaded.functions.get(kernel).copied())
            .ok_or_else(|| self.calls.error(node, kernel, 500, "there is no kernel of that name"))
    }

    /// Allows a kernel so much dynamic shared memory. What it may have is never lowered: another program's launch of the same kernel may
    /// need more.
    pub(super) fn allow_shared(
        &self,
        node: &str,
        kernel: &str,
        function: Function,
        bytes: u32,
    ) -> Result<()> {
        use sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as MOST;
        let mut loaded = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = loaded.shared.get(kernel).copied().unwrap_or(SHARED_WITHOUT_ASKING);
        if bytes <= allowed {
            return Ok(());
        }
        // SAFETY: the function is a loaded one.
        let set = unsafe { result::function::set_function_attribute(function.0, MOST, bytes as i32) };
        self.calls.check(node, "cuFuncSetAttribute", set)?;
        loaded.shared.insert(kernel.to_owned(), bytes);
        Ok(())
    }

    /// The stream, with the context current on this thread; refused once the device is lost.
    pub(super) fn enter(&self, node: &str) -> Result<MutexGuard<'_, Stream>> {
        self.calls.alive(node)?;
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        self.calls.check(node, "cuCtxSetCurrent", self.make_current())?;
        Ok(stream)
    }

    /// Makes the context current on this thread.
    pub(super) fn make_current(&self) -> std::result::Result<(), result::DriverError> {
        // SAFETY: the context lives as long as the engine.
        unsafe { result::ctx::set_current(self.primary.context) }
    }
}

impl Engine for DriverEngine {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Memory>> {
        let _stream = self.enter("an allocation")?;
        // SAFETY: what the memory holds is unspecified, and nothing reads it before it is written. None is empty.
        let memory = match unsafe { result::malloc_sync(bytes.max(1)) } {
            Err(error) if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                return Err(Error::OutOfMemory {
                    device: self.info.id.clone(),
                    requested: bytes,
                    free: result::mem_get_info().ok().map(|(free, _)| free),
                });
            }
            answer => self.calls.check("an allocation", "cuMemAlloc", answer)?,
        };
        Ok(Arc::new(DeviceMemory { address: memory, bytes, primary: self.primary.clone() }))
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<Box<dyn Pinned>> {
        let node = "an allocation of pinned memory";
        let _stream = self.enter(node)?;
        // SAFETY: the memory is made defined just below. None is empty.
        let allocated = unsafe { result::malloc_host(bytes.max(1), 0) };
        let first: *mut u8 = self.calls.check(node, "cuMemHostAlloc", allocated)?.cast();
        // SAFETY: so many bytes were allocated just now.
        unsafe { first.write_bytes(0, bytes) };
        Ok(Box::new(PinnedMemory { first, bytes, primary: self.primary.clone() }))
    }

    fn copy_in(&self, memory: &dyn Memory, at: usize, source: &[u8]) -> Result<()> {
        let node = "a copy to the device";
        let stream = self.enter(node)?;
        within(memory, at, source.len())?;
        // SAFETY: the range lies in live device memory; the stream is waited for before `source` may go.
        let copied =
            unsafe { result::memcpy_htod_async(memory.address() + at as u64, source, stream.stream) };
        self.calls.check(node, "cuMemcpyHtoDAsync", copied)?;
        // SAFETY: the stream lives as long as the engine.
        self.calls.check(node, "cuStreamSynchronize", unsafe { result::stream::synchronize(stream.stream) })
    }

    fn copy_out(&self, memory: &dyn Memory, at: usize, destination: &mut [u8]) -> Result<()> {
        let node = "a copy from the device";
        let stream = self.enter(node)?;
        within(memory, at, destination.len())?;
        // SAFETY: as above.
        let copied =
            unsafe { result::memcpy_dtoh_async(destination, memory.address() + at as u64, stream.stream) };
        self.calls.check(node, "cuMemcpyDtoHAsync", copied)?;
        // SAFETY: as above.
        self.calls.check(node, "cuStreamSynchronize", unsafe { result::stream::synchronize(stream.stream) })
    }

    fn record(self: Arc<Self>, recording: Recording) -> Result<Box<dyn Replay>> {
        Ok(Box::new(DriverReplay::new(self, recording)?))
    }
}

fn within(memory: &dyn Memory, at: usize, len: usize) -> Result<()> {
    if at.checked_add(len).is_none_or(|end| end > memory.bytes()) {
        return Err(Error::program(format!("{len} bytes at {at} do not lie in {} bytes", memory.bytes())));
    }
    Ok(())
}

impl Drop for DriverEngine {
    fn drop(&mut self) {
        let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        let kernels = self.kernels.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: everything is the engine's own, and replays, which use it, hold the engine. Answers are of no use: the
        // device may be lost, and there is nothing to be done about it here.
        unsafe {
            let _ = result::ctx::set_current(self.primary.context);
            let _ = result::stream::destroy(stream.stream);
            for module in kernels.modules.drain(..) {
                let _ = result::module::unload(module);
            }
        }
    }
}

/// A GPU's primary context, released by whoever needs it last: memory may outlive the engine.
#[derive(Debug)]
struct Primary {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: a context may be made current on any thread.
unsafe impl Send for Primary {}
// SAFETY: as above.
unsafe impl Sync for Primary {}

impl Drop for Primary {
    fn drop(&mut self) {
        // SAFETY: retained once, by `DriverEngine::open`.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// Device memory, freed when dropped.
#[derive(Debug)]
struct DeviceMemory {
    address: sys::CUdeviceptr,
    bytes: usize,
    primary: Arc<Primary>,
}

impl Memory for DeviceMemory {
    fn address(&self) -> u64 {
        self.address
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in this context, which lives. A lost one answers with an error, and its memory is gone with it.
        unsafe {
            let _ = result::ctx::set_current(self.primary.context);
            let _ = result::free_sync(self.address);
        }
    }
}

/// Page-locked host memory, freed when dropped.
#[derive(Debug)]
struct PinnedMemory {
    first: *mut u8,
    bytes: usize,
    primary: Arc<Primary>,
}

// SAFETY: plain memory that has one owner.
unsafe impl Send for PinnedMemory {}

impl Pinned for PinnedMemory {
    fn address(&self) -> u64 {
        self.first as u64
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: allocated with so many bytes, and defined; the device does not touch them between runs.
        unsafe { std::slice::from_raw_parts_mut(self.first, self.bytes) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // SAFETY: as for device memory.
        unsafe {
            let _ = result::ctx::set_current(self.primary.context);
            let _ = result::free_host(self.first.cast());
        }
    }
}
