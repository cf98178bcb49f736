//! Matrix products.

use crate::device::{BF16, Dtype, F16, F32, F64, Scalar, Tensor, assert_refused, call, numbers, rounded};
use lockstep_ascend_abi::aclFormat;

/// `[m, k] x [k, n]` in f64.
fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let element = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum();
    (0..m * n).map(|at| element(at / n, at % n)).collect()
}

/// Sums of `terms` products, each of magnitude up to `magnitude` in all: gamma of that many f32 roundings, and the
/// rounding to `dtype`.
fn assert_sums(got: &[f64], exact: &[f64], dtype: Dtype, terms: usize, magnitude: f64) {
    assert_eq!(got.len(), exact.len());
    let unit = f64::from(f32::EPSILON) / 2.0;
    let digits = if dtype == F16 {
        11
    } else if dtype == BF16 {
        8
    } else {
        24
    };
    for (index, (got, exact)) in got.iter().zip(exact).enumerate() {
        let bound = terms as f64 * unit * magnitude + exact.abs() * 2f64.powi(-digits);
        assert!((got - exact).abs() <= bound, "[{index}]: {got}, expected {exact} +- {bound}");
    }
}

#[test]
fn products_are_summed_in_f32_and_rounded_once() {
    for dtype in [F32, F16, BF16] {
        for (m, k, n) in [(1, 1, 1), (3, 300, 5), (17, 33, 65), (2, 0, 3)] {
            let (x, y) = (numbers(dtype, m * k, 1.0, 41), numbers(dtype, k * n, 1.0, 42));
            let [m_, k_, n_] = [m, k, n].map(|extent| extent as i64);
            let (a, b) = (Tensor::new(dtype, &[m_, k_], &x), Tensor::new(dtype, &[k_, n_], &y));
            let out = Tensor::empty(dtype, &[m_, n_]);
            call!(matmul.aclnnMm(a.get(), b.get(), out.get(), 0)).expect("runs");
            assert_sums(&out.values(), &product(&x, &y, m, k, n), dtype, k + 1, k as f64);
        }
    }
}

#[test]
fn a_large_product_is_shared_by_threads_without_changing_a_bit() {
    let (m, k, n) = (260, 256, 270);
    let (x, y) = (numbers(F32, m * k, 1.0, 43), numbers(F32, k * n, 1.0, 44));
    let [m_, k_, n_] = [m, k, n].map(|extent| extent as i64);
    let (a, b) = (Tensor::new(F32, &[m_, k_], &x), Tensor::new(F32, &[k_, n_], &y));
    let (out, row) = (Tensor::empty(F32, &[m_, n_]), Tensor::empty(F32, &[1, n_]));
    call!(matmul.aclnnMm(a.get(), b.get(), out.get(), 0)).expect("runs");
    assert_sums(&out.values(), &product(&x, &y, m, k, n), F32, k + 1, k as f64);
    let first = Tensor::new(F32, &[1, k_], &x[..k]);
    call!(matmul.aclnnMm(first.get(), b.get(), row.get(), 0)).expect("runs");
    assert_eq!(row.values(), out.values()[..n]);
}

#[test]
fn transposed_views_and_broadcast_batches() {
    let (x, y) = (numbers(F32, 2 * 3 * 4, 1.0, 45), numbers(F32, 5 * 4, 1.0, 46));
    let a = Tensor::new(F32, &[2, 3, 4], &x);
    // [5, 4] seen as [4, 5].
    let b = Tensor::view(F32, &y, &[4, 5], &[1, 4], 0);
    let out = Tensor::empty(F32, &[2, 3, 5]);
    call!(matmul.aclnnMatmul(a.get(), b.get(), out.get(), 0)).expect("runs");
    let transposed: Vec<f64> = (0..20).map(|at| y[at % 5 * 4 + at / 5]).collect();
    assert_sums(&out.values(), &product(&x, &transposed, 6, 4, 5), F32, 5, 4.0);
    // One matrix on the left for two on the right.
    let (left, z) = (Tensor::new(F32, &[1, 3, 4], &x[..12]), numbers(F32, 2 * 4 * 5, 1.0, 47));
    let right = Tensor::new(F32, &[2, 4, 5], &z);
    call!(matmul.aclnnBatchMatMul(left.get(), right.get(), out.get(), 0)).expect("runs");
    let exact = [product(&x[..12], &z[..20], 3, 4, 5), product(&x[..12], &z[20..], 3, 4, 5)].concat();
    assert_sums(&out.values(), &exact, F32, 5, 4.0);
}

