//! Recipes against float64 formulas, and against the figures that were measured of them elsewhere.

use super::*;

fn exact_gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// The largest difference from GELU by erf on [-10, 10], in steps of 1e-4.
fn largest_difference(recipe: fn(&mut [f32], &mut [f32])) -> f64 {
    let x: Vec<f32> = (-100_000..=100_000).map(|i| i as f32 * 1e-4).collect();
    let mut y = x.clone();
    recipe(&mut y, &mut vec![0.0; x.len()]);
    x.iter().zip(&y).map(|(&x, &y)| (f64::from(y) - exact_gelu(x.into())).abs()).fold(0.0, f64::max)
}

#[test]
fn each_gelu_is_as_far_from_the_exact_one_as_was_measured() {
    let two_digits = |value: f64| format!("{value:.1e}");
    assert_eq!(two_digits(largest_difference(gelu_tanh)), "4.7e-4");
    // Two units in the last place of f32, where the exponential and the grid of arguments tell too.
    assert!(largest_difference(gelu_erf) < 8.25e-7);
    assert_eq!(two_digits(largest_difference(fast_gelu)), "2.0e-2");
}

/// The share of the f16 inputs in [-10, 10] whose result differs from the correctly rounded one, in per mille, and
/// the largest difference in units in the last place.
fn f16_differences(recipe: fn(&mut [f32], &mut [f32])) -> (usize, u32, usize) {
    let x: Vec<f16> =
        (0..=u16::MAX).map(f16::from_bits).filter(|x| x.is_finite() && x.to_f32().abs() <= 10.0).collect();
    let mut y: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
    recipe(&mut y, &mut vec![0.0; x.len()]);
    // Bit patterns as integers that count the representable numbers.
    let ordered = |value: f16| {
        let bits = i32::from(value.to_bits() & 0x7fff);
        if value.is_sign_negative() { -bits } else { bits }
    };
    let (mut different, mut largest) = (0, 0);
    for (x, y) in x.iter().zip(y) {
        let distance = ordered(f16::from_f32(y)).abs_diff(ordered(Number::to_f16(exact_gelu(x.to_f64()))));
        different += usize::from(distance > 0);
        largest = largest.max(distance);
    }
    ((different * 1000 + x.len() / 2) / x.len(), largest, x.len())
}

#[test]
fn over_all_f16_inputs_each_gelu_differs_as_often_as_was_measured() {
    assert_eq!(f16_differences(gelu_erf), (11, 3, 37_378));
    assert_eq!(f16_differences(gelu_tanh), (99, 919, 37_378));
}

#[test]
fn gelu_keeps_nan_and_infinities() {
    for recipe in [gelu_tanh, gelu_erf, fast_gelu] {
        let mut y = [f32::NAN, f32::INFINITY, 0.0, 20.0];
        recipe(&mut y, &mut [0.0; 4]);
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [f32::INFINITY, 0.0, 20.0]);
    }
}

/// Deterministic values that look normal: sums of twelve uniform numbers.
struct Normal(u64);

impl Normal {
    fn next(&mut self) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        }
        sum
    }
}

/// The mean absolute error of LayerNorm in f16 over 2000 rows of 512 values around `offset`.
fn layer_norm_error(offset: f64, statistics: Statistics) -> f64 {
    let (rows, n, epsilon) = (2000, 512, 1e-12);
    let mut normal = Normal(17);
    let mut total = 0.0;
    for _ in 0..rows {
        let x: Vec<f32> = (0..n).map(|_| f16::from_f64(offset + normal.next()).to_f32()).collect();
        let exact: Vec<f64> = x.iter().map(|&x| x.into()).collect();
        let (mean, rstd) = row_statistics(&x, epsilon, ReciprocalRoot::Root, statistics);
        let (exact_mean, exact_rstd) =
            row_statistics(&exact, epsilon, ReciprocalRoot::Root, Statistics::Wide);
        for (&x, &exact) in x.iter().zip(&exact) {
            let y = f16::from_f32((x - mean) * rstd).to_f64();
            total += (y - (exact - exact_mean) * exact_rstd).abs();
        }
    }
    total / (rows * n) as f64
}

