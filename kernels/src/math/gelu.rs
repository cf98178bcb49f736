//! The two forms of GELU, with a small relative error everywhere.
//!
//! The textbook forms `x/2 (1 + erf(..))` and `x/2 (1 + tanh(..))` cancel for negative `x`: at -5 no digit is left. Both
//! forms below work on `t = |x|` with quantities that only decrease, carry the rounding error of the exponent along,
//! and scale by the power of two last, so that tiny results round once.

use super::exp::exp_scaled;
use super::polynomial::horner;
use crate::simd::Simd;

/// `Phi(-t) e^(t^2/2) = P(t) / Q(t)` for t in 0..14.7, where Phi is the normal distribution function.
const MILLS_P: [f32; 5] = [4.100_360_4e-3, 4.054_141_4e-2, 1.829_858_6e-1, 4.379_944_5e-1, 0.5];
const MILLS_Q: [f32; 6] = [1.027_795_95e-2, 1.016_287_06e-1, 4.688_055_2e-1, 1.201_525_7, 1.673_873_8, 1.0];

/// `x Phi(x)`, the exact (erf) GELU, with Phi the normal distribution function: at most 6.3 units in the last place of f32
/// off (7.41 on a target without FMA), at any `x`.
///
/// +inf gives +inf; -inf gives NaN, like the formula's -inf times 0.
#[inline(always)]
pub fn gelu_erf<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // For t >= 14.5 the tail is 0 in f32. The bound comes first: `min` gives the second operand when it is NaN.
    let t = simd.min(simd.splat(16.0), simd.abs(x));

    // -t^2/2 in two parts: the square of t's upper 12 bits is exact.
    let upper = simd.from_bits(simd.and_i32(simd.bits(t), simd.splat_i32(!0xfff)));
    let minus_half = simd.splat(-0.5);
    let power = simd.mul(simd.mul(upper, upper), minus_half);
    let power_low = simd.mul(simd.mul(simd.sub(t, upper), simd.add(t, upper)), minus_half);
    let power = exp_scaled(simd, power, power_low);

    // Phi(-t) on the right; on the left already times -t, before it is scaled.
    let negative = simd.lt(x, simd.zero());
    let factor = simd.select(negative, simd.neg(t), simd.splat(1.0));
    let above = simd.mul(simd.mul(factor, power.fraction), horner(simd, t, MILLS_P));
    let quotient = simd.div(above, horner(simd, t, MILLS_Q));
    let tail = simd.scale_by_power_of_two(quotient, power.exponent);

    let right = simd.mul(x, simd.sub(simd.splat(1.0), tail));
    without_minus_infinity(simd, x, simd.select(negative, tail, right))
}

/// `2 sqrt(2/pi)` in two parts.
const LINEAR: f32 = 1.595_769_2;
const LINEAR_LOW: f32 = -4.534_068e-8;
/// `2 sqrt(2/pi) * 0.044715` in two parts.
const CUBIC: f32 = 7.135_481_4e-2;
const CUBIC_LOW: f32 = 2.398_832_5e-9;

/// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, the tanh form of GELU: at most 3.41 units in the last place of f32
/// off, at any `x`.
///
/// Computed as `x / (1 + e^-w)` with `w` twice the argument of tanh. +inf gives +inf; -inf gives NaN, like the
/// formula's -inf times 0.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // For t >= 10.7 the tail is 0 in f32. The bound comes first: `min` gives the second operand when it is NaN.
    let t = simd.min(simd.splat(11.0), simd.abs(x));

    // w = t (LINEAR + CUBIC t^2), each step with its rounding error: w reaches 112, where half a unit in its last place
    // is 64 in the result's.
    let square = simd.mul(t, t);
    let square_low = product_error(simd, t, t, square);
    let cubic = simd.mul(simd.splat(CUBIC), square);
    let cubic_low = product_error(simd, simd.splat(CUBIC), square, cubic);
    let cubic_low = simd.fma(simd.splat(CUBIC), square_low, cubic_low);
    let cubic_low = simd.fma(simd.splat(CUBIC_LOW), square, cubic_low);
    let slope = simd.add(simd.splat(LINEAR), cubic);
    let slope_low = sum_error(simd, simd.splat(LINEAR), cubic, slope);
    let slope_low = simd.add(simd.add(slope_low, simd.splat(LINEAR_LOW)), cubic_low);
    let w = simd.mul(t, slope);
    let w_low = simd.fma(t, slope_low, product_error(simd, t, slope, w));

    let power = exp_scaled(simd, simd.neg(w), simd.neg(w_low));
    let negative = simd.lt(x, simd.zero());
    let above = simd.select(negative, simd.mul(simd.neg(t), power.fraction), x);
    let tail = simd.scale_by_power_of_two(power.fraction, power.exponent);
    let quotient = simd.div(above, simd.add(simd.splat(1.0), tail));
    let value = simd.scale_by_power_of_two(quotient, simd.select(negative, power.exponent, simd.zero()));
    without_minus_infinity(simd, x, value)
}

#[inline(always)]
fn without_minus_infinity<S: Simd>(simd: S, x: S::F32, value: S::F32) -> S::F32 {
    simd.select(simd.eq(x, simd.splat(f32::NEG_INFINITY)), simd.splat(f32::NAN), value)
}

/// `a * b - product`, exact (Dekker 1971): the factors in halves whose products are exact, with or without FMA.
#[inline(always)]
fn product_error<S: Simd>(simd: S, a: S::F32, b: S::F32, product: S::F32) -> S::F32 {
    let mask = simd.splat_i32(!0xfff);
    let a_high = simd.from_bits(simd.and_i32(simd.bits(a), mask));
    let b_high = simd.from_bits(simd.and_i32(simd.bits(b), mask));
    let (a_low, b_low) = (simd.sub(a, a_high), simd.sub(b, b_high));
    let error = simd.sub(simd.mul(a_high, b_high), product);
    let error = simd.fma(a_high, b_low, error);
    let error = simd.fma(a_low, b_high, error);
    simd.fma(a_low, b_low, error)
}

/// `a + b - sum`, exact (Knuth's two-sum).
#[inline(always)]
fn sum_error<S: Simd>(simd: S, a: S::F32, b: S::F32, sum: S::F32) -> S::F32 {
    let b_part = simd.sub(sum, a);
    let a_part = simd.sub(sum, b_part);
    simd.add(simd.sub(a, a_part), simd.sub(b, b_part))
}
