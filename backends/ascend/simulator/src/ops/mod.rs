//! The operators: each checks in phase 1 as documented and computes in phase 2. Compiled models run the same kernels
//! (`offline/lower.rs`), which is what the crate sees of them.

mod access;
pub(crate) mod activation;
mod axes;
pub(crate) mod cast;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod elementwise;
mod fill;
pub(crate) mod index;
pub(crate) mod matmul;
mod movement;
pub(crate) mod norm;
pub(crate) mod pointwise;
pub(crate) mod reduce;
pub(crate) mod softmax;
