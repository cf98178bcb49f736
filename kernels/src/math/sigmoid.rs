//! The logistic function, without losing digits or range on the negative side.

use super::exp::exp_scaled;
use crate::simd::Simd;

/// `1 / (1 + e^-x)`, at most 2.41 units in the last place of f32 off, for negative `x` too.
#[inline(always)]
pub fn sigmoid<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // With z = e^-|x|: 1 / (1 + z) on the right, z / (1 + z) on the left, scaled only at the end.
    // The bound comes first: `min` gives the second operand when it is NaN.
    let magnitude = simd.min(simd.splat(104.5), simd.abs(x));
    let power = exp_scaled(simd, simd.neg(magnitude), simd.zero());
    let one = simd.splat(1.0);
    let divisor = simd.add(one, simd.scale_by_power_of_two(power.fraction, power.exponent));
    let negative = simd.lt(x, simd.zero());
    let quotient = simd.div(simd.select(negative, power.fraction, one), divisor);
    simd.scale_by_power_of_two(quotient, simd.select(negative, power.exponent, simd.zero()))
}
