//! What benchmarks are measured against, and how devices are timed beside each other. The measurements themselves are
//! `lockstep bench`, `lockstep accept`, `kernels/examples/bench_linear.rs` and, for a machine with a GPU, the scripts in `gpu/`; their
//! records are in `RESULTS.md`.

pub mod fma_peak;
pub mod rates;
pub mod traffic;
pub mod turns;
