use super::*;
use crate::simd::{LaneFn, Simd, map};
use crate::{Isa, Serial};

macro_rules! lane_fn {
    ($name:ident, $function:ident) => {
        #[derive(Clone, Copy)]
        struct $name;
        impl LaneFn for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
                $function(simd, x)
            }
        }
    };
}
lane_fn!(Exp, exp);
lane_fn!(Log, log);
lane_fn!(Erf, erf);
lane_fn!(Tanh, tanh);
lane_fn!(Sigmoid, sigmoid);
lane_fn!(GeluErf, gelu_erf);
lane_fn!(GeluTanh, gelu_tanh);

/// The distance of two neighbouring f32 at the size of `exact`.
fn unit_in_last_place(exact: f64) -> f64 {
    let exponent = ((exact.abs().to_bits() >> 52) as i32 - 1023).clamp(-126, 127);
    f64::powi(2.0, exponent - 23)
}

/// The error of `got` in units in the last place; infinite where one of the two is NaN or overflows and the other not.
fn error_in_ulp(got: f32, exact: f64) -> f64 {
    if exact.is_nan() || got.is_nan() {
        return if exact.is_nan() && got.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = exact as f32;
    if rounded.is_infinite() || got.is_infinite() {
        return if rounded == got { 0.0 } else { f64::INFINITY };
    }
    (f64::from(got) - exact).abs() / unit_in_last_place(exact)
}

fn same_bits_or_both_nan(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Every f32 pattern with a stride, then dense samples of `ranges`.
fn arguments(ranges: &[(f32, f32)]) -> Vec<f32> {
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(4099).map(f32::from_bits).collect();
    for &(from, to) in ranges {
        let count = 120_000;
        x.extend((0..=count).map(|i| from + (to - from) * (i as f32 / count as f32)));
    }
    x.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE]);
    x
}

/// Holds a function to `limit` (with FMA) and `portable_limit` units in the last place on every path.
fn sweep(
    function: impl LaneFn,
    exact: impl Fn(f64) -> f64,
    ranges: &[(f32, f32)],
    limit: f64,
    portable_limit: f64,
) {
    let x = arguments(ranges);
    let truth: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
    let mut fused: Option<Vec<f32>> = None;
    for isa in Isa::available() {
        let mut got = vec![0.0; x.len()];
        map(isa, &Serial, function, &x, &mut got);
        let limit = if isa == Isa::Portable { portable_limit } else { limit };
        let mut worst = (0.0, 0);
        for (index, (&got, &exact)) in got.iter().zip(&truth).enumerate() {
            let error = error_in_ulp(got, exact);
            if error > worst.0 {
                worst = (error, index);
            }
        }
        let (error, index) = worst;
        eprintln!("{isa:?}: largest error {error:.3} ULP at {:e}", x[index]);
        assert!(
            error <= limit,
            "{isa:?}: {error} ULP at {:e}: {:e}, exactly {:e}",
            x[index],
            got[index],
            truth[index]
        );
        if isa != Isa::Portable {
            if let Some(fused) = &fused {
                let differs = fused.iter().zip(&got).position(|(&a, &b)| !same_bits_or_both_nan(a, b));
                assert_eq!(differs.map(|index| x[index]), None, "avx2 and avx512 differ");
            }
            fused = Some(got);
        }
    }
}

fn normal_distribution(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn gelu_tanh_exact(x: f64) -> f64 {
    let slope = (8.0 / std::f64::consts::PI).sqrt() * (1.0 + 0.044715 * x * x);
    if x == f64::NEG_INFINITY { f64::NAN } else { x / (1.0 + libm::exp(-x * slope)) }
}

#[test]
fn exp_is_accurate() {
    sweep(Exp, libm::exp, &[(-104.0, -87.0), (-1.0, 1.0), (-40.0, 0.0), (87.0, 89.0)], 1.02, 1.02);
}

#[test]
fn log_is_accurate() {
    sweep(Log, libm::log, &[(0.4, 2.5), (0.99, 1.01), (0.0, 1e-37)], 0.81, 0.83);
}

#[test]
fn erf_is_accurate() {
    sweep(Erf, libm::erf, &[(-1.1, 1.1), (0.9, 4.1), (-4.0, 0.0)], 1.08, 1.33);
}

#[test]
fn tanh_is_accurate() {
    sweep(Tanh, libm::tanh, &[(-0.7, 0.7), (0.5, 10.0), (-10.0, 0.0)], 1.34, 1.34);
}

#[test]
fn sigmoid_is_accurate() {
    let exact =
        |x: f64| if x >= 0.0 { 1.0 / (1.0 + libm::exp(-x)) } else { libm::exp(x) / (1.0 + libm::exp(x)) };
    sweep(Sigmoid, exact, &[(-5.0, 5.0), (-104.5, -80.0), (-80.0, 30.0)], 2.41, 2.41);
}

#[test]
fn gelu_erf_is_accurate_in_the_tail() {
    sweep(GeluErf, |x| x * normal_distribution(x), &[(-8.0, -3.0), (-3.0, 5.0), (-15.0, -8.0)], 6.3, 7.41);
}

#[test]
fn gelu_tanh_is_accurate_in_the_tail() {
    sweep(GeluTanh, gelu_tanh_exact, &[(-8.0, -3.0), (-3.0, 5.0), (-11.0, -8.0)], 3.41, 3.41);
}
