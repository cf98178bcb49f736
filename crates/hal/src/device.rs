//! Backends and their devices.

use crate::{
    Buffer, CompiledModel, Error, Executable, NumericsProfile, OpQuery, Program, Result, Support, Usage,
};
use lockstep_graph::DType;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// A kind of hardware, or another way to compute. Creating one costs nothing and cannot fail; probing can.
pub trait Backend: Send + Sync + Debug {
    /// Its name in device specifications: `cpu`, `cuda`, `ascend`.
    fn name(&self) -> &'static str;

    /// The devices it finds.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) where a driver or library is missing; never a panic.
    fn devices(&self) -> Result<Vec<DeviceInfo>>;

    /// Opens the device of that number.
    ///
    /// # Errors
    /// As [`Backend::devices`], and [`Error::NoSuchDevice`](crate::Error::NoSuchDevice).
    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>>;

    /// Opens the device of that number with a whole model that its vendor's compiler made (an `.om`): a device that runs that model
    /// and nothing else.
    ///
    /// # Errors
    /// As [`Backend::open`]; [`Error::CompiledModel`] for a file that is no such model, and where the backend runs none.
    fn open_model(&self, ordinal: usize, file: &Path) -> Result<Arc<dyn Device>> {
        let _ = ordinal;
        let reason = format!("{} runs no compiled models", self.name());
        Err(Error::compiled_model(file.display().to_string(), reason))
    }
}

/// One device, open. Several of any kinds may be open in one process.
pub trait Device: Send + Sync + Debug {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// The model that it runs whole, where it runs one instead of steps ([`Backend::open_model`]). Programs are then compiled for the
    /// names and extents of what goes in and out; their steps say what the model should compute.
    fn compiled_model(&self) -> Option<&CompiledModel> {
        None
    }

    /// How the planner must lay out memory for it.
    fn mem_rules(&self) -> MemRules;

    /// Whether and how it runs an op; a pure function of the query.
    fn support(&self, query: &OpQuery<'_>) -> Support;

    /// Allocates device memory.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    fn alloc(&self, bytes: usize, usage: Usage) -> Result<Buffer>;

    /// Copies host bytes into a buffer of this device.
    ///
    /// # Errors
    /// [`Error::Program`](crate::Error::Program) for another device's buffer or a range outside it.
    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()>;

    /// Copies from a buffer of this device to host bytes.
    ///
    /// # Errors
    /// As [`Device::write`].
    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()>;

    /// Makes a program executable: resolves kernels, packs weights (once per device and constant), allocates the arena.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for steps it refuses after all, or what the driver says.
    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>>;
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its specification: backend and number, such as `cuda:0`.
    pub id: String,
    /// What it calls itself, such as the processor's name.
    pub name: String,
    /// The software that drives it and its version, such as a driver's and a toolkit's; `None` where there is none.
    pub driver: Option<String>,
    /// Its memory in bytes, where known.
    pub memory_bytes: Option<u64>,
    /// The float dtypes it computes on.
    pub dtypes: Vec<DType>,
    /// The dtype that it computes in when nothing is asked.
    pub default_dtype: DType,
    /// Whether packing sequences pays on it, so that sessions do so unless told otherwise.
    pub prefers_packing: bool,
    /// Whether one program for many batches of about one size pays on it, since making a program costs more there than
    /// what is computed in vain; sessions then fill batches up, unless told otherwise.
    #[serde(default)]
    pub prefers_buckets: bool,
    /// Whether it is a simulator or an emulator; reports say so wherever it shows.
    pub simulated: bool,
    /// Whether it computes on this machine's processor, whose multiply-adds are then the most that it can do. What an
    /// older version recorded does not say, and is taken for another's.
    #[serde(default)]
    pub on_processor: bool,
    /// How it computes.
    pub numerics: NumericsProfile,
}

/// How the planner lays out a program's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemRules {
    /// Every offset is a multiple of it; a power of two.
    pub alignment: usize,
    /// Bytes kept free after every allocation.
    pub padding: usize,
    /// The largest arena.
    pub largest_allocation: usize,
}
