//! The body of softmax: maximum, sum of exponentials, result.

use crate::Element;
use crate::math::exp;
use crate::simd::{Kernel, LANES, Simd};

/// A run of rows of length `n`.
pub(super) struct SoftmaxRows<'a, T> {
    pub(super) n: usize,
    pub(super) x: &'a [T],
    pub(super) out: &'a mut [T],
}

/// Independent accumulators, so that additions do not wait for one another.
const ACCUMULATORS: usize = 4;

impl<T: Element> Kernel for SoftmaxRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, out) in self.x.chunks_exact(self.n).zip(self.out.chunks_exact_mut(self.n)) {
            match maximum(simd, x) {
                Maximum::NotANumber => out.fill(T::from_f32(f32::NAN)),
                Maximum::Is(f32::NEG_INFINITY) => out.fill(T::from_f32(0.0)),
                Maximum::Is(maximum) => row(simd, x, maximum, out),
            }
        }
    }
}

enum Maximum {
    Is(f32),
    NotANumber,
}

#[inline(always)]
fn maximum<S: Simd, T: Element>(simd: S, x: &[T]) -> Maximum {
    let mut largest = simd.splat(f32::NEG_INFINITY);
    let mut nan = simd.first_lanes(0);
    let mut vectors = x.chunks_exact(LANES);
    for vector in &mut vectors {
        let value = simd.load(vector);
        largest = simd.max(value, largest);
        nan = simd.mask_or(nan, simd.is_nan(value));
    }
    let tail = simd.load_partial(vectors.remainder(), f32::NEG_INFINITY);
    largest = simd.max(tail, largest);
    nan = simd.mask_or(nan, simd.is_nan(tail));
    if simd.mask_bits(nan) == 0 { Maximum::Is(simd.largest(largest)) } else { Maximum::NotANumber }
}

#[inline(always)]
fn row<S: Simd, T: Element>(simd: S, x: &[T], maximum: f32, out: &mut [T]) {
    let maximum = simd.splat(maximum);
    let mut sums = [simd.zero(); ACCUMULATORS];
    let mut groups = x.chunks_exact(ACCUMULATORS * LANES);
    for group in &mut groups {
        for (index, sum) in sums.iter_mut().enumerate() {
            let value = simd.load(&group[index * LANES..]);
            *sum = simd.add(*sum, exp(simd, simd.sub(value, maximum)));
        }
    }
    let mut vectors = groups.remainder().chunks_exact(LANES);
    for vector in &mut vectors {
        sums[0] = simd.add(sums[0], exp(simd, simd.sub(simd.load(vector), maximum)));
    }
    let tail = simd.load_partial(vectors.remainder(), f32::NEG_INFINITY);
    sums[0] = simd.add(sums[0], exp(simd, simd.sub(tail, maximum)));
    let sum = simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])));

    // The exponentials are computed again rather than kept in `out`, which may be too narrow to hold them.
    let scale = simd.splat(1.0 / sum);
    let mut x = x.chunks_exact(LANES);
    let mut out = out.chunks_exact_mut(LANES);
    for (x, out) in (&mut x).zip(&mut out) {
        simd.store(simd.mul(exp(simd, simd.sub(simd.load(x), maximum)), scale), out);
    }
    let tail = simd.load_partial(x.remainder(), f32::NEG_INFINITY);
    simd.store_partial(simd.mul(exp(simd, simd.sub(tail, maximum)), scale), out.into_remainder());
}
