//! Constants in device memory, once per device; the scratch that programs share; and the addresses of a run.

use crate::buffer::DeviceBuffer;
use crate::engine::{Engine, Memory};
use crate::launch::{FINDING_BYTES, Place};
use lockstep_hal::graph::{Constant, ConstantKey, DType};
use lockstep_hal::{Buffer, Result, WeightCache};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What tells one upload from another: a constant, and the dtype that it is kept in.
pub(crate) type UploadKey = (ConstantKey, DType);

/// A program's constants, numbered as its launch list names them; the device keeps them as long as a program does.
#[derive(Debug)]
pub(crate) struct Uploads(Vec<Arc<Arc<dyn Memory>>>);

impl Uploads {
    pub(crate) fn new(
        engine: &dyn Engine,
        cache: &WeightCache<UploadKey, Arc<dyn Memory>>,
        constants: Vec<(Constant, DType)>,
    ) -> Result<Self> {
        let upload = |(constant, dtype): (Constant, DType)| {
            cache.get_or_make((constant.key(), dtype), || {
                let tensor = constant.tensor();
                let cast;
                let bytes = if tensor.dtype() == dtype {
                    tensor.bytes()
                } else {
                    cast = tensor.cast(dtype)?;
                    cast.bytes()
                };
                let memory = engine.allocate(bytes.len())?;
                engine.copy_in(memory.as_ref(), 0, bytes)?;
                Ok(memory)
            })
        };
        Ok(Self(constants.into_iter().map(upload).collect::<Result<_>>()?))
    }
}

/// Scratch that the programs of a device use one after another.
#[derive(Debug, Default)]
pub(crate) struct SharedScratch(Mutex<Vec<Weak<dyn Memory>>>);

impl SharedScratch {
    /// Scratch of at least that many bytes. What is there is shared where it is large enough; else there is more, in powers
    /// of two, and the old goes with the last program that has it.
    pub(crate) fn of(&self, engine: &dyn Engine, bytes: usize) -> Result<Arc<dyn Memory>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|there| there.strong_count() > 0);
        let large_enough = shared.iter().filter_map(Weak::upgrade).find(|there| there.bytes() >= bytes);
        if let Some(there) = large_enough {
            return Ok(there);
        }
        // Where that is too much, just enough may not be.
        let ample = bytes.checked_next_power_of_two().map(|ample| engine.allocate(ample));
        let memory = match ample {
            Some(Ok(memory)) => memory,
            _ => engine.allocate(bytes)?,
        };
        shared.push(Arc::downgrade(&memory));
        Ok(memory)
    }
}

/// Where everything is during a run.
pub(crate) struct Addresses<'a> {
    pub(crate) arena: u64,
    pub(crate) findings: u64,
    pub(crate) uploads: &'a Uploads,
    pub(crate) io: &'a [u64],
}

impl Addresses<'_> {
    /// The address of a place.
    pub(crate) fn of(&self, place: Place) -> u64 {
        match place {
            Place::Arena(at) => self.arena + at as u64,
            Place::Io { slot, at } => self.io[slot] + at as u64,
            Place::Constant { index, at } => self.uploads.0[index].address() + at as u64,
            Place::Finding(number) => self.findings + (number * FINDING_BYTES) as u64,
            Place::Null => 0,
        }
    }
}

/// The addresses of a run's buffers.
pub(crate) fn io_addresses(io: &[Buffer], device: &str) -> Result<Vec<u64>> {
    io.iter().map(|buffer| Ok(DeviceBuffer::of(buffer, device)?.memory.address())).collect()
}
