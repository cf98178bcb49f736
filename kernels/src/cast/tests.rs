use half::{bf16, f16};

use super::{Number, cast, convert};
use crate::testing::{Format, Random, Threads, patterns};
use crate::{Isa, Serial};

fn one<T: Number, U: Number + Default>(x: T) -> U {
    let mut out = [U::default()];
    cast(Isa::detect(), &Serial, &[x], &mut out);
    out[0]
}

/// The nearest value of a format, by arithmetic in f64 that is exact here: scale, round to an integer, scale back.
fn nearest<T: Format>(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    let step = f64::powi(2.0, exponent.max(T::LEAST_EXPONENT) - (T::DIGITS - 1));
    let rounded = (x / step).round_ties_even() * step;
    let largest = (2.0 - f64::powi(2.0, 1 - T::DIGITS))
        * f64::powi(2.0, if T::LEAST_EXPONENT == -14 { 15 } else { 127 });
    if rounded.abs() > largest { f64::INFINITY.copysign(x) } else { rounded }
}

fn f64_to<T: Format + Number>() {
    let mut random = Random(1);
    let mut x: Vec<f64> = vec![0.0, -0.0, f64::INFINITY, -f64::INFINITY, 5e-324, 1e300, -1e300];
    for _ in 0..20_000 {
        // All exponents of the format and some beyond.
        let scale = f64::powi(2.0, random.below(0..320) as i32 - 160);
        x.push(random.normal() * scale);
        // Ties of the format, and their nearest neighbours in f64: two roundings would lose the difference.
        let tie = f64::from(T::from_f32(random.normal() as f32).to_f32());
        let tie = tie + tie.abs() * f64::powi(2.0, -T::DIGITS);
        let tie = f64::from_bits(tie.to_bits() & !((1 << (52 - T::DIGITS)) - 1));
        x.extend([tie, f64::from_bits(tie.to_bits() + 1), f64::from_bits(tie.to_bits() - 1)]);
    }
    let mut out = vec![T::default(); x.len()];
    cast(Isa::detect(), &Serial, &x, &mut out);
    for (&x, &got) in x.iter().zip(&out) {
        assert_eq!(got.value().to_bits(), nearest::<T>(x).to_bits(), "{} {x:e} got {got:?}", T::NAME);
    }
    assert!(one::<f64, T>(f64::NAN).to_f32().is_nan());
}

#[test]
fn f64_is_rounded_once() {
    f64_to::<f32>();
    f64_to::<f16>();
    f64_to::<bf16>();
    // Just above the tie between 1 and the next f16; f32 would round it to the tie, and the tie to 1.
    assert_eq!(
        one::<f64, f16>(1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40)),
        f16::from_f32(1.0 + 1.0 / 1024.0)
    );
}

#[test]
fn storage_types_are_converted_as_half_does() {
    let mut random = Random(2);
    let x: Vec<f32> = (0..5000).map(|_| f32::from_bits(random.bits() as u32)).collect();
    for isa in Isa::available() {
        let mut halves = vec![f16::ZERO; x.len()];
        cast(isa, &Serial, &x, &mut halves);
        let mut brains = vec![bf16::ZERO; x.len()];
        cast(isa, &Serial, &x, &mut brains);
        for (index, &x) in x.iter().enumerate() {
            assert_eq!(halves[index].pattern(), f16::from_f32_const(x).pattern(), "{isa:?} {x:e}");
            assert_eq!(brains[index].pattern(), bf16::from_f32(x).pattern(), "{isa:?} {x:e}");
        }
        let mut back = vec![0.0f32; x.len()];
        cast(isa, &Serial, &halves, &mut back);
        assert_eq!(patterns(&back), patterns(&halves));
        cast(isa, &Serial, &brains, &mut back);
        assert_eq!(patterns(&back), patterns(&brains));
        let mut crossed = vec![f16::ZERO; x.len()];
        convert(isa, &Serial, &brains, &mut crossed);
        let expected: Vec<f16> = brains.iter().map(|x| f16::from_f32_const(x.to_f32())).collect();
        assert_eq!(patterns(&crossed), patterns(&expected), "{isa:?}");
    }
}

#[test]
fn every_half_survives_the_way_through_every_wider_type() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let mut wide = vec![0.0f64; halves.len()];
    cast(Isa::detect(), &Threads(2), &halves, &mut wide);
    let mut back = vec![f16::ONE; halves.len()];
    cast(Isa::detect(), &Threads(2), &wide, &mut back);
    assert_eq!(patterns(&back), patterns(&halves));
}

