//! One head of one sequence: its keys and values brought into cache once, then block after block of queries.
//!
//! Scores are computed transposed, a row per key and a column per query. So keys and values are read as they lie, only the
//! few queries are transposed; softmax runs down columns, lane by lane, with no sum across lanes; and its result lies as the
//! second product wants it. Keys that a mask drops are left out when they are copied: what follows never knows of them.

use std::ops::Range;

use super::softmax::ColumnSoftmax;
use super::spans::{Place, Span};
use super::transpose::transpose;
use super::{AttentionInputs, Rows};
use crate::linear::rows::{PackRows, packed_layout, packed_len, packed_stride};
use crate::matmul::panels::PackPanels;
use crate::matmul::shared::{LINE, SharedMut};
use crate::matmul::tile::{Ahead, BLOCK_K, BlockProduct, Left, panel_width};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa};

/// f32 in the parts of a worker's scratch, in the order in which they lie there.
struct Layout {
    /// Packed rows, one per key.
    keys: usize,
    /// `[panels of head_size, keys, width]`.
    values: usize,
    /// Packed rows, one per query of a block.
    queries: usize,
    /// `[head_size, width]`.
    transposed: usize,
    /// `[keys, width]`.
    scores: usize,
    /// `[queries of a block, width]`: one panel of the result.
    sums: usize,
    /// `[width]`.
    reciprocals: usize,
}

impl Layout {
    fn new(isa: Isa, head_size: usize, longest: usize) -> Self {
        let width = panel_width(isa);
        Self {
            keys: packed_len(longest, head_size),
            values: head_size.next_multiple_of(width) * longest,
            queries: packed_len(width, head_size),
            transposed: head_size * width,
            scores: longest * width,
            sums: width * width,
            reciprocals: width,
        }
    }
}

/// f32 of scratch of one worker, for sequences of up to `longest` keys.
pub(super) fn worker_scratch(isa: Isa, head_size: usize, longest: usize) -> usize {
    let Layout { keys, values, queries, transposed, scores, sums, reciprocals } =
        Layout::new(isa, head_size, longest);
    (keys + values + queries + transposed + scores + sums + reciprocals).next_multiple_of(LINE)
}

/// A worker's inputs, its parts of the scratch, and the head that it has in them.
pub(super) struct HeadWorker<'a, T> {
    isa: Isa,
    inputs: &'a AttentionInputs<'a, T>,
    keys: &'a mut [f32],
    values: &'a mut [f32],
    queries: &'a mut [f32],
    transposed: &'a mut [f32],
    scores: &'a mut [f32],
    sums: &'a mut [f32],
    reciprocals: &'a mut [f32],
    /// The sequence and head whose keys and values are in scratch.
    held: Option<(usize, usize)>,
    /// How many keys that are.
    kept: usize,
}

impl<'a, T: Element> HeadWorker<'a, T> {
    /// `scratch` has [`worker_scratch`] values for the longest sequence it will meet.
    pub(super) fn new(
        isa: Isa,
        inputs: &'a AttentionInputs<'a, T>,
        longest: usize,
        scratch: &'a mut [f32],
    ) -> Self {
        let layout = Layout::new(isa, inputs.head_size, longest);
        let (keys, rest) = scratch.split_at_mut(layout.keys);
        let (values, rest) = rest.split_at_mut(layout.values);
        let (queries, rest) = rest.split_at_mut(layout.queries);
        let (transposed, rest) = rest.split_at_mut(layout.transposed);
        let (scores, rest) = rest.split_at_mut(layout.scores);
        let (sums, rest) = rest.split_at_mut(layout.sums);
        let reciprocals = &mut rest[..layout.reciprocals];
        Self {
            isa,
            inputs,
            keys,
            values,
            queries,
            transposed,
            scores,
            sums,
            reciprocals,
            held: None,
            kept: 0,
        }
    }

