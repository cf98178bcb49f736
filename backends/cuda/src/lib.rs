//! The CUDA backend: a program becomes a list of launches as plain data ([`launch`]), and an [`engine`]
//! executes it: a GPU through its driver, or the emulator of `lockstep-cuda-emulated`.
//!
//! Nothing of CUDA is needed to build it, and nothing is linked: the driver is found when the backend is asked for its
//! devices, and no other library is needed. Kernels are written beside their CPU sisters in `kernels/` and come as PTX for
//! sm_80 and later; half-precision attention and Linear run on tensor cores.

mod buffer;
mod device;
mod driver;
pub mod engine;
mod error;
mod executable;
mod kernels;
pub mod launch;
mod memory;
mod profile;
mod support;

pub use device::CudaDevice;
pub use driver::CudaBackend;
pub use kernels::launch_list;
pub use profile::numerics;
