//! A program on a device: recorded for the buffers it is given, and recorded again only when they change; or recorded once
//! with its own staging.

use crate::buffer::DeviceBuffer;
use crate::device::{MEM_RULES, Thread};
use crate::engine::Finished;
use crate::index::check_index;
use crate::kernels::padded;
use crate::launch::{CallList, IndexCheck, Place};
use crate::memory::{Addresses, Memory, Pinned, Uploads};
use crate::replay::{ComputedIndex, RecordedStep, Recording, Transfer};
use lockstep_hal::graph::{Constant, DType};
use lockstep_hal::{Buffer, Cancel, Executable, Program, Result, SharedScratch, Staged, StagingLayout, Work};
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// What a captured graph counts for among what rests, so that a session's usual cache keeps some dozens: A2 has 1984 streams, and graphs
/// take of them.
const GRAPH_CHARGE: usize = 1 << 20;

/// A compiled program.
pub(crate) struct AscendExecutable {
    device: String,
    program: Arc<Program>,
    list: CallList,
    layout: StagingLayout,
    recorded: Option<Recorded>,
    staging: Option<Staging>,
    /// Below the recordings that read them, as is the scratch: what is dropped first waits for what runs.
    uploads: Uploads,
    /// The arena, and behind it the device's side of the staging.
    scratch: Arc<Memory>,
    workspaces: Arc<SharedScratch<Memory>>,
    thread: Arc<Thread>,
    last: Finished,
}

/// A recording on the device's thread; given back when it is dropped, before the memory it names.
struct Handle {
    thread: Arc<Thread>,
    number: u64,
    workspace: Arc<Memory>,
}

impl Handle {
    fn new(thread: &Arc<Thread>, workspaces: &SharedScratch<Memory>, recording: Recording) -> Result<Self> {
        let (number, bytes) = thread.run(move |engine| {
            let number = engine.record(&recording)?;
            Ok((number, engine.workspace_bytes(number)))
        })?;
        match workspaces.of(bytes, Memory::shared(thread)) {
            Ok(workspace) => Ok(Self { thread: thread.clone(), number, workspace }),
            Err(error) => {
                thread.later(move |engine| engine.forget(number));
                Err(error)
            }
        }
    }

    fn start(&self) -> Result<()> {
        let (number, workspace) = (self.number, self.workspace.address);
        self.thread.run(move |engine| engine.start(number, workspace))
    }

    fn wait(&self) -> Result<Finished> {
        let number = self.number;
        self.thread.run(move |engine| engine.wait(number))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let number = self.number;
        self.thread.later(move |engine| engine.forget(number));
    }
}

/// A recording for the caller's buffers. The handle comes first: it is dropped first.
struct Recorded {
    handle: Handle,
    io: Vec<u64>,
    _buffers: Vec<Arc<Memory>>,
}

/// A recording with its own host memory. The handle comes first: it is dropped first.
struct Staging {
    handle: Handle,
    pinned: Pinned,
}

impl AscendExecutable {
    pub(crate) fn new(
        device: String,
        thread: &Arc<Thread>,
        (scratch, workspaces): (Arc<Memory>, &Arc<SharedScratch<Memory>>),
        program: Arc<Program>,
        list: CallList,
        constants: &[(Constant, DType)],
        uploads: Uploads,
    ) -> Result<Self> {
        for step in &list.steps {
            for IndexCheck { index, rows } in &step.checks {
                if let Place::Constant(number) = index.place {
                    check_index(&step.node, index.dtype, constants[number].0.tensor().bytes(), *rows)?;
                }
            }
        }
        let layout = StagingLayout::new(&program, MEM_RULES);
        Ok(Self {
            device,
            program,
            list,
            uploads,
            layout,
            recorded: None,
            staging: None,
            scratch,
            workspaces: workspaces.clone(),
            thread: thread.clone(),
            last: Finished::default(),
        })
    }

    fn is_input(&self, place: Place) -> Option<usize> {
        match place {
            Place::Io(slot) if slot < self.program.input_count() => Some(slot),
            _ => None,
        }
    }

