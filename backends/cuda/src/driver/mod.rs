//! GPUs, through a driver that is found at run time.

mod calls;
mod clock;
mod engine;
mod event;
mod probe;
mod replay;

use crate::CudaDevice;
use engine::DriverEngine;
use lockstep_hal::{Backend, Device, DeviceInfo, Error, Result};
use std::sync::Arc;

/// The CUDA backend, `cuda`. Creating one touches nothing; asking for its devices looks for the driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct CudaBackend;

impl CudaBackend {
    /// The backend.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for CudaBackend {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        Ok(probe::usable(self.name())?.into_iter().map(|found| found.info).collect())
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        let mut found = probe::usable(self.name())?;
        let count = found.len();
        if ordinal >= count {
            return Err(Error::NoSuchDevice { backend: self.name().into(), ordinal, count });
        }
        let gpu = found.swap_remove(ordinal);
        Ok(Arc::new(CudaDevice::new(Arc::new(DriverEngine::open(gpu)?))))
    }
}
