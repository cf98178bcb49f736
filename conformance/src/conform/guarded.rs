//! One op on a device's own buffers, with guards around everything that it could get wrong silently.
//!
//! Every buffer is longer than its tensor, and the rest is filled with a pattern that no kernel may touch. Outputs hold a
//! pattern before each run, in which every float is a NaN or huge, so that an element that is never written stands out.

use crate::one_op::{self, Argument};
use lockstep_runtime::graph::{Op, SymbolValues};
use lockstep_runtime::hal::{Buffer, Error as DeviceError, Executable, Usage};
use lockstep_runtime::plan::{BoundProgram, Prepared};
use lockstep_runtime::tensor::{AlignedBytes, Bytes, HostTensor};
use lockstep_runtime::{Cancel, Device, Extents, Fallback, Packing, PlanOptions, Result};
use std::fmt;
use std::sync::Arc;

/// Bytes behind each tensor that nothing may write.
const GUARD: usize = 256;
/// What they and outputs are filled with: as f16, bf16, f32 and f64 a NaN, as an integer -1.
const PATTERN: u8 = 0xff;

/// A compiled op with its buffers.
pub(super) struct Guarded {
    device: Arc<dyn Device>,
    bound: BoundProgram,
    executable: Box<dyn Executable>,
    buffers: Vec<Buffer>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("device", &self.device.info().id).finish_non_exhaustive()
    }
}

impl Guarded {
    /// Compiles an op for a device, as it is: neither fused nor packed nor decomposed unless the device says so.
    ///
    /// # Errors
    /// A refusal, or what the device says.
    pub(super) fn compile(device: &Arc<dyn Device>, op: &Op, arguments: &[Argument]) -> Result<Self> {
        let (packing, extents, fallback) = (Packing::Off, Extents::Exact, Fallback::Deny);
        let options = PlanOptions { packing, extents, fallback, fuse: false };
        let graph = one_op::graph_of("node", op, arguments)?;
        let prepared = Prepared::new(&graph, device.clone(), options)?;
        let bound = prepared.bind(&SymbolValues::new(), &["0"], &[])?;
        let executable = device.clone().compile(bound.program.clone())?;
        let mut buffers = Vec::new();
        for (slot, &id) in bound.program.io().iter().enumerate() {
            let usage = if slot < bound.inputs.len() { Usage::Input } else { Usage::Output };
            buffers.push(device.alloc(bound.program.operand(id).bytes() + GUARD, usage)?);
        }
        Ok(Self { device: device.clone(), bound, executable, buffers })
    }

    /// Runs it and gives its output.
    ///
    /// # Errors
    /// What the device says; a guard that was overwritten.
    pub(super) fn run(&mut self, arguments: &[Argument]) -> Result<HostTensor> {
        let program = &self.bound.program;
        for (slot, &id) in program.io().iter().enumerate() {
            let pattern = vec![PATTERN; program.operand(id).bytes() + GUARD];
            self.device.write(&self.buffers[slot], 0, &pattern)?;
        }
        for (slot, name) in self.bound.inputs.iter().enumerate() {
            // The graph's inputs are named by their places.
            let argument = name.parse().ok().and_then(|at: usize| arguments.get(at));
            let argument = argument.ok_or_else(|| DeviceError::program(format!("no argument `{name}`")))?;
            self.device.write(&self.buffers[slot], 0, argument.tensor().bytes())?;
        }
        self.executable.submit(&self.buffers, &Cancel::new())?;
        self.executable.wait()?;
        self.check_guards()?;
        let id = program.io()[self.bound.inputs.len()];
        let operand = program.operand(id);
        let mut bytes = AlignedBytes::zeroed(operand.bytes());
        self.device.read(&self.buffers[self.bound.inputs.len()], 0, bytes.as_mut_slice())?;
        // The same memory may have another shape in the program.
        let shape = self.bound.outputs[0].1.fixed_shape().unwrap_or_default();
        Ok(HostTensor::from_bytes(operand.dtype, &shape, Bytes::owned(bytes))?)
    }

    fn check_guards(&self) -> Result<()> {
        for (buffer, &id) in self.buffers.iter().zip(self.bound.program.io()) {
            let operand = self.bound.program.operand(id);
            let mut guard = [0; GUARD];
            self.device.read(buffer, operand.bytes(), &mut guard)?;
            if let Some(at) = guard.iter().position(|&byte| byte != PATTERN) {
                let what = format!("wrote {at} bytes beyond the end of `{}`", operand.name);
                return Err(DeviceError::program(what).into());
            }
        }
        Ok(())
    }
}

/// The same arguments with every given float a NaN: what a second run must not see any more.
pub(super) fn poisoned(arguments: &[Argument]) -> Vec<Argument> {
    let poison = |x: &HostTensor| {
        let bytes = AlignedBytes::copy_of(&vec![PATTERN; x.bytes().len()]);
        HostTensor::from_bytes(x.dtype(), x.shape(), Bytes::owned(bytes)).unwrap_or_else(|_| x.clone())
    };
    let poisoned = |argument: &Argument| match argument {
        Argument::Given(x) if x.dtype().is_float() => Argument::Given(poison(x)),
        other => other.clone(),
    };
    arguments.iter().map(poisoned).collect()
}
