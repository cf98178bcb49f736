//! Comparisons, logic, masks.

use crate::device::{BOOL, Dtype, F16, F32, I32, I64, Scalar, Tensor, assert_refused, call};

#[test]
fn comparisons_give_truth_values_and_nan_compares_false() {
    let x = Tensor::new(F32, &[4], &[1.0, 2.0, 3.0, f64::NAN]);
    let y = Tensor::new(F32, &[4], &[2.0, 2.0, 2.0, f64::NAN]);
    let out = Tensor::empty(BOOL, &[4]);
    macro_rules! gives {
        ($($op:ident $expected:expr;)*) => {$(
            call!(elementwise.$op(x.get(), y.get(), out.get())).expect("runs");
            assert_eq!(out.values(), $expected.map(f64::from), stringify!($op));
        )*};
    }
    gives! {
        aclnnEqTensor [0, 1, 0, 0];
        aclnnNeTensor [1, 0, 1, 1];
        aclnnLtTensor [1, 0, 0, 0];
        aclnnLeTensor [1, 1, 0, 0];
        aclnnGtTensor [0, 0, 1, 0];
        aclnnGeTensor [0, 1, 1, 0];
    }
}

#[test]
fn large_integers_are_compared_as_integers() {
    let x = Tensor::new(I64, &[1], &[(1i64 << 52) as f64]);
    let y = Tensor::new(I64, &[1], &[(1i64 << 52) as f64 + 1.0]);
    let out = Tensor::empty(BOOL, &[1]);
    call!(elementwise.aclnnEqTensor(x.get(), y.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [0.0]);
}

#[test]
fn a_comparison_may_be_stored_as_a_number() {
    let x = Tensor::new(I32, &[3], &[5.0, 0.0, 5.0]);
    let out = Tensor::empty(F32, &[3]);
    call!(elementwise.aclnnEqScalar(x.get(), Scalar::new(I32, 5.0).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 0.0, 1.0]);
}

#[test]
fn logic_takes_what_is_not_zero_as_true() {
    let x = Tensor::new(F32, &[4], &[0.0, 0.5, 0.0, f64::NAN]);
    let y = Tensor::new(I32, &[4], &[0.0, 0.0, 3.0, 4.0]);
    let out = Tensor::empty(BOOL, &[4]);
    call!(elementwise.aclnnLogicalAnd(x.get(), y.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [0.0, 0.0, 0.0, 1.0]);
    call!(elementwise.aclnnLogicalOr(x.get(), y.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [0.0, 1.0, 1.0, 1.0]);
    call!(elementwise.aclnnLogicalNot(x.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 0.0, 1.0, 0.0]);
}

#[test]
fn a_mask_chooses_between_broadcast_operands() {
    let condition = Tensor::new(BOOL, &[2, 1], &[1.0, 0.0]);
    let yes = Tensor::new(F16, &[3], &[1.0, 2.0, 3.0]);
    let no = Tensor::new(F32, &[1], &[f64::INFINITY]);
    let out = Tensor::empty(F32, &[2, 3]);
    call!(elementwise.aclnnSWhere(condition.get(), yes.get(), no.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 2.0, 3.0, f64::INFINITY, f64::INFINITY, f64::INFINITY]);
    let wrong = Tensor::empty(I32, &[2, 1]);
    let refused = call!(elementwise.aclnnSWhere(wrong.get(), yes.get(), no.get(), out.get()));
    assert_refused(refused, 161_002, "dtype of condition is ACL_INT32");
}

#[test]
fn a_mask_fills_in_place() {
    let x = Tensor::new(F16, &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let mask = Tensor::new(BOOL, &[2], &[0.0, 1.0]);
    let lowest = Scalar::new(F32, f64::NEG_INFINITY);
    call!(elementwise.aclnnInplaceMaskedFillScalar(x.get(), mask.get(), lowest.get())).expect("runs");
    assert_eq!(x.values(), [1.0, f64::NEG_INFINITY, 3.0, f64::NEG_INFINITY]);
    let bytes = Tensor::empty(Dtype::UINT8, &[2]);
    let refused = call!(elementwise.aclnnInplaceMaskedFillScalar(x.get(), bytes.get(), lowest.get()));
    assert_refused(refused, 161_002, "dtype of mask is ACL_UINT8");
}
