//! Reductions.

use crate::device::{
    BF16, F16, F32, F64, I32, I64, Integers, Tensor, assert_close, assert_refused, call, numbers,
};

#[test]
fn sums_over_any_axes() {
    let x = numbers(F32, 60, 4.0, 31);
    let input = Tensor::new(F32, &[3, 4, 5], &x);
    let (out, axes) = (Tensor::empty(F32, &[4]), Integers::new(&[-1, 0]));
    call!(normalization.aclnnReduceSum(input.get(), axes.get(), false, F32, out.get())).expect("runs");
    let exact: Vec<f64> = (0..4)
        .map(|j| (0..3).flat_map(|i| (0..5).map(move |k| (i, k))).map(|(i, k)| x[20 * i + 5 * j + k]).sum())
        .collect();
    for (got, exact) in out.values().iter().zip(&exact) {
        // At most 15 additions of numbers up to 4, whose sums stay below 64.
        assert!((got - exact).abs() <= 15.0 * 0.5 * 64.0 * 2f64.powi(-24) * 2.0, "{got} {exact}");
    }
    let kept = Tensor::empty(F32, &[1, 4, 1]);
    call!(normalization.aclnnReduceSum(input.get(), axes.get(), true, F32, kept.get())).expect("runs");
    assert_eq!(kept.values(), out.values());
}

#[test]
fn no_axes_mean_all_of_them_and_nothing_sums_to_zero() {
    let input = Tensor::new(F16, &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let (out, all) = (Tensor::empty(F32, &[]), Integers::new(&[]));
    call!(normalization.aclnnReduceSum(input.get(), all.get(), false, F32, out.get())).expect("runs");
    assert_eq!(out.values(), [10.0]);
    let (nothing, sums) = (Tensor::new(F32, &[2, 0], &[]), Tensor::empty(F32, &[2]));
    let last = Integers::new(&[1]);
    call!(normalization.aclnnReduceSum(nothing.get(), last.get(), false, F32, sums.get())).expect("runs");
    assert_eq!(sums.values(), [0.0, 0.0]);
    call!(normalization.aclnnMean(nothing.get(), last.get(), false, F32, sums.get())).expect("runs");
    assert!(sums.values().iter().all(|mean| mean.is_nan()));
}

#[test]
fn half_precision_is_summed_in_f32() {
    // In f16 the sum would stay at 2048.
    let ones = vec![1.0; 4096];
    let (input, out) = (Tensor::new(F16, &[4096], &ones), Tensor::empty(F16, &[]));
    let all = Integers::new(&[0]);
    call!(normalization.aclnnReduceSum(input.get(), all.get(), false, F16, out.get())).expect("runs");
    assert_eq!(out.values(), [4096.0]);
    call!(normalization.aclnnMean(input.get(), all.get(), false, F16, out.get())).expect("runs");
    assert_eq!(out.values(), [1.0]);
}

#[test]
fn integers_are_summed_as_integers_or_in_the_type_that_is_asked_for() {
    let x = Tensor::new(I32, &[3], &[1.0, 2.0, 3.0]);
    let all = Integers::new(&[0]);
    let (whole, real) = (Tensor::empty(I64, &[]), Tensor::empty(F32, &[]));
    call!(normalization.aclnnReduceSum(x.get(), all.get(), false, I64, whole.get())).expect("runs");
    assert_eq!(whole.values(), [6.0]);
    call!(normalization.aclnnMean(x.get(), all.get(), false, F32, real.get())).expect("runs");
    assert_eq!(real.values(), [2.0]);
    let refused = call!(normalization.aclnnMean(x.get(), all.get(), false, I64, whole.get()));
    assert_refused(refused, 161_002, "dtype of out");
}

#[test]
fn variance_is_biased_or_not() {
    let x = [1.0, 2.0, 3.0, 6.0];
    for (is_unbiased, expected) in [(false, 3.5), (true, 14.0 / 3.0)] {
        for dtype in [F32, F16, BF16] {
            let (input, out) = (Tensor::new(dtype, &[1, 4], &x), Tensor::empty(dtype, &[1]));
            let axis = Integers::new(&[1]);
            call!(normalization.aclnnVar(input.get(), axis.get(), is_unbiased, false, out.get()))
                .expect("runs");
            assert_close(&out.values(), &[expected], dtype, 1.0);
        }
    }
    let (one, out) = (Tensor::new(F32, &[1], &[5.0]), Tensor::empty(F32, &[]));
    call!(normalization.aclnnVar(one.get(), core::ptr::null(), true, false, out.get())).expect("runs");
    assert!(out.values()[0].is_nan());
}

#[test]
fn extremes_pass_nan_on_and_need_an_element() {
    let x = Tensor::new(F32, &[2, 3], &[1.0, 5.0, -2.0, 4.0, f64::NAN, 0.0]);
    let (out, last) = (Tensor::empty(F32, &[2]), Integers::new(&[1]));
    call!(layout.aclnnAmax(x.get(), last.get(), false, out.get())).expect("runs");
    assert_close(&out.values(), &[5.0, f64::NAN], F32, 0.0);
    call!(layout.aclnnAmin(x.get(), last.get(), false, out.get())).expect("runs");
    assert_close(&out.values(), &[-2.0, f64::NAN], F32, 0.0);
    let (whole, most) = (Tensor::new(I32, &[2, 2], &[3.0, 9.0, -1.0, 7.0]), Tensor::empty(I32, &[]));
    call!(layout.aclnnMax(whole.get(), most.get())).expect("runs");
    assert_eq!(most.values(), [9.0]);
    let (nothing, out) = (Tensor::new(F32, &[2, 0], &[]), Tensor::empty(F32, &[2]));
    let refused = call!(layout.aclnnAmax(nothing.get(), last.get(), false, out.get()));
    assert_refused(refused, 161_002, "no element");
    let refused = call!(layout.aclnnAmax(x.get(), Integers::new(&[1, -1]).get(), false, out.get()));
    assert_refused(refused, 161_002, "an axis twice");
}

#[test]
fn the_first_of_the_largest_is_found() {
    let x = Tensor::new(F64, &[3, 3], &[1.0, 7.0, 7.0, f64::NAN, 9.0, f64::NAN, -3.0, -2.0, -1.0]);
    for dtype in [I32, I64] {
        let out = Tensor::empty(dtype, &[3, 1]);
        call!(layout.aclnnArgMax(x.get(), 1, true, out.get())).expect("runs");
        assert_eq!(out.values(), [1.0, 0.0, 2.0]);
    }
    let out = Tensor::empty(F32, &[3]);
    assert_refused(call!(layout.aclnnArgMax(x.get(), 1, false, out.get())), 161_002, "dtype of out");
}
