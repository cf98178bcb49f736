//! A loaded model's own device memory: for its weights, and for what its steps hand on. The simulator finds it, or the
//! caller brings it.

use crate::meta::executor::Fault;
use crate::runtime::blocks::{self, Home};
use crate::runtime::errors::Failure;
use crate::runtime::uses::{self, Found};
use core::ffi::c_void;

/// Bytes that the system adds to what it allocates for a model, as `aclrtMalloc` does.
const PADDING: usize = 32;

/// What the caller brings; null for nothing.
#[derive(Clone, Copy, Default)]
pub(super) struct Brought {
    pub(super) address: usize,
    pub(super) bytes: usize,
}

impl Brought {
    pub(super) fn new(pointer: *mut c_void, bytes: usize) -> Self {
        Self { address: pointer.expose_provenance(), bytes }
    }

    /// Whether it may be a model's `name` memory of `needed` bytes.
    ///
    /// # Errors
    /// Our reading: 145000 where it is too small, 145007 where it is no memory of the device.
    pub(super) fn check(self, needed: usize, device: i32, name: &str) -> Result<(), Failure> {
        if self.bytes < needed {
            let text = format!("{name} memory has {} bytes, the model needs {needed}", self.bytes);
            return Err(Failure::new(145_000, text));
        }
        let found = uses::aligned(self.address, self.bytes, device, name);
        found.map(drop).map_err(|text| Failure::new(145_007, text))
    }
}

/// Device memory of a model, given back with it if the system found it.
pub(super) struct Memory {
    pub(super) address: usize,
    pub(super) bytes: usize,
    is_systems: bool,
}

impl Memory {
    /// What the caller brought, or else `needed` bytes of the simulator's, as the export `made_by` allocates them.
    ///
    /// # Errors
    /// As for [`Brought::check`]; 207001 if the device is full.
    pub(super) fn new(
        brought: Brought,
        needed: usize,
        device: i32,
        name: &str,
        made_by: &'static str,
    ) -> Result<Self, Failure> {
        if brought.address != 0 {
            brought.check(needed, device, name)?;
            return Ok(Self { address: brought.address, bytes: needed, is_systems: false });
        }
        let address = match needed {
            0 => 0,
            _ => blocks::allocate(Home::Device(device), needed, PADDING, made_by)?,
        };
        Ok(Self { address, bytes: needed, is_systems: needed > 0 })
    }

    /// The block behind it now, for a run.
    pub(super) fn found(&self, device: i32, name: &str) -> Found {
        uses::in_device_memory(self.address, self.bytes, device, name)
    }

    /// Writes its first bytes.
    ///
    /// # Errors
    /// 507015 if it was freed meanwhile.
    pub(super) fn write(&self, bytes: &[u8], device: i32, name: &str) -> Result<(), Fault> {
        uses::during(&[self.found(device, name)], name, || {
            let to: *mut u8 = core::ptr::with_exposed_provenance_mut(self.address);
            // SAFETY: device memory of `self.bytes` bytes, held meanwhile; of them these are at most all.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len().min(self.bytes)) };
            Ok(())
        })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.is_systems {
            // A model is unloaded in the context that it was loaded in, so that its device was not reset since; the
            // block is there unless the caller guessed its address.
            let _ = blocks::free(self.address, false);
        }
    }
}
