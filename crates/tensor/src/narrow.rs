//! f64 to half precision with one rounding.
//!
//! `half`'s own conversions drop the low 32 bits of the f64 before they round, and so send some numbers just above a tie to
//! the wrong side.

use half::{bf16, f16};

/// The f32 from which rounding to fewer than 22 bits gives what rounding `x` itself would: toward zero, its last bit set if
/// anything was lost (round to odd; Boldo and Melquiond, Emulation of a FMA and Correctly-Rounded Sums, 2008).
fn odd(x: f64) -> f32 {
    let nearest = x as f32;
    let back = f64::from(nearest);
    if back == x || x.is_nan() {
        return nearest;
    }
    let beyond = u32::from(back.abs() > x.abs());
    f32::from_bits((nearest.to_bits() - beyond) | 1)
}

/// The f16 nearest to `x`, ties to even.
pub(crate) fn to_f16(x: f64) -> f16 {
    f16::from_f32(odd(x))
}

/// The bf16 nearest to `x`, ties to even.
pub(crate) fn to_bf16(x: f64) -> bf16 {
    bf16::from_f32(odd(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Just above a tie by less than what the upper half of an f64 holds, and by the least that an f64 can hold.
    #[test]
    fn a_number_just_above_a_tie_rounds_up() {
        for above in [2f64.powi(-23), 2f64.powi(-52)] {
            assert_eq!(to_bf16(1.0 + 2f64.powi(-8) + above).to_f64(), 1.0 + 2f64.powi(-7));
            assert_eq!(to_f16(1.0 + 2f64.powi(-11) + above).to_f64(), 1.0 + 2f64.powi(-10));
            assert_eq!(to_bf16(-1.0 - 2f64.powi(-8) - above).to_f64(), -1.0 - 2f64.powi(-7));
        }
        assert_eq!(to_bf16(1.0 + 2f64.powi(-8)).to_f64(), 1.0);
        assert_eq!(to_f16(1.0 + 2f64.powi(-11)).to_f64(), 1.0);
    }

    #[test]
    fn the_ends_of_the_range_are_kept() {
        assert_eq!(to_f16(65519.999).to_f64(), 65504.0);
        assert_eq!(to_f16(65520.0).to_f64(), f64::INFINITY);
        assert_eq!(to_bf16(f64::MAX).to_f64(), f64::INFINITY);
        assert_eq!(to_bf16(f64::NEG_INFINITY).to_f64(), f64::NEG_INFINITY);
        assert!(to_f16(f64::NAN).is_nan() && to_bf16(f64::NAN).is_nan());
        assert_eq!(to_f16(2f64.powi(-25)).to_f64(), 0.0);
        assert_eq!(to_f16(2f64.powi(-25) * 1.001).to_f64(), 2f64.powi(-24));
        assert!(to_f16(-1e-300).to_f64() == 0.0 && to_f16(-1e-300).is_sign_negative());
    }

    /// Against the definition: no neighbour is nearer, and of two equally near the even one is taken.
    #[test]
    fn no_neighbour_is_nearer() {
        let mut bits = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mantissa = 1.0 + (bits >> 12) as f64 * 2f64.powi(-52);
            let x = f64::from_bits(mantissa.to_bits() & !((1u64 << (bits % 40)) - 1));
            let found = to_bf16(x);
            let far = |candidate: u16| (bf16::from_bits(candidate).to_f64() - x).abs();
            for neighbour in [found.to_bits() - 1, found.to_bits() + 1] {
                let is_nearer = far(neighbour) < far(found.to_bits());
                let is_tie_to_odd = far(neighbour) == far(found.to_bits()) && found.to_bits() & 1 == 1;
                assert!(!is_nearer && !is_tie_to_odd, "{x:e} gave {found}");
            }
        }
    }
}
