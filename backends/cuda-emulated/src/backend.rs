//! The backend `cuda-emulated`.

use crate::emulator::Kernels;
use crate::engine::EmulatedEngine;
use lockstep_cuda::{CudaDevice, numerics};
use lockstep_hal::graph::DType;
use lockstep_hal::{Backend, Device, DeviceInfo, Error, Result};
use std::path::Path;
use std::sync::Arc;

/// In which order the threads of a block take their turns between two barriers. A kernel without a race gives the same bits
/// in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneOrder {
    /// Thread 0 first.
    #[default]
    Ascending,
    /// Thread 0 last.
    Descending,
}

/// The CUDA backend on an emulator; one device.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmulatedCuda {
    order: LaneOrder,
    kernels: Kernels,
    memory_bytes: Option<u64>,
}

impl EmulatedCuda {
    /// The backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another order of threads.
    pub fn lane_order(self, order: LaneOrder) -> Self {
        Self { order, ..self }
    }

    /// The same with so much memory, as a small GPU; by default as much as the process gets.
    pub fn memory_bytes(self, bytes: u64) -> Self {
        Self { memory_bytes: Some(bytes), ..self }
    }

    /// The same with the kernels of a shared library: `src/emulator/emulator.cpp` and CUDA sources, compiled as C++. For tests of
    /// sources that are not the crate's own. The library stays loaded.
    ///
    /// # Errors
    /// What the loader says.
    ///
    /// # Safety
    /// The library is such a one.
    pub unsafe fn with_kernels_of(
        self,
        library: &Path,
    ) -> std::result::Result<Self, Box<dyn std::error::Error>> {
        // SAFETY: the caller's promise.
        Ok(Self { kernels: unsafe { Kernels::load(library) }?, ..self })
    }

    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            id: "cuda-emulated:0".to_owned(),
            name: "CUDA kernels as C++ on this processor (no GPU)".to_owned(),
            driver: None,
            memory_bytes: self.memory_bytes,
            dtypes: vec![DType::F32, DType::F16, DType::Bf16],
            default_dtype: DType::F32,
            prefers_packing: true,
            prefers_buckets: true,
            simulated: true,
            on_processor: true,
            numerics: numerics(),
        }
    }
}

impl Backend for EmulatedCuda {
    fn name(&self) -> &'static str {
        "cuda-emulated"
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        Ok(vec![self.info()])
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        if ordinal != 0 {
            return Err(Error::NoSuchDevice { backend: self.name().into(), ordinal, count: 1 });
        }
        Ok(Arc::new(CudaDevice::new(Arc::new(EmulatedEngine::new(self.info(), self.order, self.kernels)))))
    }
}
