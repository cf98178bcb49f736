//! Sums rows into rows by index: unpacking of packed tokens, pooling by segment, scatter of gradients. The definition is in
//! `spec.md`.
//!
//! Positions are grouped by destination first, in two arrays of a linked list. So each destination is summed in f32 in
//! registers, in ascending position, and rounded once, whatever the storage type; and destinations can be shared out
//! among threads without any two writing the same row.

mod cpu;

use cpu::AddRows;

use crate::gather::{Index, IndexOutOfRange, check_range};
use crate::simd::dispatch;
use crate::{Element, Isa, Parallel, pieces};

/// The sizes of an index_add: `out` is `[outer, rows, inner]`, and `source` `[outer, index.len(), inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexAddShape {
    /// Product of the dimensions before the indexed one.
    pub outer: usize,
    /// Length of the indexed dimension.
    pub rows: usize,
    /// Product of the dimensions after it: the length of one row.
    pub inner: usize,
}

/// How many `u32` of scratch [`index_add`] needs for `rows` destinations and `indices` positions.
pub fn index_add_scratch(rows: usize, indices: usize) -> usize {
    rows + indices
}

/// Adds rows of `source` to rows of `out`: `out[o, index[i], ..] += source[o, i, ..]`.
///
/// * `out`: `[outer, rows, inner]`, f32, f16 or bf16, holding the base; `source`: `[outer, index.len(), inner]`.
/// * `index`: i32 or i64, each in `0..rows`; duplicates add up, in ascending position, in f32, rounded once.
/// * `scratch`: at least [`index_add_scratch`] long, contents irrelevant.
///
/// # Errors
/// [`IndexOutOfRange`] names the first offending position; `out` is then untouched.
///
/// # Panics
/// If a slice's length does not fit `shape`, or there are 2^32 - 1 indices or more.
#[allow(clippy::too_many_arguments)] // operands, sizes and scratch
pub fn index_add<T: Element, I: Index>(
    isa: Isa,
    pool: &dyn Parallel,
    shape: IndexAddShape,
    index: &[I],
    source: &[T],
    out: &mut [T],
    scratch: &mut [u32],
) -> Result<(), IndexOutOfRange> {
    assert_eq!(out.len(), shape.outer * shape.rows * shape.inner, "out has its shape's length");
    assert_eq!(source.len(), shape.outer * index.len() * shape.inner, "source has its shape's length");
    assert!(index.len() < u32::MAX as usize, "positions fit 32 bits");
    assert!(scratch.len() >= index_add_scratch(shape.rows, index.len()), "scratch as index_add_scratch says");
    check_range(index, shape.rows)?;
    if out.is_empty() || index.is_empty() {
        return Ok(());
    }

    let (first, rest) = scratch.split_at_mut(shape.rows);
    let next = &mut rest[..index.len()];
    first.fill(END);
    // From the last position to the first, so that each list ascends.
    for (position, row) in index.iter().enumerate().rev() {
        let row = row.to_i64() as usize;
        next[position] = first[row];
        first[row] = position as u32;
    }

    let positions = Positions { first, next };
    let cost = shape.inner.saturating_mul(1 + index.len() / shape.rows);
    pieces::rows(pool, out, shape.inner, cost, &|rows, out| {
        dispatch(isa, AddRows { shape, positions, source, first_row: rows.start, out });
    });
    Ok(())
}

/// No further position.
const END: u32 = u32::MAX;

/// For each destination the positions that name it, ascending, as a linked list.
#[derive(Clone, Copy)]
struct Positions<'a> {
    first: &'a [u32],
    next: &'a [u32],
}

#[cfg(test)]
mod tests;
