//! The transcendental functions of the kernels, on sixteen f32 lanes.
//!
//! Written here, not called from the platform's C library, so that every machine computes the same thing and sixteen
//! lanes cost little more than one. Each function takes the full f32 range: NaN gives NaN, infinities give the limit
//! (or NaN where the formula has none), and results below the smallest normal number are rounded, not flushed.
//!
//! The largest errors, in units in the last place of the exact result, against f64. Found over every f32 with magnitude in
//! 1e-4..110 (0.01..100 for [`log`]) and a sample of the others; the tests of this folder sweep about 1.4 million
//! arguments a function and hold them to the same limits.
//!
//! | function | AVX2, AVX-512 | portable without FMA |
//! |---|---|---|
//! | [`exp`] | 1.02 | 1.02 |
//! | [`log`] | 0.81 | 0.83 |
//! | [`erf`] | 1.08 | 1.33 |
//! | [`tanh`] | 1.34 | 1.34 |
//! | [`sigmoid`] | 2.41 | 2.41 |
//! | [`gelu_erf`] | 6.30 | 7.41 |
//! | [`gelu_tanh`] | 3.41 | 3.41 |
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
