//! The body of LayerNorm: sum, then deviations and their squares, then the result.

use std::ops::Range;

use crate::Element;
use crate::simd::{Kernel, LANES, Simd};

/// Where the values of a row come from.
pub(super) trait Source: Copy {
    fn part(self, range: Range<usize>) -> Self;
    /// Sixteen values from `at` on.
    fn load<S: Simd>(self, simd: S, at: usize) -> S::F32;
    /// The values from `at` to the end, fewer than sixteen, then zeros.
    fn load_tail<S: Simd>(self, simd: S, at: usize) -> S::F32;
}

/// Values as they are stored.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a, T>(pub(super) &'a [T]);

/// The f32 sums of two stored values.
#[derive(Clone, Copy)]
pub(super) struct Summed<'a, T>(pub(super) &'a [T], pub(super) &'a [T]);

impl<T: Element> Source for Plain<'_, T> {
    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        Plain(&self.0[range])
    }
    #[inline(always)]
    fn load<S: Simd>(self, simd: S, at: usize) -> S::F32 {
        simd.load(&self.0[at..])
    }
    #[inline(always)]
    fn load_tail<S: Simd>(self, simd: S, at: usize) -> S::F32 {
        simd.load_partial(&self.0[at..], 0.0)
    }
}

impl<T: Element> Source for Summed<'_, T> {
    #[inline(always)]
    fn part(self, range: Range<usize>) -> Self {
        Summed(&self.0[range.clone()], &self.1[range])
    }
    #[inline(always)]
    fn load<S: Simd>(self, simd: S, at: usize) -> S::F32 {
        simd.add(simd.load(&self.0[at..]), simd.load(&self.1[at..]))
    }
    #[inline(always)]
    fn load_tail<S: Simd>(self, simd: S, at: usize) -> S::F32 {
        simd.add(simd.load_partial(&self.0[at..], 0.0), simd.load_partial(&self.1[at..], 0.0))
    }
}

/// Normalizes a run of rows.
pub(super) struct Normalize<'a, T, X> {
    pub(super) x: X,
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) epsilon: f32,
    pub(super) out: &'a mut [T],
}

/// Independent accumulators: additions wait for one another, so one would leave the adders idle.
const ACCUMULATORS: usize = 4;

impl<T: Element, X: Source> Kernel for Normalize<'_, T, X> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let n = self.gamma.len();
        for (row, out) in self.out.chunks_exact_mut(n).enumerate() {
            let x = self.x.part(row * n..(row + 1) * n);
            let mean = sum(simd, x, n) / n as f32;
            let deviations = deviations(simd, x, n, mean);
            // What the rounding of the mean left over: taking it off makes the result as good as the deviations.
            let rest = deviations.sum / n as f32;
            let variance = (deviations.squares - deviations.sum * rest) / n as f32;
            // Not `max`, which would turn NaN into 0.
            let variance = if variance < 0.0 { 0.0 } else { variance };
            let scale = 1.0 / (variance + self.epsilon).sqrt();

            let (mean, rest, scale) = (simd.splat(mean), simd.splat(rest), simd.splat(scale));
            let mut at = 0;
            while at + LANES <= n {
                let centred = simd.sub(simd.sub(x.load(simd, at), mean), rest);
                let gamma = simd.load(&self.gamma[at..]);
                let beta = simd.load(&self.beta[at..]);
                simd.store(simd.fma(simd.mul(centred, scale), gamma, beta), &mut out[at..]);
                at += LANES;
            }
            let centred = simd.sub(simd.sub(x.load_tail(simd, at), mean), rest);
            let gamma = simd.load_partial(&self.gamma[at..], 0.0);
            let beta = simd.load_partial(&self.beta[at..], 0.0);
            simd.store_partial(simd.fma(simd.mul(centred, scale), gamma, beta), &mut out[at..]);
        }
    }
}

#[inline(always)]
fn sum<S: Simd>(simd: S, x: impl Source, n: usize) -> f32 {
    let mut sums = [simd.zero(); ACCUMULATORS];
    let mut at = 0;
    while at + ACCUMULATORS * LANES <= n {
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = simd.add(*sum, x.load(simd, at + index * LANES));
        }
        at += ACCUMULATORS * LANES;
    }
    while at + LANES <= n {
        sums[0] = simd.add(sums[0], x.load(simd, at));
        at += LANES;
    }
    sums[0] = simd.add(sums[0], x.load_tail(simd, at));
    simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])))
}

struct Deviations {
    sum: f32,
    squares: f32,
}

#[inline(always)]
fn deviations<S: Simd>(simd: S, x: impl Source, n: usize, mean: f32) -> Deviations {
    let mean = simd.splat(mean);
    let mut sums = [simd.zero(); ACCUMULATORS];
    let mut squares = [simd.zero(); ACCUMULATORS];
    let mut at = 0;
    while at + ACCUMULATORS * LANES <= n {
        for index in 0..ACCUMULATORS {
            let deviation = simd.sub(x.load(simd, at + index * LANES), mean);
            sums[index] = simd.add(sums[index], deviation);
            squares[index] = simd.fma(deviation, deviation, squares[index]);
        }
        at += ACCUMULATORS * LANES;
    }
    while at + LANES <= n {
        let deviation = simd.sub(x.load(simd, at), mean);
        sums[0] = simd.add(sums[0], deviation);
        squares[0] = simd.fma(deviation, deviation, squares[0]);
        at += LANES;
    }
    let tail = simd.sub(x.load_tail(simd, at), mean);
    let tail = simd.select(simd.first_lanes(n - at), tail, simd.zero());
    sums[0] = simd.add(sums[0], tail);
    squares[0] = simd.fma(tail, tail, squares[0]);
    Deviations {
        sum: simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))),
        squares: simd.sum(simd.add(simd.add(squares[0], squares[1]), simd.add(squares[2], squares[3]))),
    }
}
