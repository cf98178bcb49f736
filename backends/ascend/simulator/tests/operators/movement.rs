//! Moving, filling, counting.

use crate::device::{
    BF16, BOOL, Dtype, F16, F32, I32, I64, Integers, List, Scalar, Tensor, assert_refused, call,
};

fn count(dims: &[i64]) -> Vec<f64> {
    (0..dims.iter().product()).map(|i: i64| i as f64).collect()
}

#[test]
fn axes_are_permuted() {
    for dtype in [F32, F16, I64, BOOL] {
        let values: Vec<f64> =
            count(&[2, 3, 4]).iter().map(|x| if dtype == BOOL { x % 2.0 } else { *x }).collect();
        let (x, out) = (Tensor::new(dtype, &[2, 3, 4], &values), Tensor::empty(dtype, &[4, 2, 3]));
        call!(layout.aclnnPermute(x.get(), Integers::new(&[2, 0, -2]).get(), out.get())).expect("runs");
        let expected: Vec<f64> = (0..24).map(|at| values[at % 6 / 3 * 12 + at % 3 * 4 + at / 6]).collect();
        assert_eq!(out.values(), expected);
    }
    let x = Tensor::empty(F32, &[2, 3]);
    let refused = call!(layout.aclnnPermute(x.get(), Integers::new(&[0, 0]).get(), x.get()));
    assert_refused(refused, 161_002, "an axis twice");
}

#[test]
fn nan_payloads_survive_a_move() {
    // A signalling NaN, which arithmetic would quiet: its bits are moved as an i32.
    let bits = f64::from(0x7fa0_1234);
    let (from, to) = (Tensor::new(I32, &[1, 2], &[bits, 0.0]), Tensor::empty(I32, &[2, 1]));
    call!(layout.aclnnPermute(from.get(), Integers::new(&[1, 0]).get(), to.get())).expect("runs");
    assert_eq!(to.values(), [bits, 0.0]);
}

#[test]
fn copies_convert_and_broadcast_into_any_view() {
    let source = Tensor::new(F32, &[2], &[1.0, 70_000.0]);
    let target = Tensor::view(F16, &[0.0; 8], &[3, 2], &[1, 4], 1);
    call!(layout.aclnnInplaceCopy(target.get(), source.get())).expect("runs");
    assert_eq!(target.values(), [0.0, 1.0, 1.0, 1.0, 0.0, f64::INFINITY, f64::INFINITY, f64::INFINITY]);
    let wide = Tensor::empty(F32, &[3]);
    let refused = call!(layout.aclnnInplaceCopy(target.get(), wide.get()));
    assert_refused(refused, 161_002, "src is [3], which does not broadcast to [3, 2]");
}

#[test]
fn tensors_are_joined_in_a_type_for_all() {
    let parts = vec![
        Tensor::new(F16, &[2, 1], &[1.0, 2.0]),
        Tensor::new(F32, &[2, 2], &[3.0, 4.0, 5.0, 6.0]),
        Tensor::new(F32, &[0], &[]),
    ];
    let list = List::new(parts);
    let out = Tensor::empty(F32, &[2, 3]);
    call!(layout.aclnnCat(list.get(), -1, out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    let out = Tensor::empty(F32, &[2, 4]);
    assert_refused(
        call!(layout.aclnnCat(list.get(), 1, out.get())),
        161_002,
        "out is [2, 4], expected [2, 3]",
    );
    let uneven = List::new(vec![Tensor::empty(F32, &[2, 1]), Tensor::empty(F32, &[3, 1])]);
    assert_refused(call!(layout.aclnnCat(uneven.get(), 1, out.get())), 161_002, "do not fit along axis 1");
}

#[test]
fn axes_are_expanded_and_repeated() {
    let x = Tensor::new(BF16, &[2, 1], &[1.0, 2.0]);
    let out = Tensor::empty(BF16, &[2, 2, 3]);
    call!(layout.aclnnExpand(x.get(), Integers::new(&[2, -1, 3]).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    let out = Tensor::empty(BF16, &[1, 4, 2]);
    call!(layout.aclnnRepeat(x.get(), Integers::new(&[1, 2, 2]).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    let refused = call!(layout.aclnnRepeat(x.get(), Integers::new(&[2]).get(), out.get()));
    assert_refused(refused, 161_002, "repeats is [2]");
}

#[test]
fn parts_are_cut_out() {
    let x = Tensor::new(F32, &[3, 4], &count(&[3, 4]));
    let out = Tensor::empty(F32, &[3, 2]);
    call!(layout.aclnnSlice(x.get(), 1, -3, 100, 2, out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
    let out = Tensor::empty(F32, &[2, 1]);
    let [starts, ends, axes, steps] =
        [&[1, 3], &[3, 4], &[0, -1], &[1, 1]].map(|values| Integers::new(values));
    call!(layout.aclnnSliceV2(x.get(), starts.get(), ends.get(), axes.get(), steps.get(), out.get()))
        .expect("runs");
    assert_eq!(out.values(), [7.0, 11.0]);
    let nothing = Tensor::new(F32, &[3, 0], &[]);
    call!(layout.aclnnSlice(x.get(), 1, 2, 2, 1, nothing.get())).expect("runs");
    assert_refused(call!(layout.aclnnSlice(x.get(), 1, 0, 2, 0, out.get())), 161_002, "step is 0");
}

#[test]
fn constants_fill_any_view() {
    let x = Tensor::view(F16, &[9.0; 6], &[2, 2], &[3, 1], 1);
    call!(layout.aclnnInplaceOne(x.get())).expect("runs");
    assert_eq!(x.values(), [9.0, 1.0, 1.0, 9.0, 1.0, 1.0]);
    call!(layout.aclnnInplaceFillScalar(x.get(), Scalar::new(F32, 0.1).get())).expect("runs");
    assert_eq!(x.values()[1], 0.099_975_585_937_5);
    call!(layout.aclnnInplaceZero(x.get())).expect("runs");
    assert_eq!(x.values(), [9.0, 0.0, 0.0, 9.0, 0.0, 0.0]);
    let whole = Tensor::empty(I32, &[2]);
    let refused = call!(layout.aclnnInplaceFillScalar(whole.get(), Scalar::new(F32, 0.1).get()));
    assert_refused(refused, 161_002, "value is ACL_FLOAT");
}

#[test]
fn sequences_stop_before_their_end() {
    let scalar = |dtype: Dtype, value| Scalar::new(dtype, value);
    let out = Tensor::empty(I64, &[4]);
    let [start, end, step] = [1.0, 8.0, 2.0].map(|value| scalar(I64, value));
    call!(layout.aclnnArange(start.get(), end.get(), step.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 3.0, 5.0, 7.0]);
    let out = Tensor::empty(F32, &[3]);
    let [start, end, step] = [1.0, 0.25, -0.25].map(|value| scalar(F32, value));
    call!(layout.aclnnArange(start.get(), end.get(), step.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [1.0, 0.75, 0.5]);
    let zero = scalar(F32, 0.0);
    let refused = call!(layout.aclnnArange(start.get(), end.get(), zero.get(), out.get()));
    assert_refused(refused, 161_002, "is no sequence");
}
