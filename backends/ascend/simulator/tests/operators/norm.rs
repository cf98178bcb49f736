//! LayerNorm and its recipes.

use crate::device::{
    BF16, Dtype, F16, F32, F64, Integers, Tensor, assert_close, assert_refused, call, numbers, rounded,
};
use core::ptr;

struct Exact {
    y: Vec<f64>,
    mean: Vec<f64>,
    rstd: Vec<f64>,
}

/// In f64; `statistic` rounds mean and rstd before they are used.
fn layer_norm(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64, statistic: fn(f64) -> f64) -> Exact {
    let n = gamma.len();
    let mut exact = Exact { y: Vec::new(), mean: Vec::new(), rstd: Vec::new() };
    for row in x.chunks(n) {
        let mean = statistic(row.iter().sum::<f64>() / n as f64);
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        let rstd = statistic(1.0 / (variance + epsilon).sqrt());
        exact.y.extend(
            row.iter().zip(gamma).zip(beta).map(|((x, gamma), beta)| (x - mean) * rstd * gamma + beta),
        );
        exact.mean.push(mean);
        exact.rstd.push(rstd);
    }
    exact
}

/// Rounds to f16, as the recipe does with mean and rstd.
fn to_f16(value: f64) -> f64 {
    rounded(F16, value)
}

struct Case {
    x: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

const ROWS: i64 = 6;
const N: i64 = 96;

impl Case {
    fn new(dtype: Dtype, parameters: Dtype) -> Self {
        let x =
            numbers(dtype, (ROWS * N) as usize, 3.0, 21).iter().map(|x| rounded(dtype, x + 4.0)).collect();
        Self {
            x,
            gamma: numbers(parameters, N as usize, 2.0, 22),
            beta: numbers(parameters, N as usize, 1.0, 23),
        }
    }