    /// Checks the indices that are inputs of the program, before anything runs; `bytes` gives an input's, and is asked once for each.
    fn check_inputs<'a>(&self, bytes: impl Fn(usize) -> Result<Cow<'a, [u8]>>) -> Result<()> {
        let mut inputs = HashMap::new();
        for step in &self.list.steps {
            for IndexCheck { index, rows } in &step.checks {
                let Some(slot) = self.is_input(index.place) else { continue };
                let input = match inputs.entry(slot) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(place) => place.insert(bytes(slot)?),
                };
                check_index(&step.node, index.dtype, input, *rows)?;
            }
        }
        Ok(())
    }

    fn recording(&self, io: &[u64]) -> Recording {
        let addresses = Addresses { arena: self.scratch.address, uploads: &self.uploads, io };
        let address = |place: Place| addresses.of(place);
        let steps = self.list.steps.iter().map(|step| RecordedStep {
            node: step.node.as_str().into(),
            calls: self.list.calls[step.calls.clone()].iter().map(|call| call.at(&address)).collect(),
            checks: (step.checks.iter())
                .filter(|check| self.is_input(check.index.place).is_none())
                .filter(|check| !matches!(check.index.place, Place::Constant(_)))
                .map(|check| ComputedIndex { index: check.index.at(address), rows: check.rows })
                .collect(),
        });
        Recording { copy_in: None, steps: steps.collect(), copy_out: None }
    }

    /// The staging, recorded when it is first asked for.
    fn stage(&mut self) -> Result<()> {
        if self.staging.is_some() {
            return Ok(());
        }
        let pinned = Pinned::new(&self.thread, self.layout.bytes())?;
        let (host, device) = (pinned.address, self.scratch.address + staging_at(&self.program) as u64);
        let io: Vec<u64> = self.layout.starts().map(|at| device + at as u64).collect();
        let (inputs, outputs) = (self.layout.inputs(), self.layout.outputs());
        let mut recording = self.recording(&io);
        if !inputs.is_empty() {
            recording.copy_in = Some(Transfer { from: host, to: device, bytes: inputs.len() });
        }
        if !outputs.is_empty() {
            let at = outputs.start as u64;
            recording.copy_out = Some(Transfer { from: device + at, to: host + at, bytes: outputs.len() });
        }
        let handle = Handle::new(&self.thread, &self.workspaces, recording)?;
        self.staging = Some(Staging { handle, pinned });
        Ok(())
    }

    fn begin(&self, cancel: &Cancel) -> Result<()> {
        let first = self.program.steps().first().map_or("the outputs", |step| step.name.as_str());
        cancel.check(first)
    }
}

/// Bytes of a program's own scratch: the arena, and behind it the device's side of the staging.
pub(crate) fn scratch_bytes(program: &Program) -> usize {
    staging_at(program) + StagingLayout::new(program, MEM_RULES).bytes()
}

/// Where the staging begins behind the arena.
fn staging_at(program: &Program) -> usize {
    padded(program.arena_bytes())
}

impl Executable for AscendExecutable {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.program.check_buffers(io)?;
        self.begin(cancel)?;
        let memories = io
            .iter()
            .map(|buffer| Ok(DeviceBuffer::of(buffer, &self.thread, &self.device)?.memory.clone()))
            .collect::<Result<Vec<_>>>()?;
        let read = |slot: usize| {
            let (memory, bytes) =
                (memories[slot].clone(), self.program.operand(self.program.io()[slot]).bytes());
            self.thread.run(move |engine| engine.copy_out(memory.address, bytes)).map(Cow::Owned)
        };
        self.check_inputs(read)?;
        let addresses: Vec<u64> = memories.iter().map(|memory| memory.address).collect();
        if self.recorded.as_ref().is_none_or(|recorded| recorded.io != addresses) {
            self.recorded = None;
            let handle = Handle::new(&self.thread, &self.workspaces, self.recording(&addresses))?;
            self.recorded = Some(Recorded { handle, io: addresses, _buffers: memories });
        }
        self.recorded.as_ref().map_or(Ok(()), |recorded| recorded.handle.start())
    }

    fn wait(&mut self) -> Result<()> {
        self.last = Finished::default();
        if let Some(recorded) = &self.recorded {
            self.last = recorded.handle.wait()?;
        }
        Ok(())
    }

    fn staged(&mut self) -> Option<&mut dyn Staged> {
        Some(self)
    }

    fn device_time(&self) -> Option<Duration> {
        self.last.time
    }

    fn work(&self) -> Option<Work> {
        self.last.work
    }

    /// What it pins on the host, and a charge for its captured graph, which takes of the device's streams; scratch is shared, and
    /// weights are the device's.
    fn resting_bytes(&self) -> Option<usize> {
        Some(self.layout.bytes() + GRAPH_CHARGE)
    }
}

impl Staged for AscendExecutable {
    fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]], cancel: &Cancel) -> Result<()> {
        self.begin(cancel)?;
        self.stage()?;
        self.last = Finished::default();
        self.layout.check_inputs(inputs)?;
        self.check_inputs(|slot| Ok(Cow::Borrowed(inputs[slot])))?;
        let Some(staging) = &mut self.staging else { return Ok(()) };
        self.layout.put(staging.pinned.bytes(), inputs)?;
        staging.handle.start()?;
        self.last = staging.handle.wait()?;
        self.layout.get(staging.pinned.bytes(), outputs)
    }
}
