//! What benchmarks are measured against, and how devices are timed beside each other. The measurements themselves are
//! `lockstep bench`, `lockstep accept` and `kernels/examples/bench_linear.rs`; their records are in `RESULTS.md`.

pub mod fma_peak;
pub mod rates;
pub mod traffic;
pub mod turns;
