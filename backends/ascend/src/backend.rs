//! The backends `ascend` and `ascend-sim`: the same code over the vendor's libraries, and over the simulator.

use crate::calls::{Calls, call};
use crate::device::AscendDevice;
use crate::engine::free_and_total;
use crate::libraries::{self, Functions};
use crate::offline::{ModelFile, OfflineDevice};
use crate::port::{Port, Products};
use crate::profile;
use lockstep_hal::graph::DType;
use lockstep_hal::{Backend, Device, DeviceInfo, Error, Result};
use std::ffi::CStr;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

/// `aclInit` was called before in this process, by this program or another part of it.
const REPEAT_INITIALIZE: i32 = 100_002;
const PROBING: &str = "the search for devices";

/// Whose libraries are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// CANN's.
    Vendor,
    /// The simulator of this project.
    Simulator,
}

/// An Ascend backend. Creating one touches nothing; asking for its devices looks for the libraries.
#[derive(Clone, Copy, Debug)]
pub struct AscendBackend {
    source: Source,
    port: Port,
}

/// The libraries of each source, once they are open: initialised once per process, and never finalised, since a process cannot
/// know who else in it uses them.
static OPEN: Mutex<[Option<Arc<Functions>>; 2]> = Mutex::new([None, None]);

impl AscendBackend {
    /// The backend `ascend`, over CANN's libraries.
    pub fn new() -> Self {
        Self { source: Source::Vendor, port: Port::Careful }
    }

    /// The backend `ascend-sim`, over the simulator that lies beside the program. It computes on this processor and says so.
    pub fn simulator() -> Self {
        Self { source: Source::Simulator, port: Port::Careful }
    }

    /// The backend `ascend-sim-naive`: over the simulator, with the operators that a first port takes by their names. It is there to be
    /// found guilty: what `compare` and `conform` say of it is what a porting team meets.
    pub fn naive() -> Self {
        Self { source: Source::Simulator, port: Port::Naive }
    }

    fn functions(&self) -> Result<Arc<Functions>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut open[usize::from(self.source == Source::Simulator)];
        if let Some(functions) = slot {
            return Ok(functions.clone());
        }
        let functions = Arc::new(match self.source {
            Source::Vendor => libraries::vendor(self.name())?,
            Source::Simulator => libraries::simulator(self.name())?,
        });
        let calls = self.calls(functions.clone(), self.name());
        let Some(initialise) = functions.runtime.aclInit else {
            return Err(calls.absent(PROBING, "aclInit"));
        };
        // SAFETY: no configuration; called once per process for these libraries.
        let code = unsafe { initialise(ptr::null()) };
        if code != REPEAT_INITIALIZE {
            calls.check(PROBING, "aclInit", code).map_err(|error| self.unusable(&error))?;
        }
        calls.forget_errors();
        *slot = Some(functions.clone());
        Ok(functions)
    }

    fn calls(&self, functions: Arc<Functions>, device: &str) -> Calls {
        Calls { functions, device: device.into(), products: Products::from_environment() }
    }

    /// A library that is there and does not work is as good as none, with its own words.
    fn unusable(&self, error: &Error) -> Error {
        Error::Unavailable {
            backend: self.name().into(),
            library: "a device that works".into(),
            searched: vec!["the libraries that were found".into()],
            hint: format!("{error}. Does `npu-smi info` list the device? A container needs /dev/davinci*"),
        }
    }

    /// Asks on a thread of its own, since each thread has a current device and this one may be somebody's.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&str, &Calls) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let calls = self.calls(self.functions()?, self.name());
        let name = self.name();
        let asked = std::thread::spawn(move || question(name, &calls)).join();
        let asked = asked.map_err(|_| Error::program(format!("{name}: {PROBING} ended early")))?;
        asked.map_err(|error| match error {
            Error::Device { .. } => self.unusable(&error),
            other => other,
        })
    }
}

impl Default for AscendBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for AscendBackend {
    fn name(&self) -> &'static str {
        match (self.source, self.port) {
            (Source::Vendor, _) => "ascend",
            (Source::Simulator, Port::Careful) => "ascend-sim",
            (Source::Simulator, Port::Naive) => "ascend-sim-naive",
        }
    }

    /// Those that answer: one that is busy or broken does not hide the others.
    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        self.ask(|name, calls| {
            let (found, failed): (Vec<_>, Vec<_>) =
                (0..count(calls)?).map(|ordinal| describe(name, calls, ordinal)).partition(Result::is_ok);
            let found: Vec<DeviceInfo> = found.into_iter().flatten().collect();
            match failed.into_iter().find_map(Result::err) {
                Some(error) if found.is_empty() => Err(error),
                _ => Ok(found),
            }
        })
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        Ok(Arc::new(self.open_device(ordinal)?))
    }

    fn open_model(&self, ordinal: usize, file: &Path) -> Result<Arc<dyn Device>> {
        let file = ModelFile::new(file)?;
        Ok(Arc::new(OfflineDevice::new(self.open_device(ordinal)?, file)?))
    }
}

impl AscendBackend {
    /// Asks that device and no other.
    fn open_device(&self, ordinal: usize) -> Result<AscendDevice> {
        let info = self.ask(move |name, calls| {
            let count = count(calls)?;
            if ordinal >= count {
                return Err(Error::NoSuchDevice { backend: name.into(), ordinal, count });
            }
            describe(name, calls, ordinal)
        })?;
        let calls = self.calls(self.functions()?, &info.id);
        AscendDevice::open(calls, info, ordinal, self.port)
    }
}

/// How many devices there are; `ASCEND_RT_VISIBLE_DEVICES` leaves some out.
fn count(calls: &Calls) -> Result<usize> {
    let mut count = 0_u32;
    // SAFETY: writes a number.
    call!(calls, PROBING, runtime.aclrtGetDeviceCount(&mut count))?;
    if count == 0 { Err(calls.gave_nothing(PROBING, "aclrtGetDeviceCount")) } else { Ok(count as usize) }
}

/// The device of that number in the runtime.
fn describe(backend: &str, calls: &Calls, ordinal: usize) -> Result<DeviceInfo> {
    // SAFETY (of the calls here): numbers.
    call!(calls, PROBING, runtime.aclrtSetDevice(ordinal as i32))?;
    let soc = soc_name(calls);
    let total = free_and_total(calls).ok().map(|(_, total)| total as u64);
    call!(calls, PROBING, runtime.aclrtResetDevice(ordinal as i32))?;
    let simulated = calls.functions.simulated;
    Ok(DeviceInfo {
        id: format!("{backend}:{ordinal}"),
        name: soc.unwrap_or_else(|| "an Ascend device without a name".into()),
        driver: Some(version(calls)),
        memory_bytes: total,
        dtypes: vec![DType::F32, DType::F16, DType::Bf16],
        default_dtype: DType::F32,
        prefers_packing: false,
        prefers_buckets: false,
        simulated,
        on_processor: simulated,
        numerics: profile::of(calls.products),
    })
}

fn soc_name(calls: &Calls) -> Option<String> {
    let name = calls.functions.runtime.aclrtGetSocName?;
    // SAFETY: it takes nothing, and gives a string of the library's or null.
    let name = unsafe { name() };
    // SAFETY: as above.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}

fn version(calls: &Calls) -> String {
    let [mut major, mut minor, mut patch] = [0_i32; 3];
    // SAFETY: writes three numbers.
    match call!(calls, PROBING, runtime.aclrtGetVersion(&mut major, &mut minor, &mut patch)) {
        Ok(()) => format!("ACL {major}.{minor}.{patch}"),
        Err(_) => "ACL of an unknown version".into(),
    }
}
