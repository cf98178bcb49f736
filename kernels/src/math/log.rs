//! The natural logarithm: `x = 2^e m` with `m` in sqrt(1/2)..sqrt(2), and a polynomial in `m - 1`.

use super::polynomial::horner;
use crate::simd::Simd;

/// `ln 2` in two parts; the first has 9 bits, so that its products with exponents are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// The bits of sqrt(1/2).
const ROOT_HALF_BITS: i32 = 0x3f35_04f3;

/// `(ln(1 + f) - f + f^2 / 2) / f^3` for f in sqrt(1/2) - 1..sqrt(2) - 1.
const TAIL: [f32; 9] = [
    6.749_269e-2,
    -1.167_009_85e-1,
    1.188_354_9e-1,
    -1.240_623_4e-1,
    1.422_035_8e-1,
    -1.666_798_9e-1,
    2.000_207_2e-1,
    -2.500_001e-1,
    3.333_331_3e-1,
];

/// `ln(x)`, at most 0.81 units in the last place of f32 off (0.83 on a target without FMA).
///
/// Zero of either sign gives -inf, and a negative number NaN.
#[inline(always)]
pub fn log<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let subnormal = simd.lt(x, simd.splat(f32::MIN_POSITIVE));
    let scaled = simd.select(subnormal, simd.mul(x, simd.splat(8_388_608.0)), x);
    let shift = simd.select(subnormal, simd.splat(-23.0), simd.zero());

    let bits = simd.bits(scaled);
    let exponent = simd.sar_i32::<23>(simd.sub_i32(bits, simd.splat_i32(ROOT_HALF_BITS)));
    let fraction = simd.from_bits(simd.sub_i32(bits, simd.shl_i32::<23>(exponent)));
    let exponent = simd.add(simd.to_f32(exponent), shift);

    let f = simd.sub(fraction, simd.splat(1.0));
    let square = simd.mul(f, f);
    let tail = simd.mul(simd.mul(square, f), horner(simd, f, TAIL));
    let tail = simd.fma(exponent, simd.splat(LN_2_LOW), tail);
    let tail = simd.neg_fma(simd.splat(0.5), square, tail);
    let value = simd.fma(exponent, simd.splat(LN_2_HIGH), simd.add(f, tail));

    let value = simd.select(simd.lt(x, simd.splat(f32::INFINITY)), value, x);
    let value = simd.select(simd.lt(x, simd.zero()), simd.splat(f32::NAN), value);
    simd.select(simd.eq(x, simd.zero()), simd.splat(f32::NEG_INFINITY), value)
}
