//! Dtypes, shapes with symbolic dimensions, host tensors and the files they come from.
//!
//! The bottom of the house: nothing here knows graphs or devices. A [`HostTensor`] is immutable, contiguous and
//! row-major; its bytes are either owned (64-byte aligned) or a slice of a memory-mapped file, so that loading weights
//! copies nothing.

mod bytes;
mod dim;
mod dtype;
mod error;
mod host;
mod narrow;
mod npy;
mod safetensors;

pub use bytes::{AlignedBytes, Bytes};
pub use dim::{Dim, Symbol, SymbolValues};
pub use dtype::{DType, Element};
pub use error::{Error, Result};
pub use host::HostTensor;
pub use npy::read_npy;
pub use safetensors::{TensorSource, write_safetensors};

/// How many elements a shape holds; the product of its extents.
pub fn element_count(shape: &[usize]) -> usize {
    shape.iter().product()
}
