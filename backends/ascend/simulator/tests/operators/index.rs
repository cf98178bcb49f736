//! Taking, gathering, adding and scattering by index.

use crate::device::{
    BF16, Dtype, F16, F32, I32, I64, Scalar, Tensor, assert_faulted, assert_refused, call, numbers, rounded,
};

#[test]
fn rows_of_a_table_are_taken_bit_for_bit() {
    for (dtype, index) in [(F32, I64), (F16, I32), (BF16, I64), (I64, I32), (Dtype::INT8, I32)] {
        let table: Vec<f64> = (0..12).map(|i| f64::from(i) - 3.0).collect();
        let weight = Tensor::new(dtype, &[4, 3], &table);
        let indices = Tensor::new(index, &[2, 2], &[3.0, 0.0, 3.0, 1.0]);
        let out = Tensor::empty(dtype, &[2, 2, 3]);
        call!(index.aclnnEmbedding(weight.get(), indices.get(), out.get())).expect("runs");
        let expected: Vec<f64> = [3, 0, 3, 1].iter().flat_map(|row| table[3 * row..][..3].to_vec()).collect();
        assert_eq!(out.values(), expected);
    }
}

#[test]
fn slices_of_any_axis_of_any_view() {
    let storage: Vec<f64> = (0..24).map(f64::from).collect();
    // [4, 2, 3] with the first axis fastest.
    let x = Tensor::view(F32, &storage, &[4, 2, 3], &[1, 12, 4], 0);
    let indices = Tensor::new(I32, &[2, 1], &[2.0, 0.0]);
    let out = Tensor::empty(F32, &[4, 2, 2, 1]);
    call!(index.aclnnGatherV2(x.get(), 2, indices.get(), out.get())).expect("runs");
    let expected: Vec<f64> = (0..4)
        .flat_map(|i| (0..2).flat_map(move |j| [2, 0].map(|k| f64::from(i + 12 * j + 4 * k))))
        .collect();
    assert_eq!(out.values(), expected);
    let list = Tensor::new(I64, &[3], &[1.0, 1.0, 0.0]);
    let out = Tensor::empty(F32, &[4, 3, 3]);
    call!(index.aclnnIndexSelect(x.get(), -2, list.get(), out.get())).expect("runs");
    let expected: Vec<f64> = (0..4)
        .flat_map(|i| {
            [1, 1, 0].into_iter().flat_map(move |j| [0, 1, 2].map(|k| f64::from(i + 12 * j + 4 * k)))
        })
        .collect();
    assert_eq!(out.values(), expected);
}

