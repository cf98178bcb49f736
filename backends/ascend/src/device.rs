//! An open device: what is asked of it goes to its owner thread.

use crate::buffer::DeviceBuffer;
use crate::calls::Calls;
use crate::engine::Engine;
use crate::executable::{AscendExecutable, scratch_bytes};
use crate::kernels::{ALIGNMENT, PADDING, compile};
use crate::memory::{Memory, UploadKey, Uploads};
use crate::owner::Owner;
use crate::port::Port;
use crate::support;
use lockstep_hal::{
    Buffer, Device, DeviceInfo, Error, Executable, MemRules, OpQuery, Program, RawBuffer, Result,
    SharedScratch, Support, Usage, WeightCache,
};
use std::sync::Arc;

/// How memory is laid out.
pub(crate) const MEM_RULES: MemRules =
    MemRules { alignment: ALIGNMENT, padding: PADDING, largest_allocation: isize::MAX as usize };

/// The thread that owns an open device.
pub(crate) type Thread = Owner<Engine>;

/// An Ascend device, or the simulator in its place.
#[derive(Debug)]
pub(crate) struct AscendDevice {
    info: DeviceInfo,
    port: Port,
    uploads: WeightCache<UploadKey, Memory>,
    scratch: SharedScratch<Memory>,
    /// Of operators, which run while a program's scratch is in use.
    workspaces: Arc<SharedScratch<Memory>>,
    thread: Arc<Thread>,
}

impl AscendDevice {
    /// Opens the device of that number.
    pub(crate) fn open(calls: Calls, info: DeviceInfo, ordinal: usize, port: Port) -> Result<Self> {
        let thread = Owner::start(&info.id, move || Engine::open(calls, ordinal, port == Port::Careful))?;
        Ok(Self {
            info,
            port,
            uploads: WeightCache::default(),
            scratch: SharedScratch::default(),
            workspaces: Arc::default(),
            thread: Arc::new(thread),
        })
    }

    /// The thread that owns it.
    pub(crate) fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }
}

impl Device for AscendDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        MEM_RULES
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        support::support(query, self.port)
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        let memory = Arc::new(Memory::new(&self.thread, bytes, true)?);
        Ok(Arc::new(DeviceBuffer { memory, bytes }))
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        let buffer = DeviceBuffer::of(destination, &self.thread, &self.info.id)?;
        buffer.check_range(at, source.len())?;
        let (memory, source) = (buffer.memory.clone(), source.to_vec());
        self.thread.run(move |engine| engine.copy_in(memory.address + at as u64, &source))
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        let buffer = DeviceBuffer::of(source, &self.thread, &self.info.id)?;
        buffer.check_range(at, destination.len())?;
        let (memory, bytes) = (buffer.memory.clone(), destination.len());
        let read = self.thread.run(move |engine| engine.copy_out(memory.address + at as u64, bytes))?;
        destination.copy_from_slice(&read);
        Ok(())
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        if !program.alignment().is_multiple_of(ALIGNMENT) {
            return Err(Error::program(format!(
                "was laid out for {} bytes, Ascend takes {ALIGNMENT}",
                program.alignment()
            )));
        }
        program.check_steps(self.as_ref())?;
        let (list, constants) = compile(&program, self.port)?;
        let checked = constants.clone();
        let uploads = Uploads::new(&self.thread, &self.uploads, constants)?;
        let scratch = self.scratch.of(scratch_bytes(&program), Memory::shared(&self.thread))?;
        let executable = AscendExecutable::new(
            self.info.id.clone(),
            &self.thread,
            (scratch, &self.workspaces),
            program,
            list,
            &checked,
            uploads,
        )?;
        Ok(Box::new(executable))
    }
}
