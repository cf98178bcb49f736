//! A loaded model as the device's own thread has it.

use super::description::{Choice, Description, Handle};
use super::ports::Port;
use crate::calls::{Calls, call};
use lockstep_ascend_abi::event_flag::ACL_EVENT_TIME_LINE;
use lockstep_ascend_abi::{
    aclDataBuffer, aclmdlDataset, aclmdlIODims, aclrtEvent, aclrtMemcpyKind, aclrtStream,
};
use lockstep_hal::graph::tensor::element_count;
use lockstep_hal::{Error, Result};
use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr;
use std::time::Duration;

/// What is done, in errors.
const UNLOADING: &str = "the unloading of the model";
const TIME: &str = "a run's time";

/// A model's file as the libraries take it, and as errors name it.
#[derive(Clone, Debug)]
pub(crate) struct ModelFile {
    path: CString,
    /// As it was given.
    pub(crate) name: String,
}

impl ModelFile {
    /// # Errors
    /// [`Error::CompiledModel`] for what is no file that can be read.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable = |reason: String| Error::compiled_model(&name, reason);
        // The libraries' own words for a missing file are a code.
        std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let path = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| unreadable("a path with a NUL is none for C".to_owned()))?;
        Ok(Self { path, name })
    }
}

/// How many bytes a model takes beside its ports.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    work: usize,
    weights: usize,
}

impl Sizes {
    /// Of a model's file.
    fn of(calls: &Calls, file: &ModelFile) -> Result<Self> {
        let (mut work, mut weights) = (0, 0);
        // SAFETY: a C string that outlives the call; writes two locals.
        call!(calls, &file.name, model.aclmdlQuerySize(file.path.as_ptr(), &mut work, &mut weights))?;
        Ok(Self { work, weights })
    }
}

/// A model that is loaded, with memory for its ports at the largest gear.
#[derive(Debug)]
pub(crate) struct Loaded {
    file: String,
    id: u32,
    handle: Handle,
    description: Description,
    inputs: Dataset,
    outputs: Dataset,
    /// Before and after a run, on the stream.
    events: [aclrtEvent; 2],
}

/// A run's copies, in the order of the program's values.
#[derive(Clone, Debug)]
pub(crate) struct PortCopy {
    pub(crate) port: Port,
    /// In pinned memory.
    pub(crate) host: u64,
}

