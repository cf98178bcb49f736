//! The hyperbolic tangent: an odd polynomial near zero, `1 - 2 / (e^2|x| + 1)` beyond.

use super::exp::exp_scaled;
use super::polynomial::horner;
use crate::simd::Simd;

/// Where the two forms meet.
const SEAM: f32 = 0.625;

/// `(tanh(x) / x - 1) / x^2` in powers of `x^2`, for `|x| <= 0.625`.
const NEAR_ZERO: [f32; 5] = [-5.692_296e-3, 2.062_816_7e-2, -5.373_651_5e-2, 1.333_140_6e-1, -3.333_328e-1];

/// `tanh(x)`, at most 1.34 units in the last place of f32 off. ±1 from |x| = 9.02 on; the sign of zero stays.
#[inline(always)]
pub fn tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let magnitude = simd.abs(x);
    let square = simd.mul(x, x);
    let near = simd.fma(simd.mul(x, square), horner(simd, square, NEAR_ZERO), x);

    // The bound comes first: `min` gives the second operand when it is NaN.
    let bounded = simd.min(simd.splat(10.0), magnitude);
    let scaled = exp_scaled(simd, simd.add(bounded, bounded), simd.zero());
    let power = simd.scale_by_power_of_two(scaled.fraction, scaled.exponent);
    let rest = simd.div(simd.splat(2.0), simd.add(power, simd.splat(1.0)));
    let far = simd.sub(simd.splat(1.0), rest);

    // The sign last: near -0 the polynomial's terms cancel to +0.
    simd.copysign(simd.select(simd.lt(magnitude, simd.splat(SEAM)), near, far), x)
}
