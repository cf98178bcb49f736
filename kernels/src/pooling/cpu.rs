//! The body of pooling: columns in registers, tokens in ascending order.

use std::ops::Range;

use super::Pooling;
use crate::Element;
use crate::simd::{Kernel, LANES, Simd};

/// Where the tokens of sequence `index` are.
pub(super) trait Sequences<T>: Copy {
    /// All rows that may belong to the sequence.
    fn rows(&self, index: usize) -> Range<usize>;
    /// Whether a row does.
    fn contains(&self, row: usize) -> bool;
    /// The rows.
    fn values(&self) -> &[T];
}

/// Sequences one after the other.
pub(super) struct Packed<'a, T> {
    pub(super) x: &'a [T],
    pub(super) offsets: &'a [i64],
}

/// Sequences each with `length` rows, some of them padding.
pub(super) struct Padded<'a, T> {
    pub(super) x: &'a [T],
    pub(super) mask: &'a [u8],
    pub(super) length: usize,
}

impl<T> Clone for Packed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Packed<'_, T> {}
impl<T> Clone for Padded<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Padded<'_, T> {}

impl<T> Sequences<T> for Packed<'_, T> {
    #[inline(always)]
    fn rows(&self, index: usize) -> Range<usize> {
        self.offsets[index] as usize..self.offsets[index + 1] as usize
    }
    #[inline(always)]
    fn contains(&self, _row: usize) -> bool {
        true
    }
    #[inline(always)]
    fn values(&self) -> &[T] {
        self.x
    }
}

impl<T> Sequences<T> for Padded<'_, T> {
    #[inline(always)]
    fn rows(&self, index: usize) -> Range<usize> {
        index * self.length..(index + 1) * self.length
    }
    #[inline(always)]
    fn contains(&self, row: usize) -> bool {
        self.mask[row] != 0
    }
    #[inline(always)]
    fn values(&self) -> &[T] {
        self.x
    }
}

/// Pools a run of sequences.
pub(super) struct PoolRows<'a, T, Q> {
    pub(super) pooling: Pooling,
    pub(super) width: usize,
    pub(super) sequences: Q,
    pub(super) out: &'a mut [T],
}

/// Columns pooled together: four vectors, so that each visit of a token uses whole cache lines.
const BLOCK: usize = 4;

impl<T: Element, Q: Sequences<T>> Kernel for PoolRows<'_, T, Q> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (index, out) in self.out.chunks_exact_mut(self.width).enumerate() {
            let rows = self.sequences.rows(index);
            let tokens = rows.clone().filter(|&row| self.sequences.contains(row)).count();
            let mut at = 0;
            while at + BLOCK * LANES <= self.width {
                let mut totals = [start(simd, self.pooling); BLOCK];
                for row in rows.clone() {
                    if self.sequences.contains(row) {
                        let from = row * self.width + at;
                        let values = &self.sequences.values()[from..from + BLOCK * LANES];
                        for (vector, total) in totals.iter_mut().enumerate() {
                            *total =
                                include(simd, self.pooling, *total, simd.load(&values[vector * LANES..]));
                        }
                    }
                }
                for (vector, total) in totals.into_iter().enumerate() {
                    let value = finish(simd, self.pooling, total, tokens);
                    simd.store(value, &mut out[at + vector * LANES..]);
                }
                at += BLOCK * LANES;
            }
            while at < self.width {
                let end = self.width.min(at + LANES);
                let mut total = start(simd, self.pooling);
                for row in rows.clone() {
                    if self.sequences.contains(row) {
                        let values = &self.sequences.values()[row * self.width + at..row * self.width + end];
                        total = include(simd, self.pooling, total, simd.load_partial(values, 0.0));
                    }
                }
                simd.store_partial(finish(simd, self.pooling, total, tokens), &mut out[at..end]);
                at = end;
            }
        }
    }
}

#[inline(always)]
fn start<S: Simd>(simd: S, pooling: Pooling) -> S::F32 {
    match pooling {
        Pooling::Mean => simd.zero(),
        Pooling::Max => simd.splat(f32::NEG_INFINITY),
    }
}

#[inline(always)]
fn include<S: Simd>(simd: S, pooling: Pooling, total: S::F32, value: S::F32) -> S::F32 {
    match pooling {
        Pooling::Mean => simd.add(total, value),
        // `max` gives its second operand if either is NaN: a NaN value is taken, and a NaN total is kept by the select.
        Pooling::Max => simd.select(simd.is_nan(total), total, simd.max(total, value)),
    }
}

#[inline(always)]
fn finish<S: Simd>(simd: S, pooling: Pooling, total: S::F32, tokens: usize) -> S::F32 {
    match pooling {
        Pooling::Mean => simd.div(total, simd.splat(tokens.max(1) as f32)),
        Pooling::Max => total,
    }
}