    /// y, mean and rstd as the simulator gives them.
    fn run(&self, dtype: Dtype, parameters: Dtype, mode: i32) -> [Vec<f64>; 3] {
        let x = Tensor::new(dtype, &[2, ROWS / 2, N], &self.x);
        let [gamma, beta] = [&self.gamma, &self.beta].map(|values| Tensor::new(parameters, &[N], values));
        let out = Tensor::empty(dtype, &[2, ROWS / 2, N]);
        let [mean, rstd] = [(); 2].map(|()| Tensor::empty(F32, &[2, ROWS / 2, 1]));
        let shape = Integers::new(&[N]);
        call!(normalization.aclnnLayerNormWithImplMode(
            x.get(),
            shape.get(),
            gamma.get(),
            beta.get(),
            1e-5,
            out.get(),
            mean.get(),
            rstd.get(),
            mode,
        ))
        .expect("runs");
        [out.values(), mean.values(), rstd.values()]
    }
}

/// Results that are differences: absolute, 16 units in the last place of f32 at 8, which no intermediate value exceeds,
/// and half a unit of `dtype` at the result.
fn assert_near(got: &[f64], exact: &[f64], dtype: Dtype) {
    for (got, exact) in got.iter().zip(exact) {
        let digits = if dtype == F16 {
            11
        } else if dtype == BF16 {
            8
        } else {
            24
        };
        let store = exact.abs() * 2f64.powi(-digits) + 2f64.powi(-24);
        let computed = 16.0 * 8.0 * f64::from(f32::EPSILON);
        assert!((got - exact).abs() <= store + computed, "{dtype:?}: {got}, expected {exact}");
    }
}

#[test]
fn f16_parameters_round_mean_and_rstd_to_f16() {
    let case = Case::new(F16, F16);
    let [y, mean, rstd] = case.run(F16, F16, 0);
    let exact = layer_norm(&case.x, &case.gamma, &case.beta, 1e-5, to_f16);
    assert_eq!(mean, exact.mean);
    assert_eq!(rstd, exact.rstd);
    assert_near(&y, &exact.y, F16);
}

#[test]
fn f32_parameters_and_other_types_keep_f32_statistics() {
    for (dtype, parameters) in [(F16, F32), (BF16, BF16), (BF16, F32), (F32, F32)] {
        let case = Case::new(dtype, parameters);
        let [y, mean, rstd] = case.run(dtype, parameters, 0);
        let exact = layer_norm(&case.x, &case.gamma, &case.beta, 1e-5, |value| value);
        // 96 terms in 16 chains: 6 + 4 additions of terms that were rounded; rstd halves the variance's error.
        assert_close(&mean, &exact.mean, F32, 11.0);
        assert_close(&rstd, &exact.rstd, F32, 11.0);
        assert_near(&y, &exact.y, dtype);
    }
}

#[test]
fn high_performance_takes_the_logarithm_and_agrees_to_f32() {
    let case = Case::new(F32, F32);
    let [y, ..] = case.run(F32, F32, 1);
    assert_near(&y, &layer_norm(&case.x, &case.gamma, &case.beta, 1e-5, |value| value).y, F32);
}

#[test]
fn keeping_f16_loses_more_than_f16_statistics() {
    let case = Case::new(F16, F16);
    let exact = layer_norm(&case.x, &case.gamma, &case.beta, 1e-5, |value| value).y;
    let error = |mode| {
        let [y, ..] = case.run(F16, F16, mode);
        y.iter().zip(&exact).map(|(y, exact)| (y - exact).abs()).sum::<f64>() / exact.len() as f64
    };
    let (kept, published) = (error(2), error(0));
    assert!(published < kept && kept < 0.05, "{published} {kept}");
}

#[test]
fn parameters_and_statistics_may_be_missing() {
    let case = Case::new(F32, F32);
    let (x, out) = (Tensor::new(F32, &[ROWS, N], &case.x), Tensor::empty(F32, &[ROWS, N]));
    let (shape, null) = (Integers::new(&[N]), ptr::null_mut());
    call!(normalization.aclnnLayerNorm(x.get(), shape.get(), null, null, 1e-5, out.get(), null, null))
        .expect("runs");
    let exact = layer_norm(&case.x, &[1.0; N as usize], &[0.0; N as usize], 1e-5, |value| value);
    assert_near(&out.values(), &exact.y, F32);
}

#[test]
fn two_axes_are_normalised_together() {
    let x = numbers(F64, 24, 2.0, 24);
    let (input, out) = (Tensor::new(F32, &[2, 3, 4], &x), Tensor::empty(F32, &[2, 3, 4]));
    let (shape, null) = (Integers::new(&[3, 4]), ptr::null_mut());
    call!(normalization.aclnnLayerNorm(input.get(), shape.get(), null, null, 0.0, out.get(), null, null))
        .expect("runs");
    let x: Vec<f64> = x.iter().map(|x| rounded(F32, *x)).collect();
    assert_near(&out.values(), &layer_norm(&x, &[1.0; 12], &[0.0; 12], 0.0, |value| value).y, F32);
}

#[test]
fn wrong_shapes_types_and_modes_are_refused() {
    let (half, single) = (Tensor::empty(F16, &[2, 8]), Tensor::empty(F32, &[2, 8]));
    let parameter = Tensor::empty(F32, &[8]);
    let (null, shape) = (ptr::null_mut(), Integers::new(&[8]));
    let refused = call!(normalization.aclnnLayerNormWithImplMode(
        half.get(),
        shape.get(),
        parameter.get(),
        null,
        1e-5,
        half.get(),
        null,
        null,
        2
    ));
    assert_refused(refused, 161_002, "dtype of weightOptional is ACL_FLOAT, expected one of [ACL_FLOAT16]");
    let refused = call!(normalization.aclnnLayerNormWithImplMode(
        single.get(),
        shape.get(),
        null,
        null,
        1e-5,
        single.get(),
        null,
        null,
        2
    ));
    assert_refused(refused, 161_002, "dtype of input is ACL_FLOAT");
    let refused = call!(normalization.aclnnLayerNormWithImplMode(
        single.get(),
        shape.get(),
        null,
        null,
        1e-5,
        single.get(),
        null,
        null,
        3
    ));
    assert_refused(refused, 161_002, "implMode is 3");
    let wrong = Integers::new(&[4]);
    let refused = call!(normalization.aclnnLayerNorm(
        single.get(),
        wrong.get(),
        null,
        null,
        1e-5,
        single.get(),
        null,
        null
    ));
    assert_refused(refused, 161_002, "normalizedShape is [4]");
}

#[test]
fn the_sum_is_normalised_and_given_too() {
    let (x1, x2) = (numbers(F16, 64, 2.0, 25), numbers(F16, 64, 2.0, 26));
    let (gamma, beta) = (numbers(F16, 16, 1.0, 27), numbers(F16, 16, 1.0, 28));
    let [a, b] = [&x1, &x2].map(|values| Tensor::new(F16, &[4, 16], values));
    let [y, x] = [(); 2].map(|()| Tensor::empty(F16, &[4, 16]));
    let [weight, bias] = [&gamma, &beta].map(|values| Tensor::new(F16, &[16], values));
    let [mean, rstd] = [(); 2].map(|()| Tensor::empty(F32, &[4, 1]));
    call!(normalization.aclnnAddLayerNorm(
        a.get(),
        b.get(),
        weight.get(),
        bias.get(),
        ptr::null(),
        1e-5,
        true,
        y.get(),
        mean.get(),
        rstd.get(),
        x.get(),
    ))
    .expect("runs");
    let sum: Vec<f64> = x1.iter().zip(&x2).map(|(a, b)| a + b).collect();
    assert_close(&x.values(), &sum, F16, 0.5);
    let exact = layer_norm(&sum, &gamma, &beta, 1e-5, |value| value);
    assert_near(&y.values(), &exact.y, F16);
    assert_near(&rstd.values(), &exact.rstd, F32);
    let refused = call!(normalization.aclnnAddLayerNorm(
        a.get(),
        b.get(),
        weight.get(),
        bias.get(),
        ptr::null(),
        1e-5,
        true,
        y.get(),
        mean.get(),
        rstd.get(),
        ptr::null(),
    ));
    assert_refused(refused, 161_001, "xOut is NULL");
}
