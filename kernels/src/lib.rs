//! CPU kernels of Lockstep, one folder per op, each beside its written `spec.md` and its CUDA sister ([`cuda`]).
//!
//! A leaf crate: it knows slices and sizes, not graphs or devices. Kernels never allocate on the hot path: what they
//! need beyond their operands they take as a scratch slice whose length a `*_scratch` function gives. Every kernel has
//! one generic body over [`simd::Simd`], instantiated for AVX-512, AVX2+FMA and a portable path; which one runs is
//! decided once per process by [`Isa::detect`].

pub mod attention;
pub mod cast;
pub mod cuda;
pub mod element;
pub mod elementwise;
pub mod gather;
pub mod gelu;
pub mod index_add;
pub mod isa;
pub mod layer_norm;
pub mod linear;
pub mod math;
pub mod matmul;
pub mod movement;
pub mod parallel;
mod pieces;
pub mod pooling;
pub mod reduce;
pub mod simd;
pub mod softmax;
#[cfg(test)]
mod testing;

pub use element::Element;
pub use isa::Isa;
pub use parallel::{Parallel, Serial};
