//! Rounding: what the settings say of it, and the formats that only the matrix units know.

use super::storage::Storage;
use super::{Overflow, Settings, Subnormals};

/// How results become elements in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rounding {
    /// f16 results in saturation mode: infinities become the largest number, NaN becomes 0.
    pub(crate) saturate: bool,
    /// Subnormal f32, f16 and bf16 are read and written as zeros. What the device does is not published.
    pub(crate) flush_subnormals: bool,
}

impl Rounding {
    /// What the settings ask for.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            saturate: settings.overflow == Overflow::Saturation,
            flush_subnormals: settings.subnormals == Subnormals::Flushed,
        }
    }

    /// What the device makes of elements that were just rounded.
    pub(crate) fn apply<T: Storage>(self, elements: &mut [T]) {
        self.apply_to_operands(elements);
        if self.saturate {
            elements.iter_mut().for_each(|element| *element = element.saturated());
        }
    }

    /// What the device makes of elements that it reads.
    pub(crate) fn apply_to_operands<T: Storage>(self, elements: &mut [T]) {
        if self.flush_subnormals {
            elements.iter_mut().for_each(|element| *element = element.flushed());
        }
    }
}

/// f32 in the matrix units' short form: 1 sign, 8 exponent and 11 fraction bits, half to even.
///
/// The notes on the format say 10 or 11 fraction bits; this takes 11.
pub(crate) fn to_hf32(value: f32) -> f32 {
    const DROPPED: u32 = 23 - 11;
    if !value.is_finite() {
        return value;
    }
    let bits = value.to_bits();
    let odd = bits >> DROPPED & 1;
    // The largest numbers round up to infinity, as in any other format.
    f32::from_bits((bits + (1 << (DROPPED - 1)) - 1 + odd) >> DROPPED << DROPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hf32_has_eleven_fraction_bits_and_rounds_half_to_even() {
        let unit = f32::powi(2.0, -11);
        assert_eq!(to_hf32(1.0 + unit), 1.0 + unit);
        assert_eq!(to_hf32(1.0 + unit / 2.0), 1.0);
        assert_eq!(to_hf32(1.0 + 1.5 * unit), 1.0 + 2.0 * unit);
        assert_eq!(to_hf32(1.0 + 0.51 * unit), 1.0 + unit);
        assert_eq!(to_hf32(-1.0 - 0.51 * unit), -1.0 - unit);
        assert_eq!(to_hf32(f32::MAX), f32::INFINITY);
        assert!(to_hf32(f32::NAN).is_nan());
        assert_eq!(to_hf32(-0.0).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn every_f16_is_exact_in_hf32() {
        for bits in 0..=u16::MAX {
            let value = half::f16::from_bits(bits).to_f32();
            assert!(to_hf32(value) == value || value.is_nan(), "{bits:#x}");
        }
    }
}
