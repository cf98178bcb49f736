//! The exponential: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, and `2^n` times a polynomial in `r`.

use super::polynomial::horner;
use crate::simd::Simd;

/// `ln 2` in two parts; the first has 9 bits, so that its products with the integers in use are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `(e^r - 1 - r) / r^2` for `|r| <= ln 2 / 2`, relative error of `e^r` below 2^-28.
const TAIL: [f32; 5] = [0.001_381_869_7, 0.008_368_716, 0.041_668_292, 0.166_665_21, 0.499_999_94];

/// A number as `fraction * 2^exponent`, with the fraction in 0.70..1.42.
pub(super) struct Scaled<V> {
    pub(super) fraction: V,
    pub(super) exponent: V,
}

/// `e^(x + low)` for `|x| <= 170` and `|low|` below 0.02, not yet scaled: where the result is tiny, the caller can still
/// multiply before it rounds.
#[inline(always)]
pub(super) fn exp_scaled<S: Simd>(simd: S, x: S::F32, low: S::F32) -> Scaled<S::F32> {
    let exponent = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    let rest = simd.neg_fma(exponent, simd.splat(LN_2_HIGH), x);
    let rest = simd.neg_fma(exponent, simd.splat(LN_2_LOW), rest);
    let rest = simd.add(rest, low);
    let tail = horner(simd, rest, TAIL);
    let above_one = simd.fma(simd.mul(rest, rest), tail, rest);
    Scaled { fraction: simd.add(above_one, simd.splat(1.0)), exponent }
}

/// `e^x`, at most 1.02 units in the last place of f32 off.
///
/// Above 88.72284 the result is infinite; below -103.97208 it is 0.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // Masked positions are -inf. A product that underflows costs hundreds of cycles, so they take another way to 0.
    let vanishes = simd.lt(x, simd.splat(-104.0));
    // The bound comes first: `min` gives the second operand when it is NaN.
    let bounded = simd.min(simd.splat(89.0), simd.select(vanishes, simd.zero(), x));
    let scaled = exp_scaled(simd, bounded, simd.zero());
    let value = simd.scale_by_power_of_two(scaled.fraction, scaled.exponent);
    simd.select(vanishes, simd.zero(), value)
}
