//! Memory of a device, and the host memory that every host backend uses as such.

use crate::{Error, Result};
use lockstep_graph::tensor::AlignedBytes;
use std::any::Any;
use std::fmt::Debug;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// What a buffer will be used for; a device may place it accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Written by the host, read by programs.
    Input,
    /// Written by programs, read by the host.
    Output,
}

/// Memory that a device allocated. Devices recognise their own by [`RawBuffer::as_any`].
pub trait RawBuffer: Debug + Send + Sync {
    /// How many bytes it holds.
    fn bytes(&self) -> usize;

    /// For the device's downcast.
    fn as_any(&self) -> &dyn Any;

    /// Checks that `len` bytes from `at` on lie in it.
    ///
    /// # Errors
    /// [`Error::Program`] if they do not.
    fn check_range(&self, at: usize, len: usize) -> Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.bytes()) {
            let bytes = self.bytes();
            return Err(Error::program(format!("{len} bytes at {at} do not lie in a buffer of {bytes}")));
        }
        Ok(())
    }
}

/// A shared handle of a device's memory.
pub type Buffer = Arc<dyn RawBuffer>;

/// Host memory as a device's memory, 64-byte aligned. A run borrows it; a second run that would write what the first
/// still uses gets an error instead of waiting or racing.
#[derive(Debug)]
pub struct HostBuffer {
    bytes: usize,
    memory: RwLock<AlignedBytes>,
}

impl HostBuffer {
    /// `bytes` zero bytes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn allocate(device: &str, bytes: usize) -> Result<Buffer> {
        let memory = AlignedBytes::try_zeroed(bytes).ok_or_else(|| Error::OutOfMemory {
            device: device.to_owned(),
            requested: bytes,
            free: None,
        })?;
        Ok(Arc::new(Self { bytes, memory: RwLock::new(memory) }))
    }

    /// The host buffer behind a handle.
    ///
    /// # Errors
    /// [`Error::Program`] for another device's memory.
    pub fn of(buffer: &Buffer) -> Result<&HostBuffer> {
        let found = buffer.as_any().downcast_ref();
        found.ok_or_else(|| {
            Error::program("a buffer of another device; allocate it on the device that runs the program")
        })
    }

    /// Borrows it to read.
    ///
    /// # Errors
    /// [`Error::Program`] while it is being written.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, AlignedBytes>> {
        match self.memory.try_read() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(in_use("written")),
        }
    }

    /// Borrows it to write.
    ///
    /// # Errors
    /// [`Error::Program`] while anyone else uses it.
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, AlignedBytes>> {
        match self.memory.try_write() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(in_use("used")),
        }
    }

    /// Copies `source` to the buffer's bytes from `at`.
    ///
    /// # Errors
    /// [`Error::Program`] if they do not fit, or while the buffer is in use.
    pub fn copy_in(&self, at: usize, source: &[u8]) -> Result<()> {
        self.check_range(at, source.len())?;
        self.write()?.as_mut_slice()[at..at + source.len()].copy_from_slice(source);
        Ok(())
    }

    /// Copies the buffer's bytes from `at` to `destination`.
    ///
    /// # Errors
    /// [`Error::Program`] if the range is not in the buffer, or while it is being written.
    pub fn copy_out(&self, at: usize, destination: &mut [u8]) -> Result<()> {
        self.check_range(at, destination.len())?;
        destination.copy_from_slice(&self.read()?.as_slice()[at..at + destination.len()]);
        Ok(())
    }
}

fn in_use(how: &str) -> Error {
    Error::program(format!(
        "a buffer of this run is being {how} elsewhere; give every input and output its own"
    ))
}

impl RawBuffer for HostBuffer {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_outside_the_buffer_is_an_error() {
        let buffer = HostBuffer::allocate("test", 8).unwrap();
        let host = HostBuffer::of(&buffer).unwrap();
        assert!(host.copy_in(4, &[0; 5]).is_err());
        assert!(host.copy_out(usize::MAX, &mut [0; 2]).is_err());
        assert!(host.copy_in(4, &[7; 4]).is_ok());
    }

    #[test]
    fn a_buffer_that_is_read_cannot_be_written() {
        let buffer = HostBuffer::allocate("test", 8).unwrap();
        let host = HostBuffer::of(&buffer).unwrap();
        let _reader = host.read().unwrap();
        assert!(host.write().is_err());
        assert!(host.read().is_ok());
    }
}
