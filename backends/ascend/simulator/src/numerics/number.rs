//! What kernels compute in: f32 as the device's vector units, f64 for truth and for doubles, i64 for integers.

use super::elementary;
use half::{bf16, f16};

/// A type that kernels compute in.
pub(crate) trait Number: Copy + Default + PartialEq + PartialOrd + Send + Sync + 'static {
    const ZERO: Self;
    const ONE: Self;

    fn of_f32(value: f32) -> Self;
    fn of_f64(value: f64) -> Self;
    /// The nearest value; integers are exact.
    fn of_i64(value: i64) -> Self;
    fn of_u64(value: u64) -> Self;

    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// Truncated and saturated, NaN as 0; integers exact.
    fn to_i64(self) -> i64;
    fn to_u64(self) -> u64;
    /// Floats truncated and saturated, NaN as 0; integers wrapped.
    fn to_i32(self) -> i32;
    fn to_u32(self) -> u32;
    fn to_i16(self) -> i16;
    fn to_u16(self) -> u16;
    fn to_i8(self) -> i8;
    fn to_u8(self) -> u8;
    /// Rounded once, half to even.
    fn to_f16(self) -> f16;
    /// Rounded once, half to even.
    fn to_bf16(self) -> bf16;

    /// Floats: NaN. Integers have none.
    fn is_nan(self) -> bool;
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    /// Integers are truncated; by zero they give zero, which on the device is not defined.
    fn divide(self, other: Self) -> Self;
    fn power(self, exponent: Self) -> Self;
    fn negate(self) -> Self;
    fn magnitude(self) -> Self;

    /// Reads f16, faster than one by one where there is an instruction for it.
    fn of_f16s(from: &[f16], into: &mut [Self]) {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = Self::of_f32(from.to_f32());
        }
    }

    /// Writes f16, faster than one by one where there is an instruction for it.
    fn to_f16s(from: &[Self], into: &mut [f16]) {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = from.to_f16();
        }
    }
}

/// Conversions that `as` does as the trait says.
macro_rules! conversions {
    () => {
        fn of_i64(value: i64) -> Self {
            value as Self
        }
        fn of_u64(value: u64) -> Self {
            value as Self
        }
        fn to_f32(self) -> f32 {
            self as f32
        }
        fn to_f64(self) -> f64 {
            self as f64
        }
        fn to_i64(self) -> i64 {
            self as i64
        }
        fn to_u64(self) -> u64 {
            self as u64
        }
        fn to_i32(self) -> i32 {
            self as i32
        }
        fn to_u32(self) -> u32 {
            self as u32
        }
        fn to_i16(self) -> i16 {
            self as i16
        }
        fn to_u16(self) -> u16 {
            self as u16
        }
        fn to_i8(self) -> i8 {
            self as i8
        }
        fn to_u8(self) -> u8 {
            self as u8
        }
    };
}

macro_rules! float_arithmetic {
    () => {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        conversions!();
        fn of_f32(value: f32) -> Self {
            value.into()
        }
        fn of_f64(value: f64) -> Self {
            value as Self
        }
        fn is_nan(self) -> bool {
            self.is_nan()
        }
        fn add(self, other: Self) -> Self {
            self + other
        }
        fn subtract(self, other: Self) -> Self {
            self - other
        }
        fn multiply(self, other: Self) -> Self {
            self * other
        }
        fn divide(self, other: Self) -> Self {
            self / other
        }
        fn negate(self) -> Self {
            -self
        }
        fn magnitude(self) -> Self {
            self.abs()
        }
    };
}

impl Number for f32 {
    float_arithmetic!();
    fn to_f16(self) -> f16 {
        f16::from_f32(self)
    }
    fn to_bf16(self) -> bf16 {
        bf16::from_f32(self)
    }
    fn power(self, exponent: Self) -> Self {
        libm::powf(self, exponent)
    }
    fn of_f16s(from: &[f16], into: &mut [Self]) {
        use half::slice::HalfFloatSliceExt;
        from.convert_to_f32_slice(into);
    }
    fn to_f16s(from: &[Self], into: &mut [f16]) {
        use half::slice::HalfFloatSliceExt;
        into.convert_from_f32_slice(from);
    }
}

impl Number for f64 {
    float_arithmetic!();
    fn to_f16(self) -> f16 {
        f16::from_f32(elementary::round_to_odd(self))
    }
    fn to_bf16(self) -> bf16 {
        bf16::from_f32(elementary::round_to_odd(self))
    }
    fn power(self, exponent: Self) -> Self {
        libm::pow(self, exponent)
    }
}

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    conversions!();
    fn of_f32(value: f32) -> Self {
        value as i64
    }
    fn of_f64(value: f64) -> Self {
        value as i64
    }
    fn to_f16(self) -> f16 {
        // An i64 may round on its way to f32; values beyond f32's 24 bits overflow f16 anyway.
        f16::from_f32(self as f32)
    }
    fn to_bf16(self) -> bf16 {
        bf16::from_f32(elementary::integer_to_odd(self))
    }
    fn is_nan(self) -> bool {
        false
    }
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn subtract(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    fn multiply(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    fn divide(self, other: Self) -> Self {
        if other == 0 { 0 } else { self.wrapping_div(other) }
    }
    fn power(self, exponent: Self) -> Self {
        match u32::try_from(exponent) {
            Ok(exponent) => self.wrapping_pow(exponent),
            // What 1 / self^n truncates to.
            Err(_) if exponent < 0 => match self {
                1 => 1,
                -1 if exponent % 2 == 0 => 1,
                -1 => -1,
                _ => 0,
            },
            Err(_) => wrapping_power(self, exponent),
        }
    }
    fn negate(self) -> Self {
        self.wrapping_neg()
    }
    fn magnitude(self) -> Self {
        self.wrapping_abs()
    }
}

/// `base^exponent` by squaring, wrapped to 64 bits.
fn wrapping_power(mut base: i64, mut exponent: i64) -> i64 {
    let mut power: i64 = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_integers_by_truncation_and_saturation() {
        for (value, expected) in [(1.9f32, 1), (-1.9, -1), (3e9, i32::MAX), (-3e9, i32::MIN), (f32::NAN, 0)] {
            assert_eq!(value.to_i32(), expected, "{value}");
        }
        assert_eq!((-1.5f64).to_u8(), 0);
    }

    #[test]
    fn integers_wrap() {
        assert_eq!(Number::to_i8(300i64), 44);
        assert_eq!(Number::to_u8(-1i64), 255);
    }

    #[test]
    fn doubles_round_once_to_half_precision() {
        // Just above the middle of two f16: by way of the nearest f32 it would be the middle and go down to even.
        let above_middle = 1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40);
        assert_eq!(Number::to_f16(above_middle), f16::from_bits(0x3c01));
        assert_eq!(Number::to_f16(1.0 + f64::powi(2.0, -11)), f16::from_bits(0x3c00));
        let above_middle = 1.0 + f64::powi(2.0, -8) + f64::powi(2.0, -40);
        assert_eq!(Number::to_bf16(above_middle), bf16::from_bits(0x3f81));
    }

    #[test]
    fn integer_powers_are_exact_or_truncated() {
        assert_eq!(Number::power(3i64, 4), 81);
        assert_eq!(Number::power(2i64, -1), 0);
        assert_eq!(Number::power(-1i64, -3), -1);
        assert_eq!(Number::power(-1i64, i64::MAX), -1);
    }
}
