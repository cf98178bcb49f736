//! GPUs, through a driver and libraries that are found at run time.

mod calls;
mod clock;
mod engine;
mod event;
mod gemm;
mod libraries;
mod probe;
mod replay;

use crate::CudaDevice;
use engine::DriverEngine;
use lockstep_hal::{Backend, Device, DeviceInfo, Error, Result};
use std::sync::Arc;

/// How algorithms of products are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tuning {
    /// One for each weight, whatever the rows: a row's bits do not depend on its batch.
    #[default]
    BatchInvariant,
    /// The library's choice for each number of rows.
    PerShape,
}

/// The CUDA backend. Creating one touches nothing; asking for its devices looks for the driver.
#[derive(Clone, Copy, Debug, Default)]
pub struct CudaBackend {
    tuning: Tuning,
}

impl CudaBackend {
    /// The backend `cuda`, whose results do not depend on what else is in a batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The backend `cuda-tuned`: the library may choose another algorithm for every number of rows, so that a sequence's bits
    /// may depend on its batch, and its numerics profile says so. The name goes with every report. Kernels of ours, such as
    /// Linear's in half precision, are the same in both.
    pub fn tuned() -> Self {
        Self { tuning: Tuning::PerShape }
    }
}

impl Backend for CudaBackend {
    fn name(&self) -> &'static str {
        match self.tuning {
            Tuning::BatchInvariant => "cuda",
            Tuning::PerShape => "cuda-tuned",
        }
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        Ok(probe::usable(self.name(), self.tuning)?.into_iter().map(|found| found.info).collect())
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        let mut found = probe::usable(self.name(), self.tuning)?;
        let count = found.len();
        if ordinal >= count {
            return Err(Error::NoSuchDevice { backend: self.name().into(), ordinal, count });
        }
        let gpu = found.swap_remove(ordinal);
        Ok(Arc::new(CudaDevice::new(Arc::new(DriverEngine::open(gpu, self.tuning)?))))
    }
}
