//! Reductions of floats: along rows where the last axis is reduced, across rows where it is kept.

use std::ops::Range;

use super::Reduction;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel, pieces};

/// What a set of floats is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// The sum; 0 of nothing.
    Sum,
    /// The sum divided by the count; NaN of nothing.
    Mean,
    /// The largest; NaN if one is NaN; -inf of nothing.
    Max,
    /// The smallest; NaN if one is NaN; +inf of nothing.
    Min,
}

/// Reduces f32, f16 or bf16, in f32, rounded once.
///
/// * `x`: dense, of the shape that `reduction` was made for; `out`: dense, the kept axes.
///
/// The order of additions is fixed by the shape; it is in `spec.md`.
///
/// # Panics
/// If a slice's length does not fit the reduction.
pub fn reduce<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    op: Reduce,
    reduction: &Reduction,
    x: &[T],
    out: &mut [T],
) {
    reduction.check(x.len(), out.len());
    let cost = reduction.reduced_len().max(1);
    let divisor = if op == Reduce::Mean { reduction.reduced_len() as f32 } else { 1.0 };
    pieces::rows(pool, out, 1, cost, &|range, out| match op {
        Reduce::Sum | Reduce::Mean => dispatch(isa, Piece { fold: Sum, reduction, x, divisor, range, out }),
        Reduce::Max => dispatch(isa, Piece { fold: Max, reduction, x, divisor, range, out }),
        Reduce::Min => dispatch(isa, Piece { fold: Min, reduction, x, divisor, range, out }),
    });
}

/// How two partial results become one.
trait Fold: Copy {
    /// The result of nothing.
    const EMPTY: f32;
    fn join<S: Simd>(self, simd: S, total: S::F32, value: S::F32) -> S::F32;
    fn across<S: Simd>(self, simd: S, total: S::F32) -> f32;
}

#[derive(Clone, Copy)]
struct Sum;
#[derive(Clone, Copy)]
struct Max;
#[derive(Clone, Copy)]
struct Min;

impl Fold for Sum {
    const EMPTY: f32 = 0.0;
    #[inline(always)]
    fn join<S: Simd>(self, simd: S, total: S::F32, value: S::F32) -> S::F32 {
        simd.add(total, value)
    }
    #[inline(always)]
    fn across<S: Simd>(self, simd: S, total: S::F32) -> f32 {
        simd.sum(total)
    }
}

impl Fold for Max {
    const EMPTY: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn join<S: Simd>(self, simd: S, total: S::F32, value: S::F32) -> S::F32 {
        // `max` gives its second operand if either is NaN, so only a NaN total needs care.
        simd.select(simd.is_nan(total), total, simd.max(total, value))
    }
    #[inline(always)]
    fn across<S: Simd>(self, simd: S, total: S::F32) -> f32 {
        if simd.mask_bits(simd.is_nan(total)) == 0 { simd.largest(total) } else { f32::NAN }
    }
}

impl Fold for Min {
    const EMPTY: f32 = f32::INFINITY;
    #[inline(always)]
    fn join<S: Simd>(self, simd: S, total: S::F32, value: S::F32) -> S::F32 {
        simd.select(simd.is_nan(total), total, simd.min(total, value))
    }
    #[inline(always)]
    fn across<S: Simd>(self, simd: S, total: S::F32) -> f32 {
        if simd.mask_bits(simd.is_nan(total)) == 0 { simd.smallest(total) } else { f32::NAN }
    }
}

/// Output elements `range`.
struct Piece<'a, T, F> {
    fold: F,
    reduction: &'a Reduction,
    x: &'a [T],
    divisor: f32,
    range: Range<usize>,
    out: &'a mut [T],
}

/// Independent accumulators, so that additions do not wait for one another.
const ACCUMULATORS: usize = 4;

impl<T: Element, F: Fold> Kernel for Piece<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { fold, reduction, x, divisor, range, out } = self;
        let divisor = simd.splat(divisor);
        let along_rows = reduction.reduced.inner().strides[0] == 1;
        for run in reduction.kept.runs(range.start, range.end) {
            let out = &mut out[run.at - range.start..][..run.length];
            let (start, stride) = (run.starts[0], run.strides[0]);
            if along_rows || stride != 1 {
                for (index, out) in out.iter_mut().enumerate() {
                    let total = simd.splat(along(simd, fold, reduction, x, start + index * stride));
                    simd.store_partial(simd.div(total, divisor), std::slice::from_mut(out));
                }
            } else {
                let mut at = 0;
                while at < out.len() {
                    let end = out.len().min(at + LANES);
                    let total = across(simd, fold, reduction, x, start + at..start + end);
                    simd.store_partial(simd.div(total, divisor), &mut out[at..end]);
                    at = end;
                }
            }
        }
    }
}

/// Reduces all elements of the output element that starts at `start`.
#[inline(always)]
fn along<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    reduction: &Reduction,
    x: &[T],
    start: usize,
) -> f32 {
    let mut totals = [simd.splat(F::EMPTY); ACCUMULATORS];
    for run in reduction.reduced.runs(0, reduction.reduced.len()) {
        let (from, stride) = (start + run.starts[0], run.strides[0]);
        if stride != 1 {
            // A single element, or one axis of several of which none is the last: element by element.
            for index in 0..run.length {
                let at = from + index * stride;
                totals[0] = fold.join(simd, totals[0], simd.load_partial(&x[at..=at], F::EMPTY));
            }
            continue;
        }
        let values = &x[from..from + run.length];
        let mut groups = values.chunks_exact(ACCUMULATORS * LANES);
        for group in &mut groups {
            for (index, total) in totals.iter_mut().enumerate() {
                *total = fold.join(simd, *total, simd.load(&group[index * LANES..]));
            }
        }
        let mut vectors = groups.remainder().chunks_exact(LANES);
        for vector in &mut vectors {
            totals[0] = fold.join(simd, totals[0], simd.load(vector));
        }
        totals[0] = fold.join(simd, totals[0], simd.load_partial(vectors.remainder(), F::EMPTY));
    }
    let left = fold.join(simd, totals[0], totals[1]);
    let right = fold.join(simd, totals[2], totals[3]);
    fold.across(simd, fold.join(simd, left, right))
}

/// Reduces up to sixteen neighbouring output elements, which start at `columns`, each in its lane.
#[inline(always)]
fn across<S: Simd, T: Element, F: Fold>(
    simd: S,
    fold: F,
    reduction: &Reduction,
    x: &[T],
    columns: Range<usize>,
) -> S::F32 {
    let mut total = simd.splat(F::EMPTY);
    for run in reduction.reduced.runs(0, reduction.reduced.len()) {
        for index in 0..run.length {
            let offset = run.starts[0] + index * run.strides[0];
            let values = simd.load_partial(&x[columns.start + offset..columns.end + offset], F::EMPTY);
            total = fold.join(simd, total, values);
        }
    }
    total
}
