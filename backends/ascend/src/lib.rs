//! The Ascend backend: a program becomes a list of aclnn operators as plain data ([`launch`]), which Huawei's libraries run.
//! They are found at run time, in the layouts of CANN 8.x and 9.x; nothing of them is needed to build, and nothing is linked.
//!
//! Every call to them is made by one thread per device. The same code runs over the simulator of `lockstep-ascend-simulator`,
//! under a name of its own.

mod backend;
mod buffer;
mod calls;
mod device;
mod engine;
mod error;
mod executable;
mod index;
mod kernels;
pub mod launch;
mod libraries;
mod memory;
mod offline;
mod owner;
mod pool;
mod port;
mod prepare;
mod profile;
mod replay;
mod support;
mod tensors;

pub use backend::AscendBackend;
pub use kernels::call_list;
pub use profile::numerics;
