//! A program as a list of closures, and the loop that runs it.

use crate::buffer::{Arena, Arenas};
use crate::kernels::{Context, Launch, prepare};
use crate::memory::{Guard, Memory};
use crate::pool::Pool;
use lockstep_hal::{Buffer, Cancel, Executable, HostBuffer, Program, Result};
use std::sync::Arc;

/// A step, resolved.
struct Prepared {
    name: String,
    op: String,
    launch: Launch,
}

/// A compiled program.
pub(crate) struct CpuExecutable {
    program: Arc<Program>,
    pool: Arc<Pool>,
    arena: Arena,
    steps: Vec<Prepared>,
}

impl CpuExecutable {
    pub(crate) fn new(context: &Context<'_>, arenas: &Arc<Arenas>, device: &str) -> Result<Self> {
        let program = context.program.clone();
        let steps = (program.steps().iter())
            .map(|step| {
                let launch = prepare(context, step)?;
                Ok(Prepared { name: step.name.clone(), op: step.op.name().to_owned(), launch })
            })
            .collect::<Result<Vec<_>>>()?;
        let arena = arenas.take(device, program.arena_bytes())?;
        Ok(Self { program, pool: context.pool.clone(), arena, steps })
    }
}

impl Executable for CpuExecutable {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.program.check_buffers(io)?;
        let mut guards = Vec::with_capacity(io.len());
        for (slot, buffer) in io.iter().enumerate() {
            let buffer = HostBuffer::of(buffer)?;
            let is_input = slot < self.program.input_count();
            guards.push(if is_input { Guard::Read(buffer.read()?) } else { Guard::Write(buffer.write()?) });
        }
        let memory = Memory::new(self.arena.as_mut_slice(), &mut guards);
        let steps = &mut self.steps;
        self.pool.enter(|| {
            for step in steps {
                cancel.check(&step.name)?;
                let _span = tracing::trace_span!("step", node = %step.name, op = %step.op).entered();
                (step.launch)(&memory)?;
            }
            Ok(())
        })
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}
