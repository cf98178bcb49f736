//! Polynomials by Horner's rule.

use crate::simd::Simd;

/// The polynomial with these coefficients, the highest power first.
#[inline(always)]
pub(super) fn horner<S: Simd, const N: usize>(simd: S, x: S::F32, coefficients: [f32; N]) -> S::F32 {
    let mut value = simd.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        value = simd.fma(value, x, simd.splat(*coefficient));
    }
    value
}