    /// Computes the rows of `place` in `out`, for its head.
    pub(super) fn run(&mut self, place: &Place<'_>, out: &SharedMut<'_, T>) {
        if self.held != Some((place.sequence, place.head)) {
            self.held = Some((place.sequence, place.head));
            self.bring_keys_and_values(&place.span, place.head);
        }
        let width = panel_width(self.isa);
        for start in place.queries.clone().step_by(width) {
            let queries = start..place.queries.end.min(start + width);
            if self.kept == 0 {
                self.store_zeros(queries, place.head, out);
            } else {
                self.run_block(queries, place.head, out);
            }
        }
    }

    /// As many queries as a panel is wide.
    fn run_block(&mut self, queries: Range<usize>, head: usize, out: &SharedMut<'_, T>) {
        self.bring_queries(&queries, head);
        self.compute_scores();
        let width = panel_width(self.isa);
        let scores = &mut self.scores[..self.kept * width];
        dispatch(self.isa, &mut ColumnSoftmax { scores, width, reciprocals: self.reciprocals });
        for first in (0..self.inputs.head_size).step_by(width) {
            self.sum_values(queries.len(), first / width);
            self.store(&queries, head, first, out);
        }
    }

    fn bring_keys_and_values(&mut self, span: &Span<'_>, head: usize) {
        let count = span.keys.len();
        self.kept = span.mask.map_or(count, |mask| mask.iter().filter(|&&keep| keep != 0).count());
        let mut place = 0;
        let mut from = 0;
        while from < count {
            let keep = |key: &usize| span.mask.is_none_or(|mask| mask[*key] != 0);
            let run = (from..count).take_while(keep).count();
            if run > 0 {
                self.bring_run(span.keys.start + from..span.keys.start + from + run, head, place);
                place += run;
            }
            from += run.max(1);
        }
    }

    /// Copies the keys and values of consecutive rows to the places from `place` on.
    fn bring_run(&mut self, rows: Range<usize>, head: usize, place: usize) {
        let size = self.inputs.head_size;
        let (k, v) = (self.inputs.k, self.inputs.v);
        let pack = PackRows {
            rows: rows.len(),
            block_rows: self.kept,
            k: size,
            from: first_of(k, rows.start, head, size),
            stride: k.stride,
            to: self.keys[place * packed_stride(size)..].as_mut_ptr(),
        };
        dispatch(self.isa, &pack);
        let width = panel_width(self.isa);
        let values = PackPanels {
            rows: rows.len(),
            panel_rows: self.kept,
            columns: size,
            from: first_of(v, rows.start, head, size),
            stride: v.stride,
            width,
            to: self.values[place * width..].as_mut_ptr(),
        };
        dispatch(self.isa, &values);
    }

    /// `transposed = (queries * scale)^T`.
    fn bring_queries(&mut self, rows: &Range<usize>, head: usize) {
        let size = self.inputs.head_size;
        let q = self.inputs.q;
        let (count, stride, width) = (rows.len(), packed_stride(size), panel_width(self.isa));
        let pack = PackRows {
            rows: count,
            block_rows: count,
            k: size,
            from: first_of(q, rows.start, head, size),
            stride: q.stride,
            to: self.queries.as_mut_ptr(),
        };
        dispatch(self.isa, &pack);
        for start in (0..size).step_by(BLOCK_K) {
            let steps = (size - start).min(BLOCK_K);
            let from = &self.queries[start / BLOCK_K * count * stride..];
            let to = &mut self.transposed[start * width..(start + steps) * width];
            transpose(self.isa, from, stride, (count, steps), to, width);
        }
        dispatch(self.isa, &mut Scale { values: self.transposed, by: self.inputs.scale });
    }

