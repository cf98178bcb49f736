//! LayerNorm over the last axis, with or without a residual added first. The definition is in `spec.md`.

mod cpu;

use cpu::{Normalize, Plain, Summed};

use crate::simd::dispatch;
use crate::{Element, Isa, Parallel, pieces};

/// `out = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, for each row of `x`.
///
/// * `x`, `out`: `[rows, n]`, f32, f16 or bf16; `gamma`, `beta`: `[n]`, already in f32.
/// * `mean` and `variance` (biased) of a row are taken in f32; the result is rounded once, at the store.
/// * A row with a NaN or an infinity gives NaN in that row and no other. `n = 1` gives `beta`.
/// * `epsilon` should be positive: with 0, a constant row gives NaN.
///
/// A row's bits depend on nothing but that row.
///
/// # Panics
/// If `beta` is not as long as `gamma`, `out` not as long as `x`, or `x` not a whole number of rows.
pub fn layer_norm<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    x: &[T],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    out: &mut [T],
) {
    check(x.len(), gamma.len(), beta.len(), out.len());
    pieces::rows(pool, out, gamma.len(), gamma.len(), &|rows, out| {
        let x = Plain(&x[rows.start * gamma.len()..rows.end * gamma.len()]);
        dispatch(isa, Normalize { x, gamma, beta, epsilon, out });
    });
}

/// [`layer_norm`] of `x + residual`; the sum stays in f32 and is not rounded in between.
///
/// `residual` is `[rows, n]` like `x`.
///
/// # Panics
/// As [`layer_norm`], and if `residual` is not as long as `x`.
#[allow(clippy::too_many_arguments)] // the operands of the formula
pub fn add_layer_norm<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    x: &[T],
    residual: &[T],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    out: &mut [T],
) {
    check(x.len(), gamma.len(), beta.len(), out.len());
    assert_eq!(residual.len(), x.len(), "the residual has the shape of x");
    pieces::rows(pool, out, gamma.len(), 2 * gamma.len(), &|rows, out| {
        let part = rows.start * gamma.len()..rows.end * gamma.len();
        let x = Summed(&x[part.clone()], &residual[part]);
        dispatch(isa, Normalize { x, gamma, beta, epsilon, out });
    });
}

fn check(x: usize, gamma: usize, beta: usize, out: usize) {
    assert_eq!(beta, gamma, "gamma and beta have the same length");
    assert_eq!(out, x, "x and out have the same shape");
    assert!(if gamma == 0 { x == 0 } else { x.is_multiple_of(gamma) }, "x is a whole number of rows");
}

#[cfg(test)]
mod tests;
