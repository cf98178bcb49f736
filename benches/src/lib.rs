//! Micro and end-to-end benchmarks, peers beside us.

pub mod fma_peak;
