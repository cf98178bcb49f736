//! Softmax over the last axis. The definition is in `spec.md`.

mod cpu;

use cpu::SoftmaxRows;

use crate::simd::dispatch;
use crate::{Element, Isa, Parallel, pieces};

/// How much more an exponential costs than reading a value.
const WORK_PER_VALUE: usize = 8;

/// `out[r, i] = e^(x[r, i] - m) / sum_j e^(x[r, j] - m)`, with `m` the row's maximum, for each row of `x`.
///
/// * `x`, `out`: `[rows, n]`, f32, f16 or bf16; computed in f32 and rounded once.
/// * A row whose maximum is -inf (every position masked) gives zeros.
/// * A row with NaN or +inf gives NaN in that row and no other.
///
/// A row's bits depend on nothing but that row.
///
/// # Panics
/// If `out` is not as long as `x`, or `x` is not a whole number of rows of `n`.
pub fn softmax<T: Element>(isa: Isa, pool: &dyn Parallel, n: usize, x: &[T], out: &mut [T]) {
    assert_eq!(out.len(), x.len(), "x and out have the same shape");
    assert!(if n == 0 { x.is_empty() } else { x.len().is_multiple_of(n) }, "x is a whole number of rows");
    pieces::rows(pool, out, n, n.saturating_mul(WORK_PER_VALUE), &|rows, out| {
        dispatch(isa, SoftmaxRows { n, x: &x[rows.start * n..rows.end * n], out });
    });
}

#[cfg(test)]
mod tests;
