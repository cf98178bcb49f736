//! A dataset held against a model's inputs or outputs: as many buffers, large enough for the gear, and where they are.

use crate::offline::dataset::{Buffer, Bytes, Dataset};
use crate::offline::description::Described;
use crate::runtime::blocks::{self, Home};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use crate::runtime::uses::{self, Found};
use std::sync::Arc;

/// Bytes that the system adds to an output that it allocates.
const PADDING: usize = 32;

/// Which half of a run a dataset is.
#[derive(Clone, Copy)]
pub(super) enum Half {
    Input,
    /// Buffers that are left to the system, null and 0, are allocated as by this symbol.
    Output(&'static str),
}

impl Half {
    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output(_) => "output",
        }
    }

    /// Our reading: what a dataset that does not fit gets.
    fn mismatch(self, text: String) -> Failure {
        let code = match self {
            Self::Input => 100_017,
            Self::Output(_) => 100_018,
        };
        Failure::new(code, text)
    }
}

/// What a gear asks of one half.
pub(super) struct Asked<'a> {
    pub(super) half: Half,
    /// All of the model's, the one that chooses a gear included.
    pub(super) ports: &'a [Described],
    /// Extents of those that data goes through.
    pub(super) dims: &'a [Vec<i64>],
    /// Bytes of these.
    pub(super) bytes: &'a [usize],
    /// The gear, for messages; empty where there is none.
    pub(super) gear: &'a str,
    pub(super) device: i32,
}

impl Asked<'_> {
    /// The addresses of the data; `memory` gains what is behind them.
    ///
    /// # Errors
    /// 100017 or 100018 for a dataset that does not fit; 207001 if an output cannot be allocated.
    pub(super) fn bind(&self, dataset: &Dataset, memory: &mut Vec<Found>) -> Result<Vec<usize>, Failure> {
        let (found, expected) = (dataset.len(), self.ports.len());
        if found != expected {
            let names: Vec<_> = self.ports.iter().map(|port| port.name.to_string_lossy()).collect();
            let name = self.half.name();
            let text = format!("{name} has {found} buffers, expected {expected}: {names:?}");
            return Err(self.half.mismatch(text));
        }
        let buffers = (0..expected).map(|at| dataset.buffer(at)).collect::<Result<Vec<Arc<Buffer>>, _>>()?;
        let with_data = || buffers.iter().enumerate().zip(self.bytes);
        for ((at, buffer), _) in with_data() {
            self.check_desc(dataset, at)?;
            self.check_size(buffer, at)?;
        }
        let mut addresses = Vec::new();
        for ((at, buffer), needed) in with_data() {
            let address = self.address(buffer, *needed)?;
            memory.push(uses::aligned(address, *needed, self.device, &self.label(at)));
            addresses.push(address);
        }
        Ok(addresses)
    }

    /// What a buffer is called in messages.
    pub(super) fn label(&self, at: usize) -> String {
        format!("{} {at} `{}`", self.half.name(), self.ports[at].name.to_string_lossy())
    }

    fn check_size(&self, buffer: &Buffer, at: usize) -> Result<(), Failure> {
        let (bytes, needed) = (*lock(buffer), self.bytes[at]);
        if bytes.size >= needed || (matches!(self.half, Half::Output(_)) && is_left_to_system(bytes)) {
            return Ok(());
        }
        let gear = if self.gear.is_empty() { String::new() } else { format!(" at gear {}", self.gear) };
        let label = self.label(at);
        Err(self
            .half
            .mismatch(format!("{label}: the buffer has {} bytes, {needed} are needed{gear}", bytes.size)))
    }

    /// A description that the caller set must be that of the gear.
    fn check_desc(&self, dataset: &Dataset, at: usize) -> Result<(), Failure> {
        let (dtype, dims) = (self.ports[at].dtype, &self.dims[at]);
        match dataset.desc(at) {
            Some(desc) if desc.dtype != dtype || desc.dims != *dims => Err(self.half.mismatch(format!(
                "{}: its tensor's description is {:?} {:?}, expected {dtype:?} {dims:?}",
                self.label(at),
                desc.dtype,
                desc.dims
            ))),
            _ => Ok(()),
        }
    }

    /// Where the data is. What the system allocates stays in the buffer, and is the caller's to free with `aclrtFree`.
    fn address(&self, buffer: &Buffer, needed: usize) -> Result<usize, Failure> {
        let mut bytes = lock(buffer);
        if let Half::Output(made_by) = self.half
            && is_left_to_system(*bytes)
            && needed > 0
        {
            let address = blocks::allocate(Home::Device(self.device), needed, PADDING, made_by)?;
            *bytes = Bytes { address, size: needed };
        }
        Ok(bytes.address)
    }
}

fn is_left_to_system(bytes: Bytes) -> bool {
    bytes == Bytes { address: 0, size: 0 }
}
