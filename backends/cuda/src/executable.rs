//! A program on an engine: recorded for the buffers it is given, and recorded again only when they change; or recorded once
//! with its own staging.
//!
//! Programs of one device share their scratch: runs follow each other on one stream, so that no two are in it at once, and
//! dozens of captured programs cost no more memory than the largest.

use crate::buffer::DeviceBuffer;
use crate::device::{ALIGNMENT, MEM_RULES};
use crate::engine::{Engine, Memory, Pinned, Recording, Replay, Resolved};
use crate::launch::{Argument, Command, FINDING_BYTES, LaunchList};
use crate::memory::{Addresses, Uploads, io_addresses};
use lockstep_hal::{
    Buffer, Cancel, Error, Executable, Program, Result, SharedScratch, Staged, StagingLayout,
};
use std::sync::Arc;
use std::time::Duration;

/// A compiled program.
pub(crate) struct CudaExecutable {
    engine: Arc<dyn Engine>,
    program: Arc<Program>,
    list: LaunchList,
    layout: StagingLayout,
    recorded: Option<Recorded>,
    staging: Option<Staging>,
    /// Below the recordings that read them, as is all other memory: what is dropped first waits for what runs.
    uploads: Uploads,
    /// The arena, and behind it the device's side of the staging.
    scratch: Arc<dyn Memory>,
    findings: Arc<dyn Memory>,
    /// Of the last run, however it was given its memory.
    device_time: Option<Duration>,
}

/// A recording, with what it must not outlive. The replay comes first: it is dropped first.
struct Recorded {
    replay: Box<dyn Replay>,
    io: Vec<u64>,
    _buffers: Vec<Arc<dyn Memory>>,
}

/// A recording from pinned memory to pinned memory. The replay comes first: it is dropped first.
struct Staging {
    replay: Box<dyn Replay>,
    pinned: Box<dyn Pinned>,
}

impl CudaExecutable {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        shared: &SharedScratch<dyn Memory>,
        program: Arc<Program>,
        list: LaunchList,
        uploads: Uploads,
    ) -> Result<Self> {
        let layout = StagingLayout::new(&program, MEM_RULES);
        let findings = list.findings.len() * FINDING_BYTES;
        let scratch = staging_at(&program) + layout.bytes() + findings;
        let scratch = shared.of(scratch, |bytes| engine.allocate(bytes))?;
        let findings = engine.allocate(findings)?;
        Ok(Self {
            engine,
            program,
            list,
            uploads,
            scratch,
            layout,
            findings,
            recorded: None,
            staging: None,
            device_time: None,
        })
    }

    fn recording(&self, io: &[u64], findings: u64) -> Recording {
        let addresses = Addresses { arena: self.scratch.address(), findings, uploads: &self.uploads, io };
        let mut recording = Recording::new();
        if !self.list.findings.is_empty() {
            let bytes = self.list.findings.len() * FINDING_BYTES;
            recording.push(("findings".into(), Resolved::Fill { at: findings, value: 0xff, bytes }));
        }
        for step in &self.list.steps {
            let node: Arc<str> = step.node.as_str().into();
            for command in &self.list.commands[step.commands.clone()] {
                recording.push((node.clone(), resolved(command, &addresses)));
            }
        }
        recording
    }

    /// The staging, recorded when it is first asked for.
    fn stage(&mut self) -> Result<()> {
        if self.staging.is_some() {
            return Ok(());
        }
        let pinned = self.engine.allocate_pinned(self.staged_bytes())?;
        let (host, device) = (pinned.address(), self.scratch.address() + staging_at(&self.program) as u64);
        let io: Vec<u64> = self.layout.starts().map(|at| device + at as u64).collect();
        let inputs = self.layout.inputs();
        // The findings lie behind the outputs, and come with them.
        let results = self.layout.outputs().start..self.staged_bytes();
        let mut recording = Recording::new();
        if !inputs.is_empty() {
            recording
                .push(("the inputs".into(), Resolved::Copy { from: host, to: device, bytes: inputs.len() }));
        }
        recording.extend(self.recording(&io, device + self.layout.bytes() as u64));
        if !results.is_empty() {
            let at = results.start as u64;
            let copy = Resolved::Copy { from: device + at, to: host + at, bytes: results.len() };
            recording.push(("the outputs".into(), copy));
        }
        let replay = self.engine.clone().record(recording)?;
        self.staging = Some(Staging { replay, pinned });
        Ok(())
    }

    /// Inputs, outputs and findings, side by side.
    fn staged_bytes(&self) -> usize {
        self.layout.bytes() + self.list.findings.len() * FINDING_BYTES
    }

    fn begin(&self, cancel: &Cancel) -> Result<()> {
        let first = self.program.steps().first().map_or("the outputs", |step| step.name.as_str());
        cancel.check(first)
    }
}