#[test]
fn vectors_lose_their_axis() {
    let (x, y) = (numbers(F32, 6, 1.0, 48), numbers(F32, 3, 1.0, 49));
    let matrix = Tensor::new(F32, &[2, 3], &x);
    let vector = Tensor::new(F32, &[3], &y);
    let out = Tensor::empty(F32, &[2]);
    call!(matmul.aclnnMatmul(matrix.get(), vector.get(), out.get(), 0)).expect("runs");
    assert_sums(&out.values(), &product(&x, &y, 2, 3, 1), F32, 4, 3.0);
    let dot = Tensor::empty(F32, &[]);
    call!(matmul.aclnnMatmul(vector.get(), vector.get(), dot.get(), 0)).expect("runs");
    assert_sums(&dot.values(), &product(&y, &y, 1, 3, 1), F32, 4, 3.0);
    let batch = Tensor::new(F32, &[2, 3, 1], &x);
    let rows = Tensor::empty(F32, &[2, 1]);
    call!(matmul.aclnnMatmul(vector.get(), batch.get(), rows.get(), 0)).expect("runs");
    let exact = [product(&y, &x[..3], 1, 3, 1), product(&y, &x[3..], 1, 3, 1)].concat();
    assert_sums(&rows.values(), &exact, F32, 4, 3.0);
}

#[test]
fn a_nan_reaches_its_row_and_column_only() {
    let mut x = vec![1.0; 6];
    x[1] = f64::NAN;
    let (a, b) = (Tensor::new(F32, &[2, 3], &x), Tensor::new(F32, &[3, 2], &[1.0; 6]));
    let out = Tensor::empty(F32, &[2, 2]);
    call!(matmul.aclnnMm(a.get(), b.get(), out.get(), 0)).expect("runs");
    assert_eq!(out.values().iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [true, true, false, false]);
}

#[test]
fn the_cube_math_type_rounds_f32_operands() {
    let x = 1.0 + 2f64.powi(-12) + 2f64.powi(-16);
    let (a, b) = (Tensor::new(F32, &[1, 1], &[x]), Tensor::new(F32, &[1, 1], &[1.0]));
    let out = Tensor::empty(F32, &[1, 1]);
    let with = |cube_math_type| {
        call!(matmul.aclnnMm(a.get(), b.get(), out.get(), cube_math_type)).expect("runs");
        out.values()[0]
    };
    assert_eq!(with(0), x);
    // HF32 has 11 fraction bits, f16 10.
    assert_eq!([with(1), with(3)], [1.0 + 2f64.powi(-11); 2]);
    assert_eq!(with(2), 1.0);
    assert_eq!(with(4), x);
    for wrong in [-1, 5] {
        let refused = call!(matmul.aclnnMm(a.get(), b.get(), out.get(), wrong));
        assert_refused(refused, 161_002, &format!("cubeMathType is {wrong}"));
    }
}

#[test]
fn sums_with_an_addend_are_rounded_once() {
    let (x, y, z) = (numbers(F16, 6, 2.0, 51), numbers(F16, 12, 2.0, 52), numbers(F16, 4, 2.0, 53));
    let (a, b) = (Tensor::new(F16, &[2, 3], &x), Tensor::new(F16, &[3, 4], &y));
    let (bias, out) = (Tensor::new(F16, &[4], &z), Tensor::empty(F16, &[2, 4]));
    let (alpha, beta) = (Scalar::new(F32, 0.5), Scalar::new(F32, -2.0));
    call!(matmul.aclnnAddmm(bias.get(), a.get(), b.get(), beta.get(), alpha.get(), out.get(), 0))
        .expect("runs");
    let exact: Vec<f64> =
        product(&x, &y, 2, 3, 4).iter().enumerate().map(|(at, sum)| 0.5 * sum - 2.0 * z[at % 4]).collect();
    assert_sums(&out.values(), &exact, F16, 6, 16.0);

    let total = Tensor::new(F16, &[2, 4], &[1.0; 8]);
    call!(matmul.aclnnInplaceAddmm(total.get(), a.get(), b.get(), beta.get(), alpha.get(), 0)).expect("runs");
    let exact: Vec<f64> = product(&x, &y, 2, 3, 4).iter().map(|sum| 0.5 * sum - 2.0).collect();
    assert_sums(&total.values(), &exact, F16, 6, 16.0);
}

#[test]
fn batches_with_an_addend_and_transposed_operands() {
    let (x, y) = (numbers(F32, 12, 2.0, 54), numbers(F32, 24, 2.0, 55));
    let (a, b) = (Tensor::new(F32, &[2, 2, 3], &x), Tensor::new(F32, &[2, 3, 4], &y));
    let (addend, out) = (Tensor::new(F32, &[1, 2, 1], &[10.0, 20.0]), Tensor::empty(F32, &[2, 2, 4]));
    let one = Scalar::new(F32, 1.0);
    call!(matmul.aclnnBaddbmm(addend.get(), a.get(), b.get(), one.get(), one.get(), out.get(), 0))
        .expect("runs");
    let exact: Vec<f64> = [product(&x[..6], &y[..12], 2, 3, 4), product(&x[6..], &y[12..], 2, 3, 4)]
        .concat()
        .iter()
        .enumerate()
        .map(|(at, sum)| sum + 10.0 * (1 + at / 4 % 2) as f64)
        .collect();
    assert_sums(&out.values(), &exact, F32, 5, 32.0);

    // A and B are stored transposed: [3, 2] and [4, 3].
    let (a, b) = (Tensor::new(F32, &[3, 2], &x[..6]), Tensor::new(F32, &[4, 3], &y[..12]));
    let (c, out) = (Tensor::new(F32, &[2, 4], &[1.0; 8]), Tensor::empty(F32, &[2, 4]));
    call!(matmul.aclnnGemm(a.get(), b.get(), c.get(), 2.0, 3.0, 1, 1, out.get(), 0)).expect("runs");
    let a: Vec<f64> = (0..6).map(|at| x[at % 3 * 2 + at / 3]).collect();
    let b: Vec<f64> = (0..12).map(|at| y[at % 4 * 3 + at / 4]).collect();
    let exact: Vec<f64> = product(&a, &b, 2, 3, 4).iter().map(|sum| 2.0 * sum + 3.0).collect();
    assert_sums(&out.values(), &exact, F32, 6, 32.0);
}

