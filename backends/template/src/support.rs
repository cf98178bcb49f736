//! What this backend runs, and why not the rest.
//!
//! What to do, in order:
//! 1. For an op with a kernel, look at the query's dtypes and shapes; answer `Native` with a claim that the kernel
//!    keeps. Claim an alias only where the kernel really updates in place, and a fixed order only where it has one.
//! 2. For a composite without a kernel whose primitives you have, answer `Rewrite(Rule::Decompose)`.
//! 3. For the rest, refuse in words that say what the caller can do about it.

use crate::kernels;
use lockstep_hal::graph::Op;
use lockstep_hal::{OpQuery, Support};

/// Whether and how this backend runs an op.
pub(crate) fn support(query: &OpQuery<'_>) -> Support {
    match kernels::kernel(query.op) {
        Some(kernel) => match kernel {},
        None => Support::no(reason(query.op)),
    }
}

/// Why the op does not run; `None` where it does.
pub(crate) fn refusal(op: &Op) -> Option<String> {
    kernels::kernel(op).is_none().then(|| reason(op))
}

fn reason(op: &Op) -> String {
    format!("template: no kernel yet; implement {op} in kernels.rs")
}
