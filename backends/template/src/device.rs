//! The backend and its devices.
//!
//! What to do, in order:
//! 1. Rename `NAME` and `DEVICE`.
//! 2. [`TemplateBackend::devices`]: load the driver and list what it finds. Without a driver that is
//!    [`Error::Unavailable`], never a panic and never an empty list.
//! 3. `info`: what the chip computes on and how. The profile is a promise that the conformance suite holds you to;
//!    declare what the manual says or what you measured.
//! 4. `alloc`, `write`, `read`: the chip's memory instead of [`HostBuffer`].
//! 5. `compile`: choose a kernel for each step and return an [`Executable`]; see `kernels.rs`.

use crate::{error, support};
use lockstep_hal::tensor::DType;
use lockstep_hal::{
    Backend, Buffer, Device, DeviceInfo, Error, Executable, HostBuffer, MemRules, NumericsProfile, OpQuery,
    Overflow, Program, Result, Support, Usage,
};
use std::sync::Arc;

const NAME: &str = "template";
const DEVICE: &str = "template:0";

/// The backend to clone: `template:0`, host memory, no kernels.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateBackend;

impl TemplateBackend {
    /// The backend.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for TemplateBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        Ok(vec![info()])
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        if ordinal != 0 {
            return Err(Error::NoSuchDevice { backend: NAME.to_owned(), ordinal, count: 1 });
        }
        Ok(Arc::new(TemplateDevice { info: info() }))
    }
}

fn info() -> DeviceInfo {
    DeviceInfo {
        id: DEVICE.to_owned(),
        name: "a backend without kernels, to be cloned".to_owned(),
        driver: None,
        memory_bytes: None,
        dtypes: vec![DType::F32],
        default_dtype: DType::F32,
        prefers_packing: false,
        prefers_buckets: false,
        simulated: false,
        on_processor: true,
        numerics: NumericsProfile {
            version: 1,
            accumulate: vec![(DType::F32, DType::F32)],
            reduced_f32_products: false,
            flushes_subnormals: false,
            overflow: Overflow::Infinity,
            exp_ulp: 1.0,
            erf_ulp: 1.0,
            tanh_ulp: 1.0,
            deterministic: true,
            batch_invariant: true,
        },
    }
}

#[derive(Debug)]
struct TemplateDevice {
    info: DeviceInfo,
}

impl Device for TemplateDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        MemRules { alignment: 64, padding: 0, largest_allocation: isize::MAX as usize }
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        support::support(query)
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        HostBuffer::allocate(DEVICE, bytes)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        HostBuffer::of(destination)?.copy_in(at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        HostBuffer::of(source)?.copy_out(at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        Err(error::unsupported(DEVICE, &program))
    }
}