#[test]
fn an_addend_times_zero_is_not_read() {
    let (a, b) = (Tensor::new(F32, &[1, 1], &[2.0]), Tensor::new(F32, &[1, 1], &[3.0]));
    let (addend, out) = (Tensor::new(F32, &[1, 1], &[f64::NAN]), Tensor::empty(F32, &[1, 1]));
    let (one, zero) = (Scalar::new(F32, 1.0), Scalar::new(F32, 0.0));
    call!(matmul.aclnnAddmm(addend.get(), a.get(), b.get(), zero.get(), one.get(), out.get(), 0))
        .expect("runs");
    assert_eq!(out.values(), [6.0]);
}

#[test]
fn a_weight_may_be_in_the_private_format_and_nothing_else() {
    let (x, y) = (numbers(F16, 6, 1.0, 56), numbers(F16, 12, 1.0, 57));
    let a = Tensor::new(F16, &[2, 3], &x);
    let weight = Tensor::in_format(F16, &y, &[3, 4], &[4, 1], 0, aclFormat::FRACTAL_NZ);
    let out = Tensor::empty(F16, &[2, 4]);
    call!(matmul.aclnnTransMatmulWeight(weight.get())).expect("runs");
    call!(matmul.aclnnMatmul(a.get(), weight.get(), out.get(), 0)).expect("runs");
    assert_sums(&out.values(), &product(&x, &y, 2, 3, 4), F16, 4, 3.0);
    let private = Tensor::in_format(F16, &x, &[2, 3], &[3, 1], 0, aclFormat::FRACTAL_NZ);
    let refused = call!(matmul.aclnnMatmul(private.get(), weight.get(), out.get(), 0));
    assert_refused(refused, 161_002, "format of self is ACL_FORMAT_FRACTAL_NZ");
    let private = Tensor::in_format(F16, &[0.0; 8], &[2, 4], &[4, 1], 0, aclFormat::FRACTAL_NZ);
    let refused = call!(matmul.aclnnMatmul(a.get(), weight.get(), private.get(), 0));
    assert_refused(refused, 161_002, "format of out is ACL_FORMAT_FRACTAL_NZ");
}

#[test]
fn types_and_shapes_that_do_not_fit_are_refused() {
    let tensor = |dtype, dims: &[i64]| Tensor::empty(dtype, dims);
    let (single, brain, double) = (tensor(F32, &[2, 2]), tensor(BF16, &[2, 2]), tensor(F64, &[2, 2]));
    let refused = call!(matmul.aclnnMm(brain.get(), single.get(), single.get(), 0));
    assert_refused(refused, 161_002, "ACL_BF16 is multiplied by ACL_BF16 only");
    let refused = call!(matmul.aclnnMm(double.get(), double.get(), double.get(), 0));
    assert_refused(refused, 161_002, "dtype of self is ACL_DOUBLE");
    let refused = call!(matmul.aclnnMm(brain.get(), brain.get(), brain.get(), 2));
    assert_refused(refused, 161_002, "cubeMathType is 2");
    let tall = tensor(F32, &[3, 2]);
    let refused = call!(matmul.aclnnMm(single.get(), tall.get(), single.get(), 0));
    assert_refused(refused, 161_002, "2 columns and 3 rows");
    let refused = call!(matmul.aclnnBatchMatMul(single.get(), single.get(), single.get(), 0));
    assert_refused(refused, 161_002, "self is [2, 2], expected 3 axes");
    let refused = call!(matmul.aclnnMm(single.get(), single.get(), tall.get(), 0));
    assert_refused(refused, 161_002, "out is [3, 2], expected [2, 2]");
}

#[test]
fn f16_and_f32_meet_in_f32() {
    let x = rounded(F32, 1.0 + 2f64.powi(-20));
    let (a, b) = (Tensor::new(F16, &[1, 1], &[2.0]), Tensor::new(F32, &[1, 1], &[x]));
    let out = Tensor::empty(F32, &[1, 1]);
    call!(matmul.aclnnMm(a.get(), b.get(), out.get(), 0)).expect("runs");
    assert_eq!(out.values(), [2.0 * x]);
}
