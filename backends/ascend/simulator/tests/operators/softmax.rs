//! Softmax, its logarithm, and with scale and mask.

use crate::device::{
    BF16, BOOL, Dtype, F16, F32, F64, Tensor, assert_close, assert_refused, call, numbers, rounded,
};

fn probabilities(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - max).exp()).sum();
    row.iter().map(|x| (x - max).exp() / sum).collect()
}

/// As the device rounds f16 input: the distance to the maximum is an f16.
fn through_f16(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter().map(|x| rounded(F16, x - max)).collect()
}

/// Units of f32 in a row of 100: a distance of up to 16 is rounded to half a unit of 16, which is 16 units of the
/// result; the exponential, the sum's tree of 7 + 4 additions, and the quotient add 1.1, 11 and 0.5.
const UNITS: f64 = 16.0 + 1.1 + 11.0 + 0.5;

#[test]
fn rows_sum_to_one_in_every_type() {
    for dtype in [F32, F16, BF16] {
        let x = numbers(dtype, 700, 8.0, 11);
        let (input, out) = (Tensor::new(dtype, &[7, 100], &x), Tensor::empty(dtype, &[7, 100]));
        call!(activation.aclnnSoftmax(input.get(), -1, out.get())).expect("runs");
        let exact: Vec<f64> = x
            .chunks(100)
            .flat_map(|row| probabilities(&if dtype == F16 { through_f16(row) } else { row.to_vec() }))
            .collect();
        assert_close(&out.values(), &exact, dtype, UNITS);
    }
}

#[test]
fn f16_differs_from_the_formula_by_the_rounded_distance() {
    let x = [8.0, 8.0 - 5.001, 0.25].map(|x| rounded(F16, x));
    let (input, out) = (Tensor::new(F16, &[3], &x), Tensor::empty(F16, &[3]));
    call!(activation.aclnnSoftmax(input.get(), 0, out.get())).expect("runs");
    assert_close(&out.values(), &probabilities(&through_f16(&x)), F16, UNITS);
}

#[test]
fn any_axis_of_any_view() {
    // [2, 3, 4] seen as [4, 2, 3], softmax along the axis of 2.
    let x = numbers(F64, 24, 3.0, 12);
    let input = Tensor::view(F64, &x, &[4, 2, 3], &[1, 12, 4], 0);
    let out = Tensor::empty(F64, &[4, 2, 3]);
    call!(activation.aclnnSoftmax(input.get(), 1, out.get())).expect("runs");
    let got = out.values();
    for i in 0..4 {
        for k in 0..3 {
            let row = probabilities(&[x[i + 4 * k], x[i + 12 + 4 * k]]);
            for (j, expected) in row.iter().enumerate() {
                let found = got[6 * i + 3 * j + k];
                assert!((found - expected).abs() < 1e-15, "{found} {expected}");
            }
        }
    }
}

#[test]
fn masked_scores_get_nothing_and_a_nan_takes_its_row_only() {
    let x = [0.0, f64::NEG_INFINITY, 0.0, 1.0, f64::NAN, 2.0];
    let (input, out) = (Tensor::new(F32, &[2, 3], &x), Tensor::empty(F32, &[2, 3]));
    call!(activation.aclnnSoftmax(input.get(), 1, out.get())).expect("runs");
    assert_close(&out.values(), &[0.5, 0.0, 0.5, f64::NAN, f64::NAN, f64::NAN], F32, 0.0);
}

#[test]
fn logarithms_of_probabilities() {
    let x = numbers(F32, 300, 8.0, 13);
    let (input, out) = (Tensor::new(F32, &[3, 100], &x), Tensor::empty(F32, &[3, 100]));
    call!(activation.aclnnLogSoftmax(input.get(), 1, out.get())).expect("runs");
    let exact: Vec<f64> = x.chunks(100).flat_map(|row| probabilities(row).into_iter().map(f64::ln)).collect();
    for (got, exact) in out.values().iter().zip(&exact) {
        // The sum's logarithm is off by the sum's relative error and an ulp of its own, and two results near 16 are
        // rounded: units of 16 in f32.
        assert!((got - exact).abs() <= 2.0 * 16.0 * f64::from(f32::EPSILON), "{got} {exact}");
    }
}

#[test]
fn scale_and_mask() {
    let x = numbers(F32, 12, 3.0, 14);
    let mask = [0.0, 1.0, 0.0, 1.0, 1.0, 1.0];
    let input = Tensor::new(F32, &[1, 2, 2, 3], &x);
    let masks = Tensor::new(BOOL, &[1, 1, 2, 3], &mask);
    let out = Tensor::empty(F32, &[1, 2, 2, 3]);
    call!(activation.aclnnScaledMaskedSoftmax(input.get(), masks.get(), 0.5, false, out.get()))
        .expect("runs");
    let exact: Vec<f64> = x
        .chunks(6)
        .flat_map(|head| {
            let scores: Vec<f64> =
                head.iter().zip(&mask).map(|(x, mask)| if *mask == 1.0 { -1e4 } else { 0.5 * x }).collect();
            scores.chunks(3).flat_map(probabilities).collect::<Vec<_>>()
        })
        .collect();
    assert_close(&out.values(), &exact, F32, UNITS);
    let refused = call!(activation.aclnnScaledMaskedSoftmax(input.get(), masks.get(), 0.5, true, out.get()));
    assert_refused(refused, 161_002, "fixedTriuMask");
}

#[test]
fn axes_and_types_are_checked() {
    let x = Tensor::empty(F32, &[2, 3]);
    assert_refused(
        call!(activation.aclnnSoftmax(x.get(), 2, x.get())),
        161_002,
        "dim is 2, expected -2 to 1",
    );
    let whole = Tensor::empty(Dtype::INT32, &[2, 3]);
    assert_refused(call!(activation.aclnnSoftmax(whole.get(), 1, whole.get())), 161_002, "dtype of self");
}
