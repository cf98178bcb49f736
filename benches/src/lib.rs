//! What benchmarks are measured against. The measurements themselves are `lockstep bench` and
//! `kernels/examples/bench_linear.rs`; their records are in `RESULTS.md`.

pub mod fma_peak;
