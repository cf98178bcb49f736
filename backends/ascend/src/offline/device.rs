//! A device with a compiled model on it.

use super::description::Description;
use super::executable::OfflineExecutable;
use super::loaded::ModelFile;
use super::ports::{Ports, input_indices};
use crate::device::{AscendDevice, Thread};
use lockstep_hal::graph::DType;
use lockstep_hal::{
    Buffer, Claim, CompiledModel, Device, DeviceInfo, Executable, MemRules, OpQuery, Program, Result,
    Support, Usage,
};
use std::path::Path;
use std::sync::Arc;

/// An Ascend device that runs one compiled model, whole.
#[derive(Debug)]
pub(crate) struct OfflineDevice {
    info: DeviceInfo,
    device: AscendDevice,
    model: Arc<Model>,
}

/// A loaded model; unloaded when it is dropped.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) thread: Arc<Thread>,
    pub(crate) number: u64,
    pub(crate) description: Description,
}

impl Drop for Model {
    fn drop(&mut self) {
        let number = self.number;
        self.thread.later(move |engine| engine.unload(number));
    }
}

impl OfflineDevice {
    /// Loads the model on the device.
    pub(crate) fn new(device: AscendDevice, file: ModelFile) -> Result<Self> {
        let thread = device.thread().clone();
        let name = file.name.clone();
        let (number, description) = thread.run(move |engine| engine.load(&file))?;
        let model = Arc::new(Model { thread, number, description });
        let mut info = device.info().clone();
        let name =
            Path::new(&name).file_name().map_or(name.clone(), |name| name.to_string_lossy().into_owned());
        info.id = format!("{}@{name}", info.id);
        // Who compiles decides on roundings and on the order of sums, and a file does not say how: nothing of either is promised.
        info.numerics.deterministic = false;
        info.numerics.batch_invariant = false;
        info.numerics.reduced_f32_products = true;
        Ok(Self { info, device, model })
    }
}

impl Device for OfflineDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn compiled_model(&self) -> Option<&CompiledModel> {
        Some(&self.model.description.model)
    }

    fn mem_rules(&self) -> MemRules {
        self.device.mem_rules()
    }

    /// The model was compiled whole: what is in it is not the planner's to choose.
    fn support(&self, _query: &OpQuery<'_>) -> Support {
        Support::Native(Claim { fixed_order: self.info.numerics.deterministic, ..Claim::fixed(DType::F32) })
    }

    fn alloc(&self, bytes: usize, usage: Usage) -> Result<Buffer> {
        self.device.alloc(bytes, usage)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        self.device.write(destination, at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        self.device.read(source, at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        let ports = Ports::find(&program, &self.model.description)?;
        let indices = input_indices(&program);
        let model = self.model.clone();
        Ok(Box::new(OfflineExecutable::new(self, model, program, ports, indices)))
    }
}