#[test]
fn floats_become_integers_toward_zero_and_within_range() {
    for (x, i64_value, i32_value) in [
        (2.9, 2, 2),
        (-2.9, -2, -2),
        (-0.5, 0, 0),
        (3e9, 3_000_000_000, i32::MAX),
        (-3e9, -3_000_000_000, i32::MIN),
        (1e30, i64::MAX, i32::MAX),
        (-1e30, i64::MIN, i32::MIN),
        (f64::INFINITY, i64::MAX, i32::MAX),
        (f64::NEG_INFINITY, i64::MIN, i32::MIN),
        (f64::NAN, 0, 0),
    ] {
        assert_eq!((one::<f64, i64>(x), one::<f64, i32>(x)), (i64_value, i32_value), "{x}");
    }
    assert_eq!(one::<f32, i64>(-16_777_216_000.0), -16_777_216_000);
    assert_eq!(one::<f16, i32>(f16::from_f32(-1000.5)), -1000);
    assert_eq!(one::<bf16, i32>(bf16::NAN), 0);
    assert_eq!(one::<f16, i32>(f16::INFINITY), i32::MAX);
}

#[test]
fn integers_become_the_nearest_float() {
    assert_eq!(one::<i64, f64>(i64::MAX), 9_223_372_036_854_775_808.0);
    assert_eq!(one::<i64, f32>((1 << 24) + 1), 16_777_216.0);
    assert_eq!(one::<i64, f32>((1 << 24) + 3), 16_777_220.0);
    assert_eq!(one::<i32, f16>(65_519), f16::MAX);
    assert_eq!(one::<i32, f16>(65_520), f16::INFINITY);
    assert_eq!(one::<i64, f16>(i64::MIN), f16::NEG_INFINITY);
    // A tie of bf16 at 2^62 and one above: f64 does not hold the difference.
    let tie = (1i64 << 62) + (1 << 54);
    assert_eq!(one::<i64, bf16>(tie).to_f32(), 2f32.powi(62));
    assert_eq!(one::<i64, bf16>(tie + 1).to_f32(), 2f32.powi(62) + 2f32.powi(55));
    assert_eq!(one::<i64, bf16>(-tie).to_f32(), -2f32.powi(62));
    assert_eq!(one::<i64, bf16>(-tie - 1).to_f32(), -2f32.powi(62) - 2f32.powi(55));
    assert_eq!(one::<i64, bf16>(-tie + 1).to_f32(), -2f32.powi(62));
    let mut random = Random(3);
    for _ in 0..10_000 {
        let x = random.bits() as i64 >> random.below(0..50);
        // Below 2^53 f64 is exact, so that rounding through it is rounding once.
        if x.unsigned_abs() < 1 << 53 {
            assert_eq!(one::<i64, bf16>(x).value(), nearest::<bf16>(x as f64), "{x}");
            assert_eq!(one::<i64, f16>(x).value(), nearest::<f16>(x as f64), "{x}");
        }
    }
}

#[test]
fn integers_keep_their_low_bits() {
    assert_eq!(one::<i64, i32>((1 << 40) + 7), 7);
    assert_eq!(one::<i64, i32>(-1), -1);
    assert_eq!(one::<i32, i64>(i32::MIN), -2_147_483_648);
}

#[test]
fn booleans_are_whatever_is_not_zero() {
    assert_eq!(one::<f32, u8>(f32::NAN), 1);
    assert_eq!(one::<f32, u8>(-0.0), 0);
    assert_eq!(one::<f32, u8>(1e-45), 1);
    assert_eq!(one::<f16, u8>(f16::from_f32(256.0)), 1);
    assert_eq!(one::<i64, u8>(256), 1);
    assert_eq!(one::<i32, u8>(0), 0);
    assert_eq!(one::<u8, u8>(9), 1);
    assert_eq!(one::<u8, f32>(9), 1.0);
    assert_eq!(one::<u8, i64>(9), 1);
    assert_eq!(one::<u8, bf16>(0), bf16::ZERO);
}

#[test]
fn every_length_is_covered_by_every_path() {
    for isa in Isa::available() {
        for count in [0, 1, 15, 16, 17, 33, 70_001] {
            let x: Vec<f32> = (0..count).map(|i| i as f32).collect();
            let mut narrow = vec![bf16::from_f32(-1.0); count];
            cast(isa, &Threads(2), &x, &mut narrow);
            let mut integers = vec![-1i64; count];
            cast(isa, &Threads(2), &x, &mut integers);
            for i in 0..count {
                assert_eq!(narrow[i].value(), nearest::<bf16>(i as f64));
                assert_eq!(integers[i], i as i64);
            }
        }
    }
}
