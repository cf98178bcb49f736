//! A shared library that exports the C ABI of ACL and aclnn, runs on the processor, and misbehaves as the
//! documents say the device does: late errors, single-use executors, contexts per thread, memory that is not
//! zeroed.
//!
//! It is for finding the mistakes of callers where no device is. It claims the same calls and the published
//! recipes of the operators; nothing in it was held against silicon, and it says nothing of speed. It answers
//! as `Ascend910B3-SIM` and exports [`lockstep_ascend_simulator`], so that nobody takes it for a device.
//!
//! Every export is checked against the signature in `lockstep-ascend-abi` when it is compiled. Environment
//! variables choose numerics, sizes and faults; `runtime/settings.rs` lists them.

mod exports;
mod meta;
mod numerics;
mod offline;
mod ops;
mod registry;
mod runtime;
mod view;

pub use runtime::report::{lockstep_ascend_simulator, lockstep_ascend_simulator_report};
