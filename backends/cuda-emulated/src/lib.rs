//! The CUDA backend without a GPU: the very launch lists of `lockstep-cuda`, and the very kernel sources, compiled as C++
//! and run by fibers on the processor.
//!
//! It shows that plan, arguments and kernels are right, and finds missing barriers and wrong strides. It says nothing of
//! speed, nor of what only hardware does (the order of sums inside tensor cores, memory ordering between warps, launch limits):
//! `cuda-emulated` is its name wherever it shows, and its devices say that they are simulated.

mod backend;
mod emulator;
mod engine;

pub use backend::{EmulatedCuda, LaneOrder};
