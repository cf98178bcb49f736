//! How one number becomes another, with one rounding.
//!
//! Floats go through f64, which holds all of them, and integers through i64. On the way to a narrower float the value must
//! not be rounded twice: the step in between rounds to odd, which keeps the information that it was inexact.

use half::{bf16, f16};

/// A number type that tensors hold.
pub trait Number: Copy + Send + Sync + 'static {
    /// Whether the type is a float: then [`Number::to_f64`] is its value, else [`Number::to_i64`].
    const IS_FLOAT: bool;
    /// The value of a float, exact; of an integer, rounded.
    fn to_f64(self) -> f64;
    /// The value of an integer, exact; of a float, truncated.
    fn to_i64(self) -> i64;
    /// The nearest value, or, for integers, that toward zero within the type's range.
    fn from_f64(value: f64) -> Self;
    /// The nearest value, or, for integers, that with the same low bits.
    fn from_i64(value: i64) -> Self;
}

/// Nearest f32 toward zero or away whose last bit is odd; `value` itself if f32 holds it.
fn to_f32_odd(value: f64) -> f32 {
    let nearest = value as f32;
    let back = f64::from(nearest);
    if back == value || value.is_nan() || nearest.to_bits() & 1 == 1 {
        nearest
    } else if back.abs() > value.abs() {
        f32::from_bits(nearest.to_bits() - 1)
    } else {
        f32::from_bits(nearest.to_bits() + 1)
    }
}

/// An f64 that rounds to every narrower float as `value` does.
fn to_f64_odd(value: i64) -> f64 {
    if value.unsigned_abs() >> 53 == 0 {
        return value as f64;
    }
    let dropped = value & 0x7ff;
    ((value - dropped) | (i64::from(dropped != 0) << 11)) as f64
}

macro_rules! float {
    ($type:ty, |$value:ident| $to:expr, |$wide:ident| $from:expr, |$integer:ident| $from_integer:expr) => {
        impl Number for $type {
            const IS_FLOAT: bool = true;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                let $value = self;
                $to
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self.to_f64() as i64
            }
            #[inline(always)]
            fn from_f64($wide: f64) -> Self {
                $from
            }
            #[inline(always)]
            fn from_i64($integer: i64) -> Self {
                $from_integer
            }
        }
    };
}

float!(f64, |value| value, |wide| wide, |integer| integer as f64);
float!(f32, |value| f64::from(value), |wide| wide as f32, |integer| integer as f32);
float!(f16, |value| f64::from(value), |wide| f16::from_f32(to_f32_odd(wide)), |integer| {
    f16::from_f32(to_f32_odd(to_f64_odd(integer)))
});
float!(bf16, |value| f64::from(value), |wide| bf16::from_f32(to_f32_odd(wide)), |integer| {
    bf16::from_f32(to_f32_odd(to_f64_odd(integer)))
});

macro_rules! integer {
    ($type:ty, |$value:ident| $to:expr, |$wide:ident| $from:expr, |$integer:ident| $from_integer:expr) => {
        impl Number for $type {
            const IS_FLOAT: bool = false;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.to_i64() as f64
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                let $value = self;
                $to
            }
            #[inline(always)]
            fn from_f64($wide: f64) -> Self {
                $from
            }
            #[inline(always)]
            fn from_i64($integer: i64) -> Self {
                $from_integer
            }
        }
    };
}

integer!(i64, |value| value, |wide| wide as i64, |integer| integer);
integer!(i32, |value| i64::from(value), |wide| wide as i32, |integer| integer as i32);
// A u8 is a boolean.
integer!(u8, |value| i64::from(value != 0), |wide| u8::from(wide != 0.0), |integer| u8::from(integer != 0));
