//! The seam between Lockstep and a chip: what a backend implements.
//!
//! A [`Backend`] finds [`Device`]s; a device says which ops it [`support`](Device::support)s and compiles a whole
//! [`Program`] to an [`Executable`]. The traits are object-safe on purpose: users hold several devices at once and choose
//! at run time, and the price is one indirect call per program. A backend that works op by op and owns its tensors
//! implements the smaller [`Interpreter`] and gets its `Executable` from [`Interpreted`].

mod buffer;
mod check;
mod compiled;
mod device;
mod error;
mod executable;
mod interpret;
mod profile;
mod program;
mod scratch;
mod staging;
mod support;
mod validate;
mod weights;

pub use buffer::{Buffer, HostBuffer, RawBuffer, Usage};
pub use compiled::{CompiledModel, CompiledPort, Gear};
pub use device::{Backend, Device, DeviceInfo, MemRules};
pub use error::{Error, NodeReason, Result};
pub use executable::{Cancel, Executable, Staged, Work};
pub use interpret::{Interpreted, Interpreter};
pub use lockstep_graph as graph;
pub use lockstep_graph::tensor;
pub use profile::{NumericsProfile, Overflow};
pub use program::{Location, Operand, OperandId, Program, ProgramParts, Provenance, Step};
pub use scratch::SharedScratch;
pub use staging::StagingLayout;
pub use support::{Claim, OpQuery, Reason, Rule, Support};
pub use weights::WeightCache;