/// Where the staging begins behind the arena.
fn staging_at(program: &Program) -> usize {
    program.arena_bytes().next_multiple_of(ALIGNMENT)
}

/// The first of the findings that found something, as an error.
fn judged(list: &LaunchList, found: &[u8]) -> Result<()> {
    for (finding, bytes) in list.findings.iter().zip(found.chunks_exact(FINDING_BYTES)) {
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        if word(0) != u64::MAX {
            return Err(Error::value(&finding.node, finding.check.reason(word(0), word(8) as i64)));
        }
    }
    Ok(())
}

fn resolved(command: &Command, addresses: &Addresses<'_>) -> Resolved {
    match command {
        Command::Launch(launch) => {
            let argument = |argument: &Argument| match argument {
                Argument::Pointer(place) => addresses.of(*place).to_ne_bytes().to_vec(),
                Argument::U32(value) => value.to_ne_bytes().to_vec(),
                Argument::I64(value) => value.to_ne_bytes().to_vec(),
                Argument::F32(value) => value.to_ne_bytes().to_vec(),
                Argument::Walk(walk) => walk.bytes(),
            };
            Resolved::Launch {
                kernel: launch.kernel.clone(),
                grid: launch.grid,
                block: launch.block,
                shared_bytes: launch.shared_bytes,
                arguments: launch.arguments.iter().map(argument).collect(),
            }
        }
        Command::Copy { from, to, bytes } => {
            Resolved::Copy { from: addresses.of(*from), to: addresses.of(*to), bytes: *bytes }
        }
        Command::Zero { at, bytes } => Resolved::Fill { at: addresses.of(*at), value: 0, bytes: *bytes },
    }
}

impl Executable for CudaExecutable {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.program.check_buffers(io)?;
        self.begin(cancel)?;
        let device = &self.engine.info().id;
        let addresses = io_addresses(io, device)?;
        if self.recorded.as_ref().is_none_or(|recorded| recorded.io != addresses) {
            self.recorded = None;
            let buffers = io
                .iter()
                .map(|buffer| Ok(DeviceBuffer::of(buffer, device)?.memory.clone()))
                .collect::<Result<_>>()?;
            let recording = self.recording(&addresses, self.findings.address());
            let replay = self.engine.clone().record(recording)?;
            self.recorded = Some(Recorded { replay, io: addresses, _buffers: buffers });
        }
        self.recorded.as_mut().map_or(Ok(()), |recorded| recorded.replay.start())
    }

    fn wait(&mut self) -> Result<()> {
        let Some(recorded) = &mut self.recorded else { return Ok(()) };
        self.device_time = None;
        recorded.replay.wait()?;
        self.device_time = recorded.replay.device_time();
        let mut found = vec![0; self.list.findings.len() * FINDING_BYTES];
        if found.is_empty() {
            return Ok(());
        }
        self.engine.copy_out(self.findings.as_ref(), 0, &mut found)?;
        judged(&self.list, &found)
    }

    fn staged(&mut self) -> Option<&mut dyn Staged> {
        Some(self)
    }

    fn device_time(&self) -> Option<Duration> {
        self.device_time
    }

    /// What it pins on the host; scratch is shared, and weights are the device's.
    fn resting_bytes(&self) -> Option<usize> {
        Some(self.staged_bytes())
    }
}

impl Staged for CudaExecutable {
    fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]], cancel: &Cancel) -> Result<()> {
        self.begin(cancel)?;
        self.stage()?;
        let Some(staging) = &mut self.staging else { return Ok(()) };
        self.layout.put(staging.pinned.bytes(), inputs)?;
        self.device_time = None;
        staging.replay.start()?;
        staging.replay.wait()?;
        self.device_time = staging.replay.device_time();
        judged(&self.list, &staging.pinned.bytes()[self.layout.bytes()..])?;
        self.layout.get(staging.pinned.bytes(), outputs)
    }
}
