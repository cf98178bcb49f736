//! The C ABI of ACL and aclnn, Huawei's Ascend libraries, as of CANN 8.1 to 9.1: types, constants,
//! signatures, and which library exports what.
//!
//! One table with two users: a backend resolves its symbols at run time, and a simulator holds its exports to
//! the same signatures at compile time (`const _: runtime::aclInit = aclInit;`). Nothing is linked, and no
//! file of CANN is needed to build. The releases agree in every signature and value here; what differs is
//! which library holds a symbol, so each [`Symbol`] names both, and a symbol that is missing is a feature
//! that is absent, never a reason not to start.
//!
//! Names are C's, so that they can be looked up in CANN's manual. Enumerations are newtypes over `i32`: their
//! values come from C and may be newer than this crate.

mod constants;
mod enums;
pub mod errors;
mod layouts;
pub mod libraries;
mod symbols;
mod types;

pub mod capture;
pub mod meta;
pub mod model;
pub mod ops;
pub mod runtime;
pub mod virtual_memory;

pub use constants::*;
pub use enums::*;
pub use layouts::*;
pub use libraries::Library;
pub use symbols::{ExecuteOp, Op, Since, Symbol};
pub use types::*;

use symbols::{functions, operators};