#[test]
fn layer_norm_errs_with_its_offset_as_was_measured() {
    // The figures have two digits and other rows behind them: rows spread by no more than their mean, so the mean
    // of 2000 is good to 1 / sqrt(2000), of which three times are allowed on either side.
    let agrees = |error: f64, measured: f64, unit: f64| {
        (error - measured).abs() <= unit / 2.0 + 3.0 * measured / 2000f64.sqrt()
    };
    for (offset, through_f16, unit) in
        [(0.0, 2.0e-4, 1e-5), (1.0, 2.9e-4, 1e-5), (4.0, 7.6e-4, 1e-5), (16.0, 3.0e-3, 1e-4)]
    {
        let error = layer_norm_error(offset, Statistics::Wide);
        assert!(agrees(error, 1.4e-4, 1e-5), "offset {offset}: {error}");
        let error = layer_norm_error(offset, Statistics::ThroughF16);
        assert!(agrees(error, through_f16, unit), "offset {offset}: {error}");
    }
}

#[test]
fn both_reciprocal_roots_agree_to_f32() {
    let row: Vec<f32> = (0..100).map(|i| (i * 37 % 101) as f32 * 0.1).collect();
    let (mean, by_root) = row_statistics(&row, 1e-5, ReciprocalRoot::Root, Statistics::Wide);
    let (same_mean, by_logarithm) = row_statistics(&row, 1e-5, ReciprocalRoot::Logarithm, Statistics::Wide);
    assert_eq!(mean, same_mean);
    // ln loses |ln v| u absolutely, which exp turns into a relative error; both functions add an ulp.
    assert!((by_root / by_logarithm - 1.0).abs() < 8.0 * f32::EPSILON, "{by_root} {by_logarithm}");
}

#[test]
fn f16_softmax_rounds_the_distance_to_the_maximum() {
    // The distance 1 + 2^-11 is the middle of two f16 and goes down to even.
    let mut row = [f16::from_f32(2.0).to_f32(), 1.0 - f32::powi(2.0, -11)];
    let mut wide = row;
    softmax(&mut row, Scale::Probability, Statistics::ThroughF16, &mut Vec::new());
    softmax(&mut wide, Scale::Probability, Statistics::Wide, &mut Vec::new());
    let expected = 1.0 / (1.0 + 1f64.exp());
    assert!((f64::from(row[1]) - expected).abs() < 1e-7, "{row:?}");
    assert!((f64::from(wide[1]) - expected).abs() > 5e-5, "{wide:?}");
}

#[test]
fn softmax_of_equal_values_is_even_and_of_nan_is_nan() {
    let mut row = [3.0f64; 4];
    softmax(&mut row, Scale::Probability, Statistics::Wide, &mut Vec::new());
    assert_eq!(row, [0.25; 4]);
    softmax(&mut row, Scale::Logarithm, Statistics::Wide, &mut Vec::new());
    row.iter().for_each(|x| assert!((x + 4f64.ln()).abs() < 1e-15, "{x}"));
    let mut row = [1.0, f64::NAN, 2.0];
    softmax(&mut row, Scale::Probability, Statistics::Wide, &mut Vec::new());
    assert!(row.iter().all(|x| x.is_nan()));
    softmax(&mut [0.0f32; 0], Scale::Probability, Statistics::Wide, &mut Vec::new());
}

#[test]
fn sums_agree_with_float64() {
    for n in [0, 1, 15, 16, 17, 100] {
        let row: Vec<f64> = (0..n).map(|i| f64::from(i) * 0.1).collect();
        let expected = 0.1 * f64::from(n * (n - 1).max(0)) / 2.0;
        assert!((sum(&row, |x| x) - expected).abs() < 1e-12, "{n}");
    }
}