#[test]
fn elements_are_gathered_one_by_one() {
    let x = Tensor::new(F32, &[2, 3], &[0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    let index = Tensor::new(I64, &[2, 2], &[2.0, 0.0, 1.0, 1.0]);
    let out = Tensor::empty(F32, &[2, 2]);
    call!(index.aclnnGather(x.get(), 1, index.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [2.0, 0.0, 11.0, 11.0]);
    let index = Tensor::new(I64, &[1, 3], &[1.0, 0.0, 1.0]);
    let out = Tensor::empty(F32, &[1, 3]);
    call!(index.aclnnGather(x.get(), 0, index.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [10.0, 1.0, 12.0]);
    let wide = Tensor::empty(I64, &[3, 3]);
    let out = Tensor::empty(F32, &[3, 3]);
    let refused = call!(index.aclnnGather(x.get(), 1, wide.get(), out.get()));
    assert_refused(refused, 161_002, "index is [3, 3]");
}

#[test]
fn indices_out_of_range_fault_when_they_are_used() {
    let table = Tensor::empty(F32, &[4, 3]);
    let one = Scalar::new(F32, 1.0);
    for wrong in [4.0, -1.0] {
        let index = Tensor::new(I64, &[2], &[0.0, wrong]);
        let rows = Tensor::empty(F32, &[2, 3]);
        let says = format!("index {wrong} at position 1 is outside 0 to 3");
        assert_faulted(call!(index.aclnnEmbedding(table.get(), index.get(), rows.get())), 507_035, &says);
        assert_faulted(call!(index.aclnnGatherV2(table.get(), 0, index.get(), rows.get())), 507_035, &says);
        assert_faulted(
            call!(index.aclnnIndexSelect(table.get(), 0, index.get(), rows.get())),
            507_035,
            &says,
        );
        let added =
            call!(index.aclnnIndexAdd(table.get(), 0, index.get(), rows.get(), one.get(), table.get()));
        assert_faulted(added, 507_035, &says);
    }
    let single = Tensor::empty(F32, &[2]);
    let refused = call!(index.aclnnEmbedding(table.get(), single.get(), single.get()));
    assert_refused(refused, 161_002, "dtype of indices");
}

#[test]
fn duplicates_add_up_in_every_type() {
    for dtype in [F32, F16, BF16, I32] {
        let base = Tensor::new(dtype, &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let index = Tensor::new(I32, &[3], &[2.0, 0.0, 2.0]);
        let source = Tensor::new(dtype, &[3, 2], &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let (alpha, out) = (Scalar::new(I32, 2.0), Tensor::empty(dtype, &[3, 2]));
        call!(index.aclnnIndexAdd(base.get(), 0, index.get(), source.get(), alpha.get(), out.get()))
            .expect("runs");
        assert_eq!(out.values(), [61.0, 82.0, 3.0, 4.0, 125.0, 166.0]);
        // The same tensor as input and output, along the other axis.
        let column = Tensor::new(I32, &[1], &[1.0]);
        let source = Tensor::new(dtype, &[3, 1], &[1.0, 2.0, 3.0]);
        call!(index.aclnnIndexAdd(base.get(), 1, column.get(), source.get(), alpha.get(), base.get()))
            .expect("runs");
        assert_eq!(base.values(), [1.0, 4.0, 3.0, 8.0, 5.0, 12.0]);
    }
}

#[test]
fn half_precision_adds_in_f32_along_axis_0_and_step_by_step_elsewhere() {
    // 2048 + 1 is no f16; four times 1 is lost if every sum is rounded.
    let one = Scalar::new(F32, 1.0);
    let index = Tensor::new(I32, &[4], &[0.0; 4]);
    let source = [1.0; 4];
    let (base, out) = (Tensor::new(F16, &[1, 1], &[2048.0]), Tensor::empty(F16, &[1, 1]));
    let rows = Tensor::new(F16, &[4, 1], &source);
    call!(index.aclnnIndexAdd(base.get(), 0, index.get(), rows.get(), one.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [2052.0]);
    let columns = Tensor::new(F16, &[1, 4], &source);
    call!(index.aclnnIndexAdd(base.get(), 1, index.get(), columns.get(), one.get(), out.get()))
        .expect("runs");
    assert_eq!(out.values(), [2048.0]);
}

#[test]
fn f32_adds_in_ascending_order_unless_it_is_shuffled() {
    let values = numbers(F32, 200, 1e6, 61);
    let index = Tensor::new(I64, &[200], &[0.0; 200]);
    let (base, out) = (Tensor::new(F32, &[1, 1], &[0.0]), Tensor::empty(F32, &[1, 1]));
    let source = Tensor::new(F32, &[200, 1], &values);
    let one = Scalar::new(F32, 1.0);
    call!(index.aclnnIndexAdd(base.get(), 0, index.get(), source.get(), one.get(), out.get())).expect("runs");
    let ascending = values.iter().fold(0.0, |sum, value| rounded(F32, sum + value));
    assert_eq!(out.values(), [ascending]);
}

#[test]
fn elements_are_scattered_one_by_one() {
    let base = Tensor::new(F32, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let index = Tensor::new(I64, &[2, 2], &[0.0, 0.0, 2.0, 1.0]);
    let source = Tensor::new(F32, &[2, 3], &[10.0, 20.0, 99.0, 30.0, 40.0, 99.0]);
    let out = Tensor::empty(F32, &[2, 3]);
    call!(index.aclnnScatterAdd(base.get(), 1, index.get(), source.get(), out.get())).expect("runs");
    assert_eq!(out.values(), [31.0, 2.0, 3.0, 4.0, 45.0, 36.0]);
    call!(index.aclnnScatter(base.get(), 1, index.get(), source.get(), 0, out.get())).expect("runs");
    assert_eq!(out.values(), [20.0, 2.0, 3.0, 4.0, 40.0, 30.0]);
    call!(index.aclnnScatter(base.get(), 1, index.get(), source.get(), 2, out.get())).expect("runs");
    assert_eq!(out.values(), [200.0, 2.0, 3.0, 4.0, 200.0, 180.0]);
    let refused = call!(index.aclnnScatter(base.get(), 1, index.get(), source.get(), 3, out.get()));
    assert_refused(refused, 161_002, "reduce is 3");
}
