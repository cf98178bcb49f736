//! Elementary functions on slices, and roundings that a processor has no instruction for.
//!
//! In f32 they are those of `lockstep-kernels`, which give the same bits on every machine and are at most 1.4
//! units in the last place off; in f64 those of libm. How the device's vector units compute them is not
//! published.

use lockstep_kernels::simd::{LaneFn, Simd, map_in_place};
use lockstep_kernels::{Isa, Serial, math};

/// Functions that f32 and f64 have both.
pub(crate) trait Elementary: super::Number {
    fn exp_all(x: &mut [Self]);
    fn log_all(x: &mut [Self]);
    fn erf_all(x: &mut [Self]);
    fn tanh_all(x: &mut [Self]);
    fn square_root(self) -> Self;
}

macro_rules! lanes {
    ($($name:ident = $function:path;)*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl LaneFn for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
                $function(simd, x)
            }
        }
    )*};
}
lanes! {
    Exp = math::exp;
    Log = math::log;
    Erf = math::erf;
    Tanh = math::tanh;
}

impl Elementary for f32 {
    fn exp_all(x: &mut [Self]) {
        map_in_place(Isa::detect(), &Serial, Exp, x);
    }
    fn log_all(x: &mut [Self]) {
        map_in_place(Isa::detect(), &Serial, Log, x);
    }
    fn erf_all(x: &mut [Self]) {
        map_in_place(Isa::detect(), &Serial, Erf, x);
    }
    fn tanh_all(x: &mut [Self]) {
        map_in_place(Isa::detect(), &Serial, Tanh, x);
    }
    fn square_root(self) -> Self {
        self.sqrt()
    }
}

impl Elementary for f64 {
    fn exp_all(x: &mut [Self]) {
        x.iter_mut().for_each(|x| *x = libm::exp(*x));
    }
    fn log_all(x: &mut [Self]) {
        x.iter_mut().for_each(|x| *x = libm::log(*x));
    }
    fn erf_all(x: &mut [Self]) {
        x.iter_mut().for_each(|x| *x = libm::erf(*x));
    }
    fn tanh_all(x: &mut [Self]) {
        x.iter_mut().for_each(|x| *x = libm::tanh(*x));
    }
    fn square_root(self) -> Self {
        self.sqrt()
    }
}

/// `value` if f32 holds it, else the one of its two neighbours whose last bit is set. Rounding that to a format of
/// at most 22 bits gives what rounding `value` once would.
pub(crate) fn round_to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    if value.is_nan() || f64::from(nearest) == value {
        return nearest;
    }
    let away = f64::from(nearest).abs() > value.abs();
    f32::from_bits((nearest.to_bits() - u32::from(away)) | 1)
}

/// As [`round_to_odd`], of an integer.
pub(crate) fn integer_to_odd(value: i64) -> f32 {
    let magnitude = value.unsigned_abs();
    let excess = (64 - magnitude.leading_zeros()).saturating_sub(24);
    let kept = magnitude >> excess << excess;
    let sticky = if kept == magnitude { 0 } else { 1 };
    let toward_zero = f32::from_bits((kept as f32).to_bits() | sticky);
    if value < 0 { -toward_zero } else { toward_zero }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_to_odd_keeps_what_is_exact_and_marks_what_is_not() {
        for exact in [0.0, -0.0, 1.0, 65504.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(round_to_odd(exact).to_bits(), (exact as f32).to_bits(), "{exact}");
        }
        for between in [1.0 + 1e-12, 2.0 - 1e-12, 1e-60, -1e-60, 1e300, 0.1, 0.7] {
            let odd = round_to_odd(between);
            assert_eq!(odd.to_bits() & 1, 1, "{between}");
            let [below, above] = [odd.next_down(), odd.next_up()].map(f64::from);
            assert!(below < between && between < above, "{between}: {odd}");
        }
        assert!(round_to_odd(f64::NAN).is_nan());
    }

    #[test]
    fn integers_round_to_odd_as_doubles_do() {
        for value in [0, 1, -3, 16_777_216, 16_777_217, -33_554_435, 1 << 52, (1 << 52) + 1] {
            assert_eq!(integer_to_odd(value), round_to_odd(value as f64), "{value}");
        }
    }
}
