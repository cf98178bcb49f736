//! The kernels, by op.
//!
//! What to do, in order:
//! 1. Read the op's definition at [`Op`] and, once there is one, its `spec.md` in the `kernels` folder.
//! 2. Give [`Kernel`] a variant for it and return that from [`kernel`]. The compiler then leads you to `support.rs`.
//! 3. In `device.rs`, let `compile` resolve every step to its kernel and its addresses once, and let the executable's
//!    `submit` launch them in order, checking the cancel flag between steps.
//! 4. Test the kernel against the reference backend on sizes around its tiles, on zero sizes, on NaN, and on indices out
//!    of range, which must be an error before anything is written.
//! 5. Take the next op. When this file passes 400 lines, make it a folder with a file for each kind of op.

use lockstep_hal::graph::Op;

/// A kernel of this backend. There is none yet, so no value of this type exists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kernel {}

/// The kernel that runs an op.
pub(crate) fn kernel(_op: &Op) -> Option<Kernel> {
    None
}
