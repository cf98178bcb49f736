//! What executes launch lists: a GPU through its driver, or the emulator. The device above is the same for both.

use lockstep_hal::{DeviceInfo, Result};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Memory of the engine; freed when dropped.
pub trait Memory: Debug + Send + Sync {
    /// Its first byte, a multiple of 256.
    fn address(&self) -> u64;

    /// How many bytes it holds.
    fn bytes(&self) -> usize;
}

/// Page-locked host memory, which a run copies to and from while the host goes on; freed when dropped.
pub trait Pinned: Debug + Send {
    /// Its first byte, as commands name it.
    fn address(&self) -> u64;

    /// Its bytes. Only while no run that names them is under way.
    fn bytes(&mut self) -> &mut [u8];
}

/// A command with every place an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// Run a kernel.
    Launch {
        /// Its name.
        kernel: String,
        /// Blocks along x, y and z.
        grid: [u32; 3],
        /// Threads of a block.
        block: u32,
        /// Bytes of dynamic shared memory.
        shared_bytes: u32,
        /// Each argument's bytes.
        arguments: Vec<Vec<u8>>,
    },
    /// Copy bytes on the device, or between it and pinned memory.
    Copy {
        /// From this address.
        from: u64,
        /// To that one.
        to: u64,
        /// How many.
        bytes: usize,
    },
    /// Set bytes.
    Fill {
        /// From this address on.
        at: u64,
        /// To this value.
        value: u8,
        /// How many.
        bytes: usize,
    },
}

/// A run's commands with the name of the node that each belongs to.
pub type Recording = Vec<(Arc<str>, Resolved)>;

/// A recording made ready, to be run again and again.
pub trait Replay: Send {
    /// Starts it, and returns before it is done where the engine can.
    ///
    /// # Errors
    /// What the driver says, with the node and kernel.
    fn start(&mut self) -> Result<()>;

    /// Waits until it is done.
    ///
    /// # Errors
    /// What went wrong during the run.
    fn wait(&mut self) -> Result<()>;

    /// How long the run that was waited for took on the GPU; `None` where that was not measured.
    fn device_time(&self) -> Option<Duration> {
        None
    }
}

/// An open GPU, or what stands in for one.
pub trait Engine: Debug + Send + Sync {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// Memory of at least `bytes` bytes.
    ///
    /// # Errors
    /// [`lockstep_hal::Error::OutOfMemory`] with what is free.
    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Memory>>;

    /// Pinned memory of that many bytes, all zero.
    ///
    /// # Errors
    /// What the driver says.
    fn allocate_pinned(&self, bytes: usize) -> Result<Box<dyn Pinned>>;

    /// Copies host bytes to `at` bytes into `memory`, and waits.
    ///
    /// # Errors
    /// What the driver says.
    fn copy_in(&self, memory: &dyn Memory, at: usize, source: &[u8]) -> Result<()>;

    /// Copies from `at` bytes into `memory` to the host, once everything started before is done.
    ///
    /// # Errors
    /// What the driver says.
    fn copy_out(&self, memory: &dyn Memory, at: usize, destination: &mut [u8]) -> Result<()>;

    /// Resolves kernels; what can be captured as one graph is, once it has run. The memory that it names must live as
    /// long as the replay.
    ///
    /// # Errors
    /// A kernel that is not there, what the driver says.
    fn record(self: Arc<Self>, recording: Recording) -> Result<Box<dyn Replay>>;
}
