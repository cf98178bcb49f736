//! Device memory and pinned memory as handles, constants once per device, and the addresses of a run.

use crate::device::Thread;
use crate::launch::Place;
use lockstep_hal::graph::{Constant, ConstantKey, DType};
use lockstep_hal::{Result, WeightCache};
use std::sync::Arc;

/// Device memory; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    thread: Arc<Thread>,
    pub(crate) address: u64,
}

impl Memory {
    /// At least `bytes` bytes, zeros if that is asked for.
    pub(crate) fn new(thread: &Arc<Thread>, bytes: usize, zeroed: bool) -> Result<Self> {
        let address = thread.run(move |engine| engine.allocate(bytes, zeroed))?;
        Ok(Self { thread: thread.clone(), address })
    }

    /// Allocates what several programs share.
    pub(crate) fn shared(thread: &Arc<Thread>) -> impl Fn(usize) -> Result<Arc<Self>> {
        move |bytes| Self::new(thread, bytes, false).map(Arc::new)
    }

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
