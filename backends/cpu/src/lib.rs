//! The CPU backend: packed products, fused kernels, AVX-512, AVX2 and portable paths in one binary.
//!
//! Compiling resolves every step to a closure over its kernel, sizes and places; a run is a loop over them on one thread
//! pool. Weights are packed once per device into GEMM panels and shared between programs. Results never depend on the
//! number of threads, and a sequence's bits never on its batch: each element is summed in one fixed order.

mod buffer;
mod device;
mod error;
mod executable;
mod kernels;
mod memory;
mod pool;
mod support;

pub use device::{CpuBackend, CpuBackendBuilder};
pub use error::BuildError;
pub use kernels::custom::{CustomKernel, TensorView, TensorViewMut};
pub use lockstep_kernels::Isa;
