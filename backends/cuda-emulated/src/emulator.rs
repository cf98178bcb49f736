//! Kernels by name, and blocks of them: the C++ side, made safe.

use crate::LaneOrder;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;

/// A kernel and its parameters, on the C++ side.
#[repr(C)]
struct Registration {
    _opaque: [u8; 0],
}

type Find = unsafe extern "C" fn(*const c_char) -> *const Registration;
type Parameters = unsafe extern "C" fn(*const Registration, *mut c_uint) -> *const c_uint;
type Run = unsafe extern "C" fn(
    *const Registration,
    *const c_uint,
    c_uint,
    usize,
    *const *const c_void,
    u64,
    u64,
    c_int,
    *mut u64,
) -> c_int;

mod linked {
    use super::{Registration, c_char, c_int, c_uint, c_void};

    unsafe extern "C" {
        pub(super) fn lockstep_emulator_find(name: *const c_char) -> *const Registration;
        pub(super) fn lockstep_emulator_parameters(
            kernel: *const Registration,
            count: *mut c_uint,
        ) -> *const c_uint;
        #[allow(clippy::too_many_arguments)]
        pub(super) fn lockstep_emulator_run(
            kernel: *const Registration,
            grid: *const c_uint,
            threads: c_uint,
            shared_bytes: usize,
            arguments: *const *const c_void,
            from: u64,
            to: u64,
            descending: c_int,
            failed: *mut u64,
        ) -> c_int;
    }
}

/// A register of kernels with what runs them. Registrations are statics, complete before they can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    find: Find,
    parameters: Parameters,
    run: Run,
}

impl Default for Kernels {
    /// Those that this crate was built with.
    fn default() -> Self {
        Self {
            find: linked::lockstep_emulator_find,
            parameters: linked::lockstep_emulator_parameters,
            run: linked::lockstep_emulator_run,
        }
    }
}

impl Kernels {
    /// Those of a shared library, which stays loaded.
    ///
    /// # Safety
    /// The library is one of `src/emulator` and kernel sources.
    pub(crate) unsafe fn load(library: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: the caller's promise: the library's initialisers only register kernels, and its functions have these types.
        unsafe {
            let library = ManuallyDrop::new(libloading::Library::new(library)?);
            Ok(Self {
                find: *library.get::<Find>(b"lockstep_emulator_find")?,
                parameters: *library.get::<Parameters>(b"lockstep_emulator_parameters")?,
                run: *library.get::<Run>(b"lockstep_emulator_run")?,
            })
        }
    }

    /// The kernel of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Kernel> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name ends with a zero, and what is found is static.
        let found = unsafe { (self.find)(name.as_ptr()).as_ref() };
        found.map(|registration| Kernel { registration, of: *self })
    }
}

/// A kernel of a register.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    registration: &'static Registration,
    of: Kernels,
}

/// Why blocks did not run to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Threads of the block of that number wait for others that never come.
    Hangs(u64),
    /// No memory for the threads, or more threads than a block has.
    Refused,
}

impl Kernel {
    /// The sizes of its parameters in bytes.
    pub(crate) fn parameters(self) -> &'static [c_uint] {
        let mut count = 0;
        // SAFETY: gives a static array of that many numbers.
        unsafe {
            let sizes = (self.of.parameters)(self.registration, &mut count);
            std::slice::from_raw_parts(sizes, count as usize)
        }
    }

    /// Runs a grid, its blocks shared by as many threads as the process may use.
    ///
    /// # Safety
    /// The arguments are of the sizes that [`Kernel::parameters`] says, and what they point to is memory that nothing else
    /// uses during the call, large enough for what the kernel does.
    pub(crate) unsafe fn run(
        self,
        grid: [u32; 3],
        threads: u32,
        shared_bytes: u32,
        arguments: &[Vec<u8>],
        order: LaneOrder,
    ) -> Result<(), Fault> {
        let blocks: u64 = grid.iter().map(|&extent| u64::from(extent)).product();
        // Aligned for every parameter.
        let storage: Vec<Vec<u64>> = arguments
            .iter()
            .map(|bytes| {
                let words = bytes.chunks(8).map(|chunk| {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    u64::from_ne_bytes(word)
                });
                words.collect()
            })
            .collect();
        let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
        // A thread costs more than a few blocks do.
        let workers = if blocks < 8 { 1 } else { workers.min(blocks) };
        let share = blocks.div_ceil(workers.max(1)).max(1);
        let part = |worker: u64| {
            let pointers: Vec<*const c_void> = storage.iter().map(|words| words.as_ptr().cast()).collect();
            let (from, to) = (worker * share, ((worker + 1) * share).min(blocks));
            let mut failed = 0;
            // SAFETY: the caller's promise; grid, pointers and `failed` live through the call.
            let code = unsafe {
                (self.of.run)(
                    self.registration,
                    grid.as_ptr(),
                    threads,
                    shared_bytes as usize,
                    pointers.as_ptr(),
                    from,
                    to,
                    c_int::from(order == LaneOrder::Descending),
                    &mut failed,
                )
            };
            match code {
                0 => Ok(()),
                1 => Err(Fault::Hangs(failed)),
                _ => Err(Fault::Refused),
            }
        };
        match (workers, &*POOL) {
            (2.., Some(pool)) => {
                let faults: Vec<_> = pool.install(|| (0..workers).into_par_iter().map(part).collect());
                faults.into_iter().find(Result::is_err).unwrap_or(Ok(()))
            }
            _ => (0..workers).map(part).find(Result::is_err).unwrap_or(Ok(())),
        }
    }
}

/// Threads that live as long as the process: each carries the stacks of its fibers.
static POOL: LazyLock<Option<rayon::ThreadPool>> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().build().ok());
