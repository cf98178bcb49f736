//! What is there: driver and GPUs. Every answer is a value; the bindings panic where the driver is missing, so none of their
//! functions is called before it is known to load.

use crate::profile::numerics;
use cudarc::driver::{result, sys};
use lockstep_hal::graph::DType;
use lockstep_hal::{DeviceInfo, Error, Result};

/// The oldest driver: the PTX is of ISA 8.0, CUDA 12.0's.
const OLDEST_DRIVER: i32 = 12_000;
/// The oldest GPU: sm_80, whose `mma` and asynchronous copies the kernels may count on.
const OLDEST_GPU: (i32, i32) = (8, 0);

/// A GPU that the backend runs on.
#[derive(Clone, Debug)]
pub(super) struct Gpu {
    /// What it is to the driver.
    pub(super) device: sys::CUdevice,
    pub(super) info: DeviceInfo,
}

fn unavailable(backend: &str, library: &str, searched: Vec<String>, hint: impl Into<String>) -> Error {
    Error::Unavailable { backend: backend.into(), library: library.into(), searched, hint: hint.into() }
}

/// The GPUs from sm_80 on, numbered in the driver's order.
pub(super) fn usable(backend: &str) -> Result<Vec<Gpu>> {
    // SAFETY: loads and drops a library whose initialisers are the driver's own.
    if !unsafe { sys::is_culib_present() } {
        let hint = "Install NVIDIA's driver (525 or later), or pass the GPU to this container; without one, the device \
                    cuda-emulated of a build with that feature runs the same kernels on the processor";
        return Err(unavailable(backend, "libcuda.so.1", vec!["the loader's path".into()], hint));
    }
    let said = |call: &str, error: result::DriverError| {
        let text =
            error.error_string().map_or_else(|_| format!("{:?}", error.0), |s| s.to_string_lossy().into());
        let hint = format!("{call} says: {text}. Does nvidia-smi list a GPU? A container needs --gpus all");
        unavailable(backend, "a GPU", vec!["the driver libcuda.so.1".into()], hint)
    };
    result::init().map_err(|error| said("cuInit", error))?;
    let mut version = 0;
    // SAFETY: writes one int; the library is present.
    let code = unsafe { sys::cuDriverGetVersion(&mut version) };
    code.result().map_err(|error| said("cuDriverGetVersion", error))?;
    if version < OLDEST_DRIVER {
        let hint = format!(
            "The driver is for CUDA {}.{}; the kernels need CUDA 12.0's or later (525.60 on Linux). Update NVIDIA's driver",
            version / 1000,
            version % 1000 / 10
        );
        return Err(unavailable(backend, "a driver for CUDA 12.0", vec!["libcuda.so.1".into()], hint));
    }
    let count = result::device::get_count().map_err(|error| said("cuDeviceGetCount", error))?;
    let mut found = Vec::new();
    let mut too_old = Vec::new();
    for ordinal in 0..count {
        let device = result::device::get(ordinal).map_err(|error| said("cuDeviceGet", error))?;
        let name = result::device::get_name(device).map_err(|error| said("cuDeviceGetName", error))?;
        let capability = capability(device).map_err(|error| said("cuDeviceGetAttribute", error))?;
        if capability < OLDEST_GPU {
            too_old.push(format!("{name} is sm_{}{}", capability.0, capability.1));
            continue;
        }
        // SAFETY: the device is the driver's.
        let memory = unsafe { result::device::total_mem(device) }.ok();
        let info = info(format!("{backend}:{}", found.len()), &name, capability, version, memory);
        found.push(Gpu { device, info });
    }
    if found.is_empty() {
        let hint = if too_old.is_empty() {
            "The driver lists none; is CUDA_VISIBLE_DEVICES set?".to_owned()
        } else {
            format!("{}; sm_80 (A100) or later is needed", too_old.join(", "))
        };
        return Err(unavailable(backend, "a GPU of sm_80 or later", vec!["libcuda.so.1".into()], hint));
    }
    Ok(found)
}

fn capability(device: sys::CUdevice) -> std::result::Result<(i32, i32), result::DriverError> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    // SAFETY: the device is the driver's.
    unsafe {
        Ok((result::device::get_attribute(device, MAJOR)?, result::device::get_attribute(device, MINOR)?))
    }
}

fn info(
    id: String,
    name: &str,
    (major, minor): (i32, i32),
    version: i32,
    memory: Option<usize>,
) -> DeviceInfo {
    DeviceInfo {
        id,
        name: format!("{name} (sm_{major}{minor})"),
        driver: Some(format!("NVIDIA driver for CUDA {}.{}", version / 1000, version % 1000 / 10)),
        memory_bytes: memory.map(|bytes| bytes as u64),
        dtypes: vec![DType::F32, DType::F16, DType::Bf16],
        default_dtype: DType::F32,
        prefers_packing: true,
        prefers_buckets: true,
        simulated: false,
        on_processor: false,
        numerics: numerics(),
    }
}
