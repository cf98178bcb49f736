//! The C ABI of ACL and aclnn, Huawei's Ascend libraries, as of CANN 8.1 to 9.1: types, constants and error codes.
//!
//! Names are C's, so that they can be looked up in CANN's manual. Enumerations are newtypes over `i32`: their
//! values come from C and may be newer than this crate. No file of CANN is needed to build.

mod constants;
mod enums;
pub mod errors;
mod layouts;
mod types;

pub use constants::*;
pub use enums::*;
pub use layouts::*;
pub use types::*;