impl Loaded {
    /// Loads a model to memory that `allocate` gives for a number of bytes, which outlives what is loaded, also in part.
    pub(crate) fn new(
        calls: &Calls,
        file: &ModelFile,
        allocate: &mut dyn FnMut(usize) -> Result<u64>,
    ) -> Result<Self> {
        let mut device = |bytes: usize| allocate(bytes).map(|address| address as *mut c_void);
        let sizes = Sizes::of(calls, file)?;
        let (work, weights) = (device(sizes.work)?, device(sizes.weights)?);
        let mut id = 0;
        // SAFETY: a C string that outlives the call, a local, and device memory of the queried sizes, which is kept until the model is
        // unloaded.
        call!(
            calls,
            &file.name,
            model.aclmdlLoadFromFileWithMem(
                file.path.as_ptr(),
                &mut id,
                work,
                sizes.work,
                weights,
                sizes.weights
            )
        )?;
        let mut partial =
            Partial { calls, id, handle: None, inputs: None, outputs: None, events: [ptr::null_mut(); 2] };
        let handle = partial.handle.insert(Handle::new(calls, id)?);
        let description = Description::read(calls, handle, &file.name)?;
        partial.inputs.insert(Dataset::new(calls)?).fill(calls, &description.input_bytes, &mut device)?;
        partial.outputs.insert(Dataset::new(calls)?).fill(calls, &description.output_bytes, &mut device)?;
        for event in &mut partial.events {
            // SAFETY: writes the event.
            call!(calls, TIME, runtime.aclrtCreateEventWithFlag(event, ACL_EVENT_TIME_LINE))?;
        }
        let (handle, inputs, outputs) =
            (partial.handle.take(), partial.inputs.take(), partial.outputs.take());
        let (Some(handle), Some(inputs), Some(outputs)) = (handle, inputs, outputs) else {
            return Err(Error::compiled_model(&file.name, "it was loaded in part"));
        };
        let events = partial.events;
        // What it held is the loaded model's from here on.
        std::mem::forget(partial);
        Ok(Self { file: file.name.clone(), id, handle, description, inputs, outputs, events })
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    /// Tells the model the extents of the next run, and holds what it is about to give to what the program takes. Nothing runs.
    pub(crate) fn choose(&self, calls: &Calls, gear: usize, outputs: &[PortCopy]) -> Result<()> {
        self.choose_gear(calls, gear)?;
        outputs.iter().try_for_each(|output| self.check_extents(calls, &output.port))
    }

    /// A whole run at the extents that were chosen: inputs from pinned memory, the model, outputs to pinned memory. The caller waits,
    /// also after a failure: what was put on the stream before it uses memory that is somebody's.
    pub(crate) fn submit(
        &mut self,
        calls: &Calls,
        stream: aclrtStream,
        inputs: &[PortCopy],
        outputs: &[PortCopy],
    ) -> Result<()> {
        let [first, last] = self.events;
        // SAFETY (of the calls here): stream and events are of this thread's context; pinned memory and the ports' memory have as many
        // bytes as are copied, which was checked when the program was compiled, and live until the run was waited for.
        call!(calls, TIME, runtime.aclrtRecordEvent(first, stream))?;
        for PortCopy { port, host } in inputs {
            let (to, room) = self.inputs.memory[port.index];
            let (from, kind) = (*host as *const c_void, aclrtMemcpyKind::HOST_TO_DEVICE);
            call!(calls, "the inputs", runtime.aclrtMemcpyAsync(to, room, from, port.bytes(), kind, stream))?;
        }
        let (id, ins, outs) = (self.id, self.inputs.handle, self.outputs.handle);
        call!(calls, &self.file, model.aclmdlExecuteAsync(id, ins, outs, stream))?;
        for PortCopy { port, host } in outputs {
            let ((from, _), bytes) = (self.outputs.memory[port.index], port.bytes());
            let (to, kind) = (*host as *mut c_void, aclrtMemcpyKind::DEVICE_TO_HOST);
            call!(calls, "the outputs", runtime.aclrtMemcpyAsync(to, bytes, from, bytes, kind, stream))?;
        }
        call!(calls, TIME, runtime.aclrtRecordEvent(last, stream))
    }

    /// How long the last run took on the device, once it was waited for.
    pub(crate) fn time(&self, calls: &Calls) -> Result<Duration> {
        let mut milliseconds = 0.0_f32;
        let [first, last] = self.events;
        // SAFETY: both were recorded on one stream, which was waited for.
        call!(calls, TIME, runtime.aclrtEventElapsedTime(&mut milliseconds, first, last))?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3))
    }

    fn choose_gear(&self, calls: &Calls, gear: usize) -> Result<()> {
        let Some(chooser) = self.description.chooser else { return Ok(()) };
        let (id, dataset) = (self.id, self.inputs.handle);
        // SAFETY (of both): the model is loaded, the dataset alive; the dims outlive the call.
        match &self.description.choice {
            Choice::None => Ok(()),
            Choice::Batch(batches) => {
                let batch = batches[gear];
                call!(calls, &self.file, model.aclmdlSetDynamicBatchSize(id, dataset, chooser, batch))
            }
            Choice::Dims(all) => {
                call!(calls, &self.file, model.aclmdlSetInputDynamicDims(id, dataset, chooser, &all[gear]))
            }
        }
    }

    /// By their elements: the memory of a program's output may be known by another shape than the output's own.
    fn check_extents(&self, calls: &Calls, port: &Port) -> Result<()> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut dims: aclmdlIODims = unsafe { std::mem::zeroed() };
        let (desc, index) = (self.handle.0, port.index);
        // SAFETY (of both): the description is alive; writes a local.
        match self.description.choice {
            Choice::None => call!(calls, &self.file, model.aclmdlGetOutputDims(desc, index, &mut dims))?,
            _ => call!(calls, &self.file, model.aclmdlGetCurOutputDims(desc, index, &mut dims))?,
        }
        let given: Vec<usize> =
            dims.dims[..dims.dim_count.min(dims.dims.len())].iter().map(|&dim| dim.max(0) as usize).collect();
        if element_count(&given) == port.elements {
            return Ok(());
        }
        let name = &self.description.model.outputs[port.index].name;
        let reason = format!("it gives {given:?}, and the graph has {} elements", port.elements);
        Err(Error::value(format!("{}, output `{name}`", self.file), reason))
    }

    /// Unloads it. Nothing of it runs any more, and its memory is its caller's again.
    pub(crate) fn unload(self, calls: &Calls) {
        let Self { id, handle, inputs, outputs, events, .. } = self;
        drop(Partial {
            calls,
            id,
            handle: Some(handle),
            inputs: Some(inputs),
            outputs: Some(outputs),
            events,
        });
    }
}

