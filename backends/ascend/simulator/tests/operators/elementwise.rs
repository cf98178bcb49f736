//! Arithmetic: values, views, promotion, refusals.

use crate::device::{
    BF16, BOOL, Dtype, F16, F32, F64, I32, I64, Scalar, Tensor, assert_close, assert_refused, call, numbers,
    rounded,
};

const FLOATS: [Dtype; 3] = [F32, F16, BF16];

#[test]
fn sums_are_rounded_once() {
    for dtype in FLOATS {
        let (x, y) = (numbers(dtype, 5000, 4.0, 1), numbers(dtype, 5000, 4.0, 2));
        let [a, b] = [&x, &y].map(|values| Tensor::new(dtype, &[50, 100], values));
        let out = Tensor::empty(dtype, &[50, 100]);
        let alpha = Scalar::new(F32, 0.25);
        call!(elementwise.aclnnAdd(a.get(), b.get(), alpha.get(), out.get())).expect("runs");
        let exact: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + 0.25 * y).collect();
        assert_close(&out.values(), &exact, dtype, 1.0);
    }
}

#[test]
fn operands_broadcast_and_may_lie_anywhere() {
    let storage: Vec<f64> = (0..24).map(f64::from).collect();
    // [3, 4], transposed, from element 2 on; and a column.
    let a = Tensor::view(F32, &storage, &[3, 4], &[1, 5], 2);
    let b = Tensor::new(F32, &[3, 1], &[100.0, 200.0, 300.0]);
    let out = Tensor::view(F32, &[-1.0; 20], &[3, 4], &[1, 4], 3);
    call!(elementwise.aclnnMul(a.get(), b.get(), out.get())).expect("runs");
    let mut expected = vec![-1.0; 20];
    for row in 0..3 {
        for column in 0..4 {
            expected[3 + row + 4 * column] = (2 + row + 5 * column) as f64 * 100.0 * (row + 1) as f64;
        }
    }
    assert_eq!(out.values(), expected);
}

#[test]
fn nothing_is_computed_for_empty_tensors() {
    let (a, out) = (Tensor::new(F32, &[0, 3], &[]), Tensor::new(F32, &[0, 3], &[]));
    call!(elementwise.aclnnExp(a.get(), out.get())).expect("runs");
}

