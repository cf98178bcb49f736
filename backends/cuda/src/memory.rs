//! Constants in device memory, once per device, and the addresses of a run.

use crate::buffer::DeviceBuffer;
use crate::engine::{Engine, Memory};
use crate::launch::{FINDING_BYTES, Place};
use lockstep_hal::graph::{Constant, ConstantKey, DType};
use lockstep_hal::{Buffer, Result, WeightCache};
use std::sync::Arc;

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
