//! A device over an engine: the same for a GPU and for the emulator.

use crate::buffer::DeviceBuffer;
use crate::engine::{Engine, Memory};
use crate::executable::CudaExecutable;
use crate::kernels::compile;
use crate::memory::{UploadKey, Uploads};
use crate::support;
use lockstep_hal::{
    Buffer, Device, DeviceInfo, Error, Executable, MemRules, OpQuery, Program, RawBuffer, Result,
    SharedScratch, Support, Usage, WeightCache,
};
use std::sync::Arc;

/// What `cuMemAlloc` aligns to, and what every load of 16 bytes needs.
pub(crate) const ALIGNMENT: usize = 256;

/// How memory is laid out.
pub(crate) const MEM_RULES: MemRules =
    MemRules { alignment: ALIGNMENT, padding: 0, largest_allocation: isize::MAX as usize };

/// A CUDA device, whatever executes its launch lists.
#[derive(Debug)]
pub struct CudaDevice {
    engine: Arc<dyn Engine>,
    uploads: WeightCache<UploadKey, Arc<dyn Memory>>,
    scratch: SharedScratch<dyn Memory>,
}

impl CudaDevice {
    /// The device of an engine.
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, uploads: WeightCache::default(), scratch: SharedScratch::default() }
    }
}

impl Device for CudaDevice {
    fn info(&self) -> &DeviceInfo {
        self.engine.info()
    }

    fn mem_rules(&self) -> MemRules {
        MEM_RULES
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        support::support(query)
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        let memory = self.engine.allocate(bytes)?;
        self.engine.copy_in(memory.as_ref(), 0, &vec![0; bytes])?;
        Ok(Arc::new(DeviceBuffer { device: self.info().id.clone(), memory, bytes }))
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        let buffer = DeviceBuffer::of(destination, &self.info().id)?;
        buffer.check_range(at, source.len())?;
        self.engine.copy_in(buffer.memory.as_ref(), at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        let buffer = DeviceBuffer::of(source, &self.info().id)?;
        buffer.check_range(at, destination.len())?;
        self.engine.copy_out(buffer.memory.as_ref(), at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        if !program.alignment().is_multiple_of(ALIGNMENT) {
            return Err(Error::program(format!(
                "was laid out for {} bytes, CUDA takes {ALIGNMENT}",
                program.alignment()
            )));
        }
        program.check_steps(self.as_ref())?;
        let (list, constants) = compile(&program)?;
        let uploads = Uploads::new(self.engine.as_ref(), &self.uploads, constants)?;
        let executable = CudaExecutable::new(self.engine.clone(), &self.scratch, program, list, uploads)?;
        Ok(Box::new(executable))
    }
}
