//! One vector for each sequence: the mean or the largest value over its tokens. The definition is in `spec.md`.
//!
//! Sequences come packed, with offsets, or padded, with a mask. Both forms visit the tokens of a sequence in the same
//! order with the same arithmetic, so that they give the same bits.

mod cpu;

use std::fmt;

use cpu::{Packed, Padded, PoolRows};

use crate::simd::dispatch;
use crate::{Element, Isa, Parallel, pieces};

/// What a sequence's tokens are reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The mean over tokens, summed in f32 in ascending position; zeros for a sequence without tokens.
    Mean,
    /// The largest value over tokens; NaN if one is NaN; -inf for a sequence without tokens.
    Max,
}

/// Offsets that do not cut the packed tokens into sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOffsets {
    /// The first entry that is negative, below its predecessor, or beyond the last token.
    pub position: usize,
    /// What is there.
    pub offset: i64,
    /// How many packed tokens there are.
    pub tokens: usize,
}

impl fmt::Display for InvalidOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, offset, tokens } = self;
        write!(f, "sequence offset {offset} at position {position}: offsets must ascend within 0..={tokens}")
    }
}

impl std::error::Error for InvalidOffsets {}

/// Pools packed sequences: `out[b] = pool of x[t]` for t in `offsets[b]..offsets[b + 1]`.
///
/// * `x`: `[tokens, width]`, f32, f16 or bf16; `offsets`: `[batch + 1]`, ascending, within `0..=tokens`; `out`:
///   `[batch, width]`.
///
/// # Errors
/// [`InvalidOffsets`] names the first offending entry; `out` is then untouched.
///
/// # Panics
/// If `x` is not a whole number of rows of `width`, or `out` does not fit `offsets`.
pub fn pool_packed<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    pooling: Pooling,
    width: usize,
    x: &[T],
    offsets: &[i64],
    out: &mut [T],
) -> Result<(), InvalidOffsets> {
    let batch = offsets.len().saturating_sub(1);
    assert_eq!(out.len(), batch * width, "out is [batch, width]");
    assert!(
        if width == 0 { x.is_empty() } else { x.len().is_multiple_of(width) },
        "x is a whole number of rows"
    );
    let tokens = x.len().checked_div(width).unwrap_or(0);
    check_offsets(offsets, tokens, width)?;
    let cost = x.len().checked_div(batch).unwrap_or(0).max(width);
    pieces::rows(pool, out, width, cost, &|rows, out| {
        let sequences = Packed { x, offsets: &offsets[rows.start..=rows.end] };
        dispatch(isa, PoolRows { pooling, width, sequences, out });
    });
    Ok(())
}

fn check_offsets(offsets: &[i64], tokens: usize, width: usize) -> Result<(), InvalidOffsets> {
    let mut least = 0;
    for (position, &offset) in offsets.iter().enumerate() {
        let within = width == 0 || usize::try_from(offset).is_ok_and(|offset| offset <= tokens);
        if offset < least || !within {
            return Err(InvalidOffsets { position, offset, tokens });
        }
        least = offset;
    }
    Ok(())
}

/// Pools padded sequences: `out[b] = pool of x[b, t]` for the t whose `mask[b, t]` is not 0.
///
/// * `x`: `[batch, length, width]`, f32, f16 or bf16; `mask`: `[batch, length]`, booleans; `out`: `[batch, width]`.
///
/// Masked-out tokens are not read into the result at all: a NaN there does no harm.
///
/// # Panics
/// If the lengths of the slices do not fit each other.
#[allow(clippy::too_many_arguments)] // operands and sizes
pub fn pool_padded<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    pooling: Pooling,
    length: usize,
    width: usize,
    x: &[T],
    mask: &[u8],
    out: &mut [T],
) {
    assert_eq!(x.len(), mask.len() * width, "x is [batch, length, width]");
    assert!(
        if length == 0 { mask.is_empty() } else { mask.len().is_multiple_of(length) },
        "mask is [batch, length]"
    );
    if let Some(batch) = mask.len().checked_div(length) {
        assert_eq!(out.len(), batch * width, "out is [batch, width]");
    }
    pieces::rows(pool, out, width, length.max(1).saturating_mul(width), &|rows, out| {
        let part = rows.start * length..rows.end * length;
        let sequences = Padded { x: &x[part.start * width..part.end * width], mask: &mask[part], length };
        dispatch(isa, PoolRows { pooling, width, sequences, out });
    });
}

#[cfg(test)]
mod tests;
