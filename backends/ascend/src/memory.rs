//! Device memory and pinned memory as handles, constants once per device, and the scratch that programs share.

use crate::device::Thread;
use crate::launch::Place;
use lockstep_hal::graph::{Constant, ConstantKey, DType};
use lockstep_hal::{Result, WeightCache};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Device memory; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    thread: Arc<Thread>,
    pub(crate) address: u64,
    pub(crate) bytes: usize,
}

impl Memory {
    /// At least `bytes` bytes, zeros if that is asked for.
    pub(crate) fn new(thread: &Arc<Thread>, bytes: usize, zeroed: bool) -> Result<Self> {
        let address = thread.run(move |engine| engine.allocate(bytes, zeroed))?;
        Ok(Self { thread: thread.clone(), address, bytes })
    }
}

impl Memory {
    /// Whether that thread gave it.
    pub(crate) fn is_of(&self, thread: &Arc<Thread>) -> bool {
        Arc::ptr_eq(&self.thread, thread)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let address = self.address;
        self.thread.later(move |engine| engine.free(address));
    }
}

/// Page-locked host memory; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    thread: Arc<Thread>,
    pub(crate) address: u64,
    bytes: usize,
}

impl Pinned {
    /// So many bytes, all zero.
    pub(crate) fn new(thread: &Arc<Thread>, bytes: usize) -> Result<Self> {
        let address = thread.run(move |engine| engine.allocate_pinned(bytes))?;
        Ok(Self { thread: thread.clone(), address, bytes })
    }

    /// Its bytes. Only while no run is under way that copies to or from it.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: host memory of that many bytes, this handle's alone; runs are waited for before this is called.
        unsafe { std::slice::from_raw_parts_mut(self.address as *mut u8, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let address = self.address;
        self.thread.later(move |engine| engine.free_pinned(address));
    }
}

/// What tells one upload from another: a constant, and the dtype that it is kept in.
pub(crate) type UploadKey = (ConstantKey, DType);

/// A program's constants, numbered as its calls name them; the device keeps them as long as a program does.
#[derive(Debug)]
pub(crate) struct Uploads(Vec<Arc<Memory>>);

impl Uploads {
    pub(crate) fn new(
        thread: &Arc<Thread>,
        cache: &WeightCache<UploadKey, Memory>,
        constants: Vec<(Constant, DType)>,
    ) -> Result<Self> {
        let upload = |(constant, dtype): (Constant, DType)| {
            cache.get_or_make((constant.key(), dtype), || {
                let tensor = constant.tensor();
                let bytes = if tensor.dtype() == dtype {
                    tensor.bytes().to_vec()
                } else {
                    tensor.cast(dtype)?.bytes().to_vec()
                };
                let memory = Memory::new(thread, bytes.len(), false)?;
                let to = memory.address;
                thread.run(move |engine| engine.copy_in(to, &bytes))?;
                Ok(memory)
            })
        };
        Ok(Self(constants.into_iter().map(upload).collect::<Result<_>>()?))
    }
}

/// Scratch that the programs of a device use one after another on its one stream.
#[derive(Debug, Default)]
pub(crate) struct SharedScratch(Mutex<Vec<Weak<Memory>>>);

impl SharedScratch {
    /// Scratch of at least that many bytes. What is there is shared where it is large enough; else there is more, in powers
    /// of two, and the old goes with the last program that has it.
    pub(crate) fn of(&self, thread: &Arc<Thread>, bytes: usize) -> Result<Arc<Memory>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|there| there.strong_count() > 0);
        let large_enough = shared.iter().filter_map(Weak::upgrade).find(|there| there.bytes >= bytes);
        if let Some(there) = large_enough {
            return Ok(there);
        }
        // Where that is too much, just enough may not be.
        let ample = bytes.checked_next_power_of_two().map(|ample| Memory::new(thread, ample, false));
        let memory = Arc::new(match ample {
            Some(Ok(memory)) => memory,
            _ => Memory::new(thread, bytes, false)?,
        });
        shared.push(Arc::downgrade(&memory));
        Ok(memory)
    }
}

/// Where everything is during a run.
pub(crate) struct Addresses<'a> {
    pub(crate) arena: u64,
    pub(crate) uploads: &'a Uploads,
    pub(crate) io: &'a [u64],
}

impl Addresses<'_> {
    /// The address of a place.
    pub(crate) fn of(&self, place: Place) -> u64 {
        match place {
            Place::Arena(at) => self.arena + at as u64,
            Place::Io(slot) => self.io[slot],
            Place::Constant(index) => self.uploads.0[index].address,
        }
    }
}
