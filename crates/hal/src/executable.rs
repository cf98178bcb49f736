//! A compiled program, ready to run again and again.

use crate::{Buffer, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A compiled program. One run at a time; compile several for several runs at once.
pub trait Executable: Send {
    /// Starts a run on the program's buffers: inputs, then outputs, then taps, in the program's order. Checks `cancel`
    /// between steps where it can.
    ///
    /// # Errors
    /// [`Error::Program`](crate::Error::Program) for buffers that do not fit, [`Error::Value`](crate::Error::Value) for
    /// values an op cannot take, [`Error::Cancelled`](crate::Error::Cancelled), or what the driver says.
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()>;

    /// Waits until the run is done and its outputs can be read. Faults of asynchronous devices surface here.
    ///
    /// # Errors
    /// What went wrong during the run.
    fn wait(&mut self) -> Result<()>;

    /// How long the last run took on the device itself, from its first command to its last, copies of a staged run included;
    /// asked after it was waited for. `None` where the device measures no time of its own, or did not for that run.
    fn device_time(&self) -> Option<Duration> {
        None
    }

    /// What the last run asked of the device, where the device keeps count.
    fn work(&self) -> Option<Work> {
        None
    }

    /// The way from host memory to host memory that this program prefers to a copy for each buffer; `None`: it has none, and
    /// is to be given buffers.
    fn staged(&mut self) -> Option<&mut dyn Staged> {
        None
    }

    /// Bytes that are this program's alone while it rests; `None`: its arena and its buffers.
    fn resting_bytes(&self) -> Option<usize> {
        None
    }
}

/// What a run asked of its device, beside the time it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Kernels or operators that ran.
    pub operators: usize,
    /// What the host handed to the device for them: 1 where they were captured.
    pub submissions: usize,
    /// How often the host waited between the first and the last of them.
    pub waits: usize,
    /// Device memory in bytes that this device's programs, weights and buffers had.
    pub device_bytes: usize,
}

/// A program with host memory of its own that its device reads and writes as part of the run.
pub trait Staged {
    /// A whole run: `inputs` in, `outputs` (outputs, then taps) out, in the program's order.
    ///
    /// # Errors
    /// [`Error::Program`](crate::Error::Program) for slices of other sizes; otherwise as [`Executable::submit`] and
    /// [`Executable::wait`].
    fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]], cancel: &Cancel) -> Result<()>;
}

/// A flag that stops a run between two steps. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every run that was given this flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error naming `node` if it was asked.
    ///
    /// # Errors
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn check(&self, node: &str) -> Result<()> {
        if self.is_cancelled() {
            return Err(crate::Error::Cancelled { node: node.to_owned() });
        }
        Ok(())
    }
}