#[test]
fn f16_meets_bf16_in_f32_and_integers_in_f16() {
    let half = Tensor::new(F16, &[2], &[1.5, 3.0]);
    let brain = Tensor::new(BF16, &[2], &[256.0, 0.5]);
    let one = Scalar::new(F32, 1.0);
    let out = Tensor::empty(F32, &[2]);
    call!(elementwise.aclnnAdd(half.get(), brain.get(), one.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [257.5, 3.5]);
    // 4097 is no f16: it becomes 4096 before it is added.
    let integers = Tensor::new(I32, &[2], &[4097.0, 2.0]);
    call!(elementwise.aclnnAdd(half.get(), integers.get(), one.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [rounded(F16, 4096.0 + 1.5), 5.0]);
}

#[test]
fn integers_wrap_and_keep_their_digits() {
    let x = Tensor::new(I32, &[2], &[f64::from(i32::MAX), 7.0]);
    let out = Tensor::empty(I32, &[2]);
    let one = Scalar::new(I32, 1.0);
    call!(elementwise.aclnnAdds(x.get(), one.get(), one.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [f64::from(i32::MIN), 8.0]);
    let (x, out) = (Tensor::new(I64, &[1], &[(1i64 << 52) as f64 + 1.0]), Tensor::empty(I64, &[1]));
    call!(elementwise.aclnnMuls(x.get(), Scalar::new(I64, 1.0).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [(1i64 << 52) as f64 + 1.0]);
}

#[test]
fn in_place_operators_write_their_operand() {
    let x = Tensor::new(F32, &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let row = Tensor::new(F32, &[2], &[10.0, 20.0]);
    let two = Scalar::new(F32, 2.0);
    call!(elementwise.aclnnInplaceAdd(x.get(), row.get(), two.get())).expect("runs");
    assert_eq!(x.values(), [21.0, 42.0, 23.0, 44.0]);
    call!(elementwise.aclnnInplaceMuls(x.get(), two.get())).expect("runs");
    call!(elementwise.aclnnInplaceMul(x.get(), row.get())).expect("runs");
    call!(elementwise.aclnnInplaceAdds(x.get(), two.get(), two.get())).expect("runs");
    call!(elementwise.aclnnInplaceDivs(x.get(), two.get())).expect("runs");
    assert_eq!(x.values(), [212.0, 842.0, 232.0, 882.0]);
    let wide = Tensor::empty(F32, &[3, 2, 2]);
    assert_refused(
        call!(elementwise.aclnnInplaceMul(x.get(), wide.get())),
        161_002,
        "selfRef is [2, 2], too small",
    );
}

#[test]
fn quotients_of_integers_are_f32() {
    let (x, y) = (Tensor::new(I32, &[3], &[7.0, -7.0, 1.0]), Tensor::new(I32, &[3], &[2.0, 2.0, 0.0]));
    let out = Tensor::empty(F32, &[3]);
    call!(elementwise.aclnnDiv(x.get(), y.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [3.5, -3.5, f64::INFINITY]);
    call!(elementwise.aclnnDivMod(x.get(), y.get(), 0, out.get())).expect("runs");
    let refused = call!(elementwise.aclnnDivMod(x.get(), y.get(), 1, out.get()));
    assert_refused(refused, 161_002, "mode is 1");
    let whole = Tensor::empty(I32, &[3]);
    assert_refused(call!(elementwise.aclnnDiv(x.get(), y.get(), whole.get())), 161_002, "dtype of out");
}

#[test]
fn differences_and_scalars() {
    let x = Tensor::new(F16, &[3], &[1.0, 2.0, f64::NAN]);
    let out = Tensor::empty(F16, &[3]);
    let (third, two) = (Scalar::new(F64, 1.0 / 3.0), Scalar::new(F32, 2.0));
    call!(elementwise.aclnnSubs(x.get(), third.get(), two.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[1.0 / 3.0, 4.0 / 3.0, f64::NAN], F16, 2.0);
    call!(elementwise.aclnnDivs(x.get(), third.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[3.0, 6.0, f64::NAN], F16, 2.0);
    let y = Tensor::new(F16, &[3], &[0.5, 4.0, 1.0]);
    call!(elementwise.aclnnSub(x.get(), y.get(), two.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[0.0, -6.0, f64::NAN], F16, 0.0);
}

#[test]
fn functions_of_one_operand_are_those_of_float64() {
    let x: Vec<f64> =
        numbers(F32, 3000, 8.0, 3).into_iter().chain([0.0, -0.0, f64::INFINITY, f64::NAN]).collect();
    macro_rules! holds {
        ($($op:ident = $exact:expr, $units:literal;)*) => {$({
            let exact: fn(f64) -> f64 = $exact;
            for dtype in FLOATS {
                let x: Vec<f64> = x.iter().map(|x| rounded(dtype, *x)).collect();
                // Strided on both sides: every second element.
                let spread = |values: &[f64]| values.iter().flat_map(|value| [*value, 5.0]).collect::<Vec<_>>();
                let input = Tensor::view(dtype, &spread(&x), &[x.len() as i64], &[2], 0);
                let out = Tensor::view(dtype, &spread(&x), &[x.len() as i64], &[2], 1);
                call!(elementwise.$op(input.get(), out.get())).expect("runs");
                let got: Vec<f64> = out.values().into_iter().skip(1).step_by(2).collect();
                let exact: Vec<f64> = x.iter().map(|x| exact(*x)).collect();
                assert_close(&got, &exact, dtype, $units);
            }
        })*};
    }
    // Units of f32: what the elementary functions promise, one rounding for each operation after them, and half a
    // unit more where the two are measured against different powers of two.
    holds! {
        aclnnExp = f64::exp, 1.1;
        aclnnLog = f64::ln, 1.0;
        aclnnSqrt = f64::sqrt, 0.5;
        aclnnRsqrt = |x| 1.0 / x.sqrt(), 1.5;
        aclnnReciprocal = |x| 1.0 / x, 0.5;
        aclnnNeg = |x| -x, 0.0;
        aclnnAbs = f64::abs, 0.0;
    }
}

#[test]
fn functions_of_integers_are_f32_unless_they_stay_whole() {
    let x = Tensor::new(I32, &[3], &[0.0, 1.0, -4.0]);
    let out = Tensor::empty(F32, &[3]);
    call!(elementwise.aclnnExp(x.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[1.0, 1f64.exp(), (-4f64).exp()], F32, 1.1);
    let whole = Tensor::empty(I32, &[3]);
    call!(elementwise.aclnnAbs(x.get(), whole.get())).expect("runs");
    assert_eq!(whole.values(), [0.0, 1.0, 4.0]);
    assert_refused(call!(elementwise.aclnnExp(x.get(), whole.get())), 161_002, "dtype of out is ACL_INT32");
}

#[test]
fn powers() {
    let x = Tensor::new(F32, &[4], &[3.0, -3.0, 0.25, 1e20]);
    let out = Tensor::empty(F32, &[4]);
    call!(elementwise.aclnnPowTensorScalar(x.get(), Scalar::new(F32, 2.0).get(), out.get())).expect("runs");
    assert_close(&out.values(), &[9.0, 9.0, 0.0625, f64::INFINITY], F32, 0.5);
    let exponents = Tensor::new(F32, &[4], &[0.5, 3.0, -1.5, 1.5]);
    call!(elementwise.aclnnPowTensorTensor(x.get(), exponents.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[3f64.sqrt(), -27.0, 8.0, 1e30], F32, 1.0);
}

#[test]
fn larger_and_smaller_pass_nan_on() {
    let (x, y) =
        (Tensor::new(F32, &[3], &[1.0, f64::NAN, 3.0]), Tensor::new(F32, &[3], &[2.0, 0.0, f64::NAN]));
    let out = Tensor::empty(F32, &[3]);
    call!(elementwise.aclnnMaximum(x.get(), y.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[2.0, f64::NAN, f64::NAN], F32, 0.0);
    call!(elementwise.aclnnMinimum(x.get(), y.get(), out.get())).expect("runs");
    assert_close(&out.values(), &[1.0, f64::NAN, f64::NAN], F32, 0.0);
}

#[test]
fn what_the_device_refuses_is_refused_by_name() {
    let x = Tensor::empty(F32, &[2, 3]);
    let one = Scalar::new(F32, 1.0);
    let unsigned = Tensor::empty(Dtype::UINT16, &[2, 3]);
    let refused = call!(elementwise.aclnnAdd(x.get(), unsigned.get(), one.get(), x.get()));
    assert_refused(refused, 161_002, "dtype of other is ACL_UINT16");
    let tall = Tensor::empty(F32, &[3, 2]);
    let refused = call!(elementwise.aclnnAdd(x.get(), tall.get(), one.get(), x.get()));
    assert_refused(refused, 161_002, "self [2, 3] and other [3, 2] do not broadcast");
    assert_refused(call!(elementwise.aclnnMul(x.get(), x.get(), tall.get())), 161_002, "out is [3, 2]");
    let nothing = core::ptr::null();
    assert_refused(call!(elementwise.aclnnMul(nothing, x.get(), x.get())), 161_001, "self is NULL");
    let refused = call!(elementwise.aclnnAdd(x.get(), x.get(), core::ptr::null(), x.get()));
    assert_refused(refused, 161_001, "alpha is NULL");
    let integers = Tensor::empty(I32, &[2, 3]);
    let refused = call!(elementwise.aclnnAdd(integers.get(), integers.get(), one.get(), integers.get()));
    assert_refused(refused, 161_002, "alpha is ACL_FLOAT");
    let truth = Tensor::empty(BOOL, &[2, 3]);
    assert_refused(
        call!(elementwise.aclnnNeg(truth.get(), truth.get())),
        161_002,
        "dtype of self is ACL_BOOL",
    );
}

#[test]
fn casts_round_half_to_even_or_truncate() {
    let cast = |from: Dtype, to: Dtype, values: &[f64]| {
        let dims = [values.len() as i64];
        let (x, out) = (Tensor::new(from, &dims, values), Tensor::empty(to, &dims));
        call!(elementwise.aclnnCast(x.get(), to, out.get())).expect("runs");
        out.values()
    };
    assert_eq!(cast(F32, F16, &[2049.0, 2051.0, 65519.0, 65520.0]), [2048.0, 2052.0, 65504.0, f64::INFINITY]);
    assert_eq!(cast(F32, F16, &[2f64.powi(-24), 2f64.powi(-25)]), [2f64.powi(-24), 0.0]);
    assert_eq!(cast(F32, I32, &[1.9, -1.9, 3e9, f64::NAN]), [1.0, -1.0, f64::from(i32::MAX), 0.0]);
    assert_eq!(cast(I64, F32, &[16_777_217.0, -5.0]), [16_777_216.0, -5.0]);
    assert_eq!(cast(F32, BOOL, &[0.0, 0.1, f64::NAN]), [0.0, 1.0, 1.0]);
    assert_eq!(cast(I32, Dtype::INT8, &[300.0, -1.0]), [44.0, -1.0]);
    assert_eq!(cast(F64, BF16, &[1.0 + 2f64.powi(-8) + 2f64.powi(-40)]), [1.0 + 2f64.powi(-7)]);
    let x = Tensor::empty(F32, &[2]);
    let refused = call!(elementwise.aclnnCast(x.get(), F16, x.get()));
    assert_refused(refused, 161_002, "dtype of out is ACL_FLOAT, expected ACL_FLOAT16");
}
