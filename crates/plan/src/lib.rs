//! From a graph to a program that a device compiles.
//!
//! [`Prepared::new`] does once per graph and device what does not depend on extents: fuse what the device runs fused,
//! pack sequences, rewrite what the device declares as rewrites, fold constants (on the device itself, so that folding
//! changes no bits). [`Prepared::bind`] does the rest per set of extents: infer every shape again, ask the device for its
//! claims, lay out the arena. No pass removes a checkpoint.

mod assemble;
mod buckets;
mod error;
mod fold;
mod fuse;
mod legalize;
mod memory;
mod options;
mod pack;
mod padding;
mod prepared;
mod query;
mod rows;
mod sequences;
mod stages;

pub use error::{Error, Result};
pub use lockstep_hal as hal;
pub use memory::{Block, Layout, lay_out};
pub use options::{Extents, Fallback, Packing, PlanOptions};
pub use pack::PackingOutcome;
pub use padding::PaddedBatch;
pub use prepared::{BoundProgram, NodePlan, Prepared};
pub use sequences::{Derived, DerivedInput, MaskInput};
