//! The transcendental functions of the kernels, on sixteen f32 lanes.
//!
//! Written here, not called from the platform's C library, so that every machine computes the same thing and sixteen
//! lanes cost little more than one. Each function takes the full f32 range: NaN gives NaN, infinities give the limit
//! (or NaN where the formula has none), and results below the smallest normal number are rounded, not flushed.
//!
//! The largest errors, in units in the last place of the exact result against f64, found by the sweeps of this folder's
//! tests (about 1.4 million arguments a function) and asserted there, rounded up:
//!
//! | function | AVX2, AVX-512 | portable without FMA |
//! |---|---|---|
//! | [`exp`] | 1.0 | 1.0 |
//! | [`log`] | 0.8 | 0.8 |
//! | [`erf`] | 1.0 | 1.3 |
//! | [`tanh`] | 1.3 | 1.3 |
//! | [`sigmoid`] | 2.2 | 2.2 |
//! | [`gelu_erf`] | 6.0 | 6.5 |
//! | [`gelu_tanh`] | 3.0 | 3.0 |
//!
//! How the coefficients were made is in `coefficients.md`.

mod erf;
mod exp;
mod gelu;
mod log;
mod polynomial;
mod sigmoid;
mod tanh;

pub use erf::erf;
pub use exp::exp;
pub use gelu::{gelu_erf, gelu_tanh};
pub use log::log;
pub use sigmoid::sigmoid;
pub use tanh::tanh;

#[cfg(test)]
mod tests;