    /// `scores = keys * transposed`.
    fn compute_scores(&mut self) {
        let (size, width) = (self.inputs.head_size, panel_width(self.isa));
        let stride = packed_stride(size);
        let mut start = 0;
        loop {
            let steps = (size - start).min(BLOCK_K);
            let product = BlockProduct {
                rows: self.kept,
                steps,
                a: self.keys.as_ptr().wrapping_add(start / BLOCK_K * self.kept * stride),
                left: packed_layout(size),
                b: self.transposed.as_ptr().wrapping_add(start * width),
                c: self.scores.as_mut_ptr(),
                accumulate: start > 0,
                ahead: Ahead::NONE,
                later: Ahead::NONE,
                touched: None,
            };
            // SAFETY: the scratch was laid out for at least `kept` keys of `head_size`.
            unsafe { product.run(self.isa) };
            start += steps;
            if start >= size {
                break;
            }
        }
    }

    /// `sums = scores^T * values`, one panel.
    fn sum_values(&mut self, queries: usize, panel: usize) {
        let width = panel_width(self.isa);
        for start in (0..self.kept).step_by(BLOCK_K) {
            let product = BlockProduct {
                rows: queries,
                steps: (self.kept - start).min(BLOCK_K),
                a: self.scores.as_ptr().wrapping_add(start * width),
                left: Left::Steps,
                b: self.values.as_ptr().wrapping_add((panel * self.kept + start) * width),
                c: self.sums.as_mut_ptr(),
                accumulate: start > 0,
                ahead: Ahead::NONE,
                later: Ahead::NONE,
                touched: None,
            };
            // SAFETY: as above, and a block has at most `width` queries.
            unsafe { product.run(self.isa) };
        }
    }

    fn store(&self, queries: &Range<usize>, head: usize, first: usize, out: &SharedMut<'_, T>) {
        let (size, width) = (self.inputs.head_size, panel_width(self.isa));
        let columns = (size - first).min(width);
        let hidden = self.inputs.heads * size;
        let (at, rows) = (queries.start * hidden + head * size + first, queries.len());
        let to = out.as_mut_ptr().wrapping_add(at);
        let (values, by) = (&self.sums[..rows * width], &self.reciprocals[..rows]);
        // No other item has this head of these queries, and `attention` checked that `out` has them.
        dispatch(self.isa, &StoreScaled { values, width, by, columns, to, stride: hidden });
    }

    fn store_zeros(&self, queries: Range<usize>, head: usize, out: &SharedMut<'_, T>) {
        let size = self.inputs.head_size;
        for query in queries {
            let at = (query * self.inputs.heads + head) * size;
            // SAFETY: no other item has this head of this query.
            unsafe { out.part(at..at + size) }.fill(T::from_f32(0.0));
        }
    }
}

/// The first element of a head of a row.
fn first_of<T>(rows: Rows<'_, T>, row: usize, head: usize, size: usize) -> *const T {
    rows.data[row * rows.stride + rows.offset + head * size..].as_ptr()
}

/// `values *= by`; a multiple of 16 values.
struct Scale<'a> {
    values: &'a mut [f32],
    by: f32,
}

impl Kernel for &mut Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let by = simd.splat(self.by);
        for lanes in self.values.chunks_exact_mut(LANES) {
            simd.store(simd.mul(simd.load(lanes), by), lanes);
        }
    }
}

/// Row by row `to = values * by`, rounded once.
struct StoreScaled<'a, T> {
    /// `[rows, width]`.
    values: &'a [f32],
    width: usize,
    /// `[rows]`.
    by: &'a [f32],
    columns: usize,
    /// Rows of `columns` values, `stride` apart.
    to: *mut T,
    stride: usize,
}

impl<T: Element> Kernel for &StoreScaled<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, (values, &by)) in self.values.chunks_exact(self.width).zip(self.by).enumerate() {
            let by = simd.splat(by);
            for first in (0..self.columns).step_by(LANES) {
                let lanes = simd.mul(simd.load(&values[first..]), by);
                let count = (self.columns - first).min(LANES);
                // SAFETY: whoever builds a `StoreScaled` vouches for a row of `columns` per value of `by` at `to`.
                unsafe {
                    let to = self.to.add(row * self.stride + first);
                    if count == LANES {
                        simd.store_to(lanes, to)
                    } else {
                        simd.store_first_to(lanes, to, count)
                    }
                }
            }
        }
    }
}