/// What is loaded so far; unloaded when it is dropped.
struct Partial<'a> {
    calls: &'a Calls,
    id: u32,
    handle: Option<Handle>,
    inputs: Option<Dataset>,
    outputs: Option<Dataset>,
    events: [aclrtEvent; 2],
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        for event in self.events.into_iter().filter(|event| !event.is_null()) {
            // SAFETY: created once, destroyed once.
            if let Err(error) = call!(self.calls, TIME, runtime.aclrtDestroyEvent(event)) {
                tracing::warn!("{error}");
            }
        }
        let datasets = [&self.inputs, &self.outputs].into_iter().flatten();
        datasets.for_each(|dataset| dataset.destroy(self.calls));
        if let Some(handle) = &self.handle {
            handle.destroy(self.calls);
        }
        // SAFETY: loaded once, unloaded once; it does not run.
        if let Err(error) = call!(self.calls, UNLOADING, model.aclmdlUnload(self.id)) {
            tracing::warn!("{error}");
        }
    }
}

/// What goes in, or out.
#[derive(Debug)]
struct Dataset {
    handle: *mut aclmdlDataset,
    buffers: Vec<*mut aclDataBuffer>,
    /// Addresses and bytes of the buffers.
    memory: Vec<(*mut c_void, usize)>,
}

/// What is done to a dataset, in errors.
const DATASET: &str = "the model's inputs and outputs";

impl Dataset {
    fn new(calls: &Calls) -> Result<Self> {
        let Some(create) = calls.functions.model.aclmdlCreateDataset else {
            return Err(calls.absent(DATASET, "aclmdlCreateDataset"));
        };
        // SAFETY: it takes nothing.
        let handle = unsafe { create() };
        if handle.is_null() {
            return Err(calls.gave_nothing(DATASET, "aclmdlCreateDataset"));
        }
        Ok(Self { handle, buffers: Vec::new(), memory: Vec::new() })
    }

    /// Adds memory of so many bytes each.
    fn fill(
        &mut self,
        calls: &Calls,
        bytes: &[usize],
        device: &mut dyn FnMut(usize) -> Result<*mut c_void>,
    ) -> Result<()> {
        bytes.iter().try_for_each(|&bytes| self.add(calls, device(bytes)?, bytes))
    }

    fn add(&mut self, calls: &Calls, at: *mut c_void, bytes: usize) -> Result<()> {
        let Some(create) = calls.functions.model.aclCreateDataBuffer else {
            return Err(calls.absent(DATASET, "aclCreateDataBuffer"));
        };
        // SAFETY: device memory of that many bytes, which outlives the buffer.
        let buffer = unsafe { create(at, bytes) };
        if buffer.is_null() {
            return Err(calls.gave_nothing(DATASET, "aclCreateDataBuffer"));
        }
        self.buffers.push(buffer);
        self.memory.push((at, bytes));
        // SAFETY: both are alive.
        call!(calls, DATASET, model.aclmdlAddDatasetBuffer(self.handle, buffer))
    }

    fn destroy(&self, calls: &Calls) {
        // SAFETY (of both): made once, destroyed once, by their owner; the dataset before the buffers in it.
        let dataset = call!(calls, DATASET, model.aclmdlDestroyDataset(self.handle));
        let buffers =
            self.buffers.iter().map(|&buffer| call!(calls, DATASET, model.aclDestroyDataBuffer(buffer)));
        for error in [dataset].into_iter().chain(buffers).filter_map(Result::err) {
            tracing::warn!("{error}");
        }
    }
}
