//! The caller's buffers in device memory.

use crate::device::Thread;
use crate::memory::Memory;
use lockstep_hal::{Buffer, Error, RawBuffer, Result};
use std::any::Any;
use std::sync::Arc;

/// Device memory as a caller's buffer.
#[derive(Debug)]
pub(crate) struct DeviceBuffer {
    pub(crate) memory: Arc<Memory>,
    /// As asked for; the memory may be larger.
    pub(crate) bytes: usize,
}

impl DeviceBuffer {
    /// The buffer behind a handle, if it is of this device.
    pub(crate) fn of<'a>(buffer: &'a Buffer, thread: &Arc<Thread>, device: &str) -> Result<&'a DeviceBuffer> {
        // Of this opening of the device: another one has a stream of its own, and may be lost.
        let found = buffer.as_any().downcast_ref::<DeviceBuffer>().filter(|found| found.memory.is_of(thread));
        found.ok_or_else(|| {
            Error::program(format!(
                "a buffer that is not of {device}; allocate it on the device that runs the program"
            ))
        })
    }
}

impl RawBuffer for DeviceBuffer {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
