//! A program on an engine: recorded for the buffers it is given, and recorded again only when they change.

use crate::buffer::DeviceBuffer;
use crate::engine::{Engine, Memory, Recording, Replay, Resolved};
use crate::launch::{Argument, Command, FINDING_BYTES, LaunchList};
use crate::memory::{Addresses, Uploads, io_addresses};
use lockstep_hal::{Buffer, Cancel, Error, Executable, Program, Result};
use std::sync::Arc;
use std::time::Duration;

/// A compiled program.
pub(crate) struct CudaExecutable {
    engine: Arc<dyn Engine>,
    program: Arc<Program>,
    list: LaunchList,
    uploads: Uploads,
    arena: Arc<dyn Memory>,
    findings: Arc<dyn Memory>,
    recorded: Option<Recorded>,
}

/// A recording, with what it must not outlive. The replay comes first: it is dropped first.
struct Recorded {
    replay: Box<dyn Replay>,
    io: Vec<u64>,
    _buffers: Vec<Arc<dyn Memory>>,
}

impl CudaExecutable {
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        program: Arc<Program>,
        list: LaunchList,
        uploads: Uploads,
    ) -> Result<Self> {
        let arena = engine.allocate(program.arena_bytes())?;
        let findings = engine.allocate(list.findings.len() * FINDING_BYTES)?;
        Ok(Self { engine, program, list, uploads, arena, findings, recorded: None })
    }

    fn recording(&self, io: &[u64]) -> Recording {
        let addresses = Addresses {
            arena: self.arena.as_ref(),
            findings: self.findings.as_ref(),
            uploads: &self.uploads,
            io,
        };
        let mut recording = Recording::new();
        if !self.list.findings.is_empty() {
            let bytes = self.list.findings.len() * FINDING_BYTES;
            recording.push((
                "findings".into(),
                Resolved::Fill { at: self.findings.address(), value: 0xff, bytes },
            ));
        }
        for step in &self.list.steps {
            let node: Arc<str> = step.node.as_str().into();
            for command in &self.list.commands[step.commands.clone()] {
                recording.push((node.clone(), resolved(command, &addresses)));
            }
        }
        recording
    }
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
        Command::Product(product) => Resolved::Product(product.at(|place| addresses.of(place))),
        Command::Copy { from, to, bytes } => {
            Resolved::Copy { from: addresses.of(*from), to: addresses.of(*to), bytes: *bytes }
        }
        Command::Zero { at, bytes } => Resolved::Fill { at: addresses.of(*at), value: 0, bytes: *bytes },
    }
}

impl Executable for CudaExecutable {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.program.check_buffers(io)?;
        let first = self.program.steps().first().map_or("the outputs", |step| step.name.as_str());
        cancel.check(first)?;
        let device = &self.engine.info().id;
        let addresses = io_addresses(io, device)?;
        if self.recorded.as_ref().is_none_or(|recorded| recorded.io != addresses) {
            self.recorded = None;
            let buffers = io
                .iter()
                .map(|buffer| Ok(DeviceBuffer::of(buffer, device)?.memory.clone()))
                .collect::<Result<_>>()?;
            let replay = self.engine.clone().record(self.recording(&addresses))?;
            self.recorded = Some(Recorded { replay, io: addresses, _buffers: buffers });
        }
        self.recorded.as_mut().map_or(Ok(()), |recorded| recorded.replay.start())
    }

    fn wait(&mut self) -> Result<()> {
        let Some(recorded) = &mut self.recorded else { return Ok(()) };
        recorded.replay.wait()?;
        let mut found = vec![0; self.list.findings.len() * FINDING_BYTES];
        if found.is_empty() {
            return Ok(());
        }
        self.engine.copy_out(self.findings.as_ref(), 0, &mut found)?;
        for (finding, bytes) in self.list.findings.iter().zip(found.chunks_exact(FINDING_BYTES)) {
            let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
            if word(0) != u64::MAX {
                return Err(Error::value(&finding.node, finding.check.reason(word(0), word(8) as i64)));
            }
        }
        Ok(())
    }

    fn device_time(&self) -> Option<Duration> {
        self.recorded.as_ref().and_then(|recorded| recorded.replay.device_time())
    }
}
