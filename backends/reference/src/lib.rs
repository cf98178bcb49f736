//! The oracle: every primitive op in f64, one element at a time, written to be read as the op's definition.
//!
//! Speed is not its aim, so nothing here is fused, packed or vectorised by hand; where a choice had to be made between
//! fast and obvious, it is obvious. Composite ops run by their one decomposition, which makes this backend their truth
//! as well. Floats compute in f64 only: a graph in f32 is refused and not widened in silence, since the caller should
//! know which dtype the truth was computed in. Other dtypes may be stored, moved and cast.

mod buffer;
mod device;
mod error;
mod kernels;
mod layout;
mod support;

pub use device::ReferenceBackend;
