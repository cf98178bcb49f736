//! Each primitive against values known by hand or by identity.

mod program;

use lockstep_hal::graph::{BinaryOp, CompareOp, Op, ReduceOp, UnaryOp};
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{Backend, Device, Result};
use lockstep_reference::ReferenceBackend;
use program::{Random, apply, assert_close, dims, floats, integers, truths};
use std::sync::Arc;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn device() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).unwrap()
}

fn result(op: Op, inputs: &[HostTensor]) -> Result<HostTensor> {
    apply(&device(), op, inputs)
}

fn values(op: Op, inputs: &[HostTensor]) -> Vec<f64> {
    result(op, inputs).unwrap().to_f64()
}

#[test]
fn unary_functions_have_their_known_values() {
    let known: [(UnaryOp, &[f64], &[f64]); 10] = [
        (UnaryOp::Neg, &[1.5, -0.0, NAN], &[-1.5, 0.0, NAN]),
        (UnaryOp::Abs, &[-1.5, -INF, NAN], &[1.5, INF, NAN]),
        (UnaryOp::Exp, &[0.0, 1.0, -INF, 1000.0], &[1.0, std::f64::consts::E, 0.0, INF]),
        (UnaryOp::Log, &[1.0, std::f64::consts::E, 0.0, -1.0], &[0.0, 1.0, -INF, NAN]),
        (UnaryOp::Sqrt, &[2.0, 0.0, -1.0], &[std::f64::consts::SQRT_2, 0.0, NAN]),
        (UnaryOp::Reciprocal, &[4.0, 0.0, -INF], &[0.25, INF, 0.0]),
        // DLMF table 7.23 and Abramowitz & Stegun table 7.1.
        (
            UnaryOp::Erf,
            &[0.5, 1.0, -2.0, INF],
            &[0.520_499_877_813_046_5, 0.842_700_792_949_714_9, -0.995_322_265_018_952_7, 1.0],
        ),
        (UnaryOp::Tanh, &[0.0, 3.0_f64.ln(), -INF, NAN], &[0.0, 0.8, -1.0, NAN]),
        (
            UnaryOp::Sigmoid,
            &[0.0, 3.0_f64.ln(), -(3.0_f64.ln()), -800.0, 800.0],
            &[0.5, 0.75, 0.25, 0.0, 1.0],
        ),
        (UnaryOp::Relu, &[-1.0, -0.0, 2.0, NAN], &[0.0, 0.0, 2.0, NAN]),
    ];
    for (op, x, expected) in known {
        assert_close(
            &format!("{op:?}"),
            &values(Op::Unary(op), &[floats(&[x.len()], x)]),
            expected,
            5e-16,
            0.0,
        );
    }
    assert_eq!(values(Op::Unary(UnaryOp::Not), &[truths(&[2], &[true, false])]), [0.0, 1.0]);
}

#[test]
fn small_sigmoids_keep_their_digits() {
    let y = values(Op::Unary(UnaryOp::Sigmoid), &[floats(&[1], &[-700.0])]);
    assert_close("sigmoid", &y, &[(-700.0f64).exp()], 1e-15, 0.0);
}

#[test]
fn integers_wrap_in_their_own_width() {
    let narrow = |values: &[i8]| HostTensor::from_slice(&[values.len()], values).unwrap();
    let add = result(Op::Binary(BinaryOp::Add), &[narrow(&[127, -128]), narrow(&[1, -1])]).unwrap();
    assert_eq!(add.as_slice::<i8>().unwrap(), [-128, 127]);
    let negated =
        result(Op::Unary(UnaryOp::Neg), &[HostTensor::from_slice(&[2], &[1u8, 0]).unwrap()]).unwrap();
    assert_eq!(negated.as_slice::<u8>().unwrap(), [255, 0]);
    let wide =
        result(Op::Binary(BinaryOp::Mul), &[integers(&[1], &[i64::MAX]), integers(&[1], &[2])]).unwrap();
    assert_eq!(wide.as_slice::<i64>().unwrap(), [-2]);
    let divided =
        result(Op::Binary(BinaryOp::Div), &[integers(&[3], &[7, -7, i64::MIN]), integers(&[3], &[2, 2, -1])]);
    assert_eq!(divided.unwrap().as_slice::<i64>().unwrap(), [3, -3, i64::MIN]);
    let power =
        result(Op::Binary(BinaryOp::Pow), &[integers(&[3], &[3, -2, 2]), integers(&[3], &[4, 3, 64])])
            .unwrap();
    assert_eq!(power.as_slice::<i64>().unwrap(), [81, -8, 0]);
}

#[test]
fn binary_functions_have_their_known_values() {
    let a = floats(&[4], &[1.0, NAN, 3.0, -0.5]);
    let b = floats(&[4], &[2.0, 1.0, NAN, 2.0]);
    let known: [(BinaryOp, [f64; 4]); 7] = [
        (BinaryOp::Add, [3.0, NAN, NAN, 1.5]),
        (BinaryOp::Sub, [-1.0, NAN, NAN, -2.5]),
        (BinaryOp::Mul, [2.0, NAN, NAN, -1.0]),
        (BinaryOp::Div, [0.5, NAN, NAN, -0.25]),
        (BinaryOp::Max, [2.0, NAN, NAN, 2.0]),
        (BinaryOp::Min, [1.0, NAN, NAN, -0.5]),
        (BinaryOp::Pow, [1.0, NAN, NAN, 0.25]),
    ];
    for (op, expected) in known {
        assert_close(
            &format!("{op:?}"),
            &values(Op::Binary(op), &[a.clone(), b.clone()]),
            &expected,
            0.0,
            0.0,
        );
    }
    let (p, q) = (truths(&[4], &[true, true, false, false]), truths(&[4], &[true, false, true, false]));
    assert_eq!(values(Op::Binary(BinaryOp::And), &[p.clone(), q.clone()]), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(values(Op::Binary(BinaryOp::Or), &[p, q]), [1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn operands_broadcast_in_both_directions() {
    let column = floats(&[2, 1], &[10.0, 20.0]);
    let row = floats(&[3], &[1.0, 2.0, 3.0]);
    let sum = result(Op::Binary(BinaryOp::Add), &[column, row]).unwrap();
    assert_eq!(sum.shape(), [2, 3]);
    assert_eq!(sum.to_f64(), [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]);
}

#[test]
fn an_operand_without_elements_gives_a_result_without() {
    let sum = result(Op::Binary(BinaryOp::Add), &[floats(&[0, 3], &[]), floats(&[3], &[1.0; 3])]).unwrap();
    assert_eq!((sum.shape(), sum.element_count()), (&[0, 3][..], 0));
}

#[test]
fn comparisons_with_nan_are_false_but_for_not_equal() {
    let inputs = [floats(&[4], &[1.0, 2.0, 3.0, NAN]), floats(&[4], &[2.0, 2.0, 2.0, 2.0])];
    let known = [
        (CompareOp::Eq, [0.0, 1.0, 0.0, 0.0]),
        (CompareOp::Ne, [1.0, 0.0, 1.0, 1.0]),
        (CompareOp::Lt, [1.0, 0.0, 0.0, 0.0]),
        (CompareOp::Le, [1.0, 1.0, 0.0, 0.0]),
        (CompareOp::Gt, [0.0, 0.0, 1.0, 0.0]),
        (CompareOp::Ge, [0.0, 1.0, 1.0, 0.0]),
    ];
    for (op, expected) in known {
        assert_eq!(values(Op::Compare(op), &inputs), expected, "{op:?}");
        if op != CompareOp::Ne {
            let whole = [integers(&[3], &[1, 2, 3]), integers(&[1], &[2])];
            assert_eq!(values(Op::Compare(op), &whole), expected[..3], "{op:?} of integers");
        }
    }
}

#[test]
fn select_takes_whole_values_from_either_side() {
    let inputs = [truths(&[2, 1], &[true, false]), floats(&[2], &[1.0, NAN]), floats(&[], &[7.0])];
    assert_close("select", &values(Op::Select, &inputs), &[1.0, NAN, 7.0, 7.0], 0.0, 0.0);
}

#[test]
fn casts_round_truncate_and_saturate() {
    let x = floats(&[5], &[1.9, -1.9, NAN, 300.0, 0.1]);
    let cast = |to| values(Op::Cast { to }, std::slice::from_ref(&x));
    assert_eq!(cast(DType::I8), [1.0, -1.0, 0.0, 127.0, 0.0]);
    assert_eq!(cast(DType::U8), [1.0, 0.0, 0.0, 255.0, 0.0]);
    assert_eq!(cast(DType::Bool), [1.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(cast(DType::F32)[4], f64::from(0.1f32));
    assert_eq!(cast(DType::F16)[4], 0.099_975_585_937_5);
    assert_eq!(cast(DType::Bf16)[4], 0.100_097_656_25);
    assert_eq!(values(Op::Cast { to: DType::I32 }, &[integers(&[2], &[i64::MIN, 5])]), [0.0, 5.0]);
    assert_eq!(values(Op::Cast { to: DType::F64 }, &[truths(&[2], &[true, false])]), [1.0, 0.0]);
}

#[test]
fn every_cast_agrees_with_the_host_tensors() {
    let source = floats(&[6], &[0.0, 1.0, -3.7, 130.3, 1e5, -7e9]);
    for from in DType::ALL {
        let x = source.cast(from).unwrap();
        for to in DType::ALL {
            let cast = result(Op::Cast { to }, std::slice::from_ref(&x)).unwrap();
            assert_eq!(cast.dtype(), to);
            assert_eq!(cast.bytes(), x.cast(to).unwrap().bytes(), "{from} to {to}");
        }
    }
}

#[test]
fn matmul_of_two_by_two_is_the_schoolbook_one() {
    let inputs = [floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), floats(&[2, 2], &[5.0, 6.0, 7.0, 8.0])];
    assert_eq!(values(Op::MatMul, &inputs), [19.0, 22.0, 43.0, 50.0]);
}

#[test]
fn matmul_broadcasts_leading_axes_and_sums_nothing_to_zero() {
    let a = floats(&[2, 1, 1, 2], &[1.0, 2.0, 3.0, 4.0]);
    let b = floats(&[3, 2, 1], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let product = result(Op::MatMul, &[a, b]).unwrap();
    assert_eq!(product.shape(), [2, 3, 1, 1]);
    assert_eq!(product.to_f64(), [1.0, 2.0, 3.0, 3.0, 4.0, 7.0]);
    let empty = result(Op::MatMul, &[floats(&[2, 0], &[]), floats(&[0, 3], &[])]).unwrap();
    assert_eq!(empty.to_f64(), [0.0; 6]);
}

/// Large enough for threads, odd enough for ragged parts; the order of each sum must not show either.
#[test]
fn large_products_have_the_bits_of_the_plain_loop() {
    let (m, k, n) = (203, 151, 190);
    let seed = 11;
    let mut random = Random(seed);
    let (a, b) = (random.tensor(&[m, k]), random.tensor(&[k, n]));
    let product = values(Op::MatMul, &[a.clone(), b.clone()]);
    let (a, b) = (a.to_f64(), b.to_f64());
    for i in 0..m {
        for j in 0..n {
            let sum = (0..k).fold(0.0, |sum, at| sum + a[i * k + at] * b[at * n + j]);
            assert_eq!(product[i * n + j].to_bits(), f64::to_bits(sum), "row {i}, column {j}, seed {seed}");
        }
    }
}

#[test]
fn movement_puts_every_element_where_it_belongs() {
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let one = std::slice::from_ref(&x);
    assert_eq!(values(Op::Transpose { permutation: vec![1, 0] }, one), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(values(Op::Reshape { shape: dims(&[3, 2]) }, one), x.to_f64());
    assert_eq!(values(Op::Slice { axis: 1, start: 0, step: 2, length: 2.into() }, one), [1.0, 3.0, 4.0, 6.0]);
    assert!(values(Op::Slice { axis: 0, start: 2, step: 1, length: 0.into() }, one).is_empty());
    let expanded = result(Op::Expand { shape: dims(&[2, 2, 2]) }, &[floats(&[2, 1], &[1.0, 2.0])]).unwrap();
    assert_eq!(expanded.to_f64(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    let joined =
        result(Op::Concat { axis: 1 }, &[x.clone(), floats(&[2, 0], &[]), floats(&[2, 1], &[7.0, 8.0])])
            .unwrap();
    assert_eq!(joined.shape(), [2, 4]);
    assert_eq!(joined.to_f64(), [1.0, 2.0, 3.0, 7.0, 4.0, 5.0, 6.0, 8.0]);
}

#[test]
fn any_dtype_moves() {
    for dtype in DType::ALL {
        let x = HostTensor::from_f64(dtype, &[2, 2], &[0.0, 1.0, 1.0, 0.0]).unwrap();
        let moved = result(Op::Transpose { permutation: vec![1, 0] }, std::slice::from_ref(&x)).unwrap();
        assert_eq!((moved.dtype(), moved.bytes()), (dtype, x.bytes()));
        let picked = result(Op::Gather { axis: 0 }, &[x.clone(), integers(&[1], &[1])]).unwrap();
        assert_eq!(picked.to_f64(), [1.0, 0.0], "{dtype}");
        let joined = result(Op::Concat { axis: 0 }, &[x.clone(), x]).unwrap();
        assert_eq!(joined.to_f64(), [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0], "{dtype}");
    }
}

#[test]
fn gather_replaces_the_axis_by_the_index_shape() {
    let data = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let index = HostTensor::from_slice(&[2, 2], &[2i32, 0, 0, 1]).unwrap();
    let picked = result(Op::Gather { axis: 1 }, &[data.clone(), index]).unwrap();
    assert_eq!(picked.shape(), [2, 2, 2]);
    assert_eq!(picked.to_f64(), [3.0, 1.0, 1.0, 2.0, 6.0, 4.0, 4.0, 5.0]);
    let none = result(Op::Gather { axis: 0 }, &[data, integers(&[0], &[])]).unwrap();
    assert_eq!(none.shape(), [0, 3]);
}

#[test]
fn duplicate_indices_add_up_in_ascending_position() {
    // In this order 1 survives; in another 1e16 would swallow it.
    let source = floats(&[3, 1], &[1e16, -1e16, 1.0]);
    let inputs = [floats(&[2, 1], &[0.0, 5.0]), integers(&[3], &[0, 0, 0]), source];
    assert_eq!(values(Op::IndexAdd { axis: 0 }, &inputs), [1.0, 5.0]);
    let inputs = [
        floats(&[2, 2], &[0.0; 4]),
        integers(&[3], &[1, 0, 1]),
        floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ];
    assert_eq!(values(Op::IndexAdd { axis: 1 }, &inputs), [2.0, 4.0, 5.0, 10.0]);
    let wrapped = [
        HostTensor::from_slice(&[1], &[i32::MAX]).unwrap(),
        integers(&[1], &[0]),
        HostTensor::from_slice(&[1], &[1i32]).unwrap(),
    ];
    assert_eq!(result(Op::IndexAdd { axis: 0 }, &wrapped).unwrap().as_slice::<i32>().unwrap(), [i32::MIN]);
}

fn reduced(op: ReduceOp, axes: &[usize], x: &HostTensor) -> Vec<f64> {
    values(Op::Reduce { op, axes: axes.to_vec(), keep_axes: false }, std::slice::from_ref(x))
}

#[test]
fn reductions_combine_along_any_axes() {
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
    assert_eq!(reduced(ReduceOp::Sum, &[0], &x), [5.0, 7.0, 12.0]);
    assert_eq!(reduced(ReduceOp::Mean, &[1], &x), [2.0, 6.0]);
    assert_eq!(reduced(ReduceOp::Max, &[0, 1], &x), [9.0]);
    assert_eq!(reduced(ReduceOp::Min, &[], &x), x.to_f64());
    assert_eq!(reduced(ReduceOp::Sum, &[0], &integers(&[2], &[i64::MAX, 1])), [i64::MIN as f64]);
    let kept = result(Op::Reduce { op: ReduceOp::Sum, axes: vec![1], keep_axes: true }, &[x]).unwrap();
    assert_eq!(kept.shape(), [2, 1]);
}

#[test]
fn reductions_of_nothing_and_of_nan_are_as_documented() {
    let empty = floats(&[2, 0], &[]);
    assert_eq!(reduced(ReduceOp::Sum, &[1], &empty), [0.0, 0.0]);
    assert!(reduced(ReduceOp::Mean, &[1], &empty).iter().all(|x| x.is_nan()));
    assert_eq!(reduced(ReduceOp::Max, &[1], &empty), [-INF, -INF]);
    assert_eq!(reduced(ReduceOp::Min, &[1], &empty), [INF, INF]);
    let bytes = HostTensor::from_slice::<u8>(&[0], &[]).unwrap();
    assert_eq!(reduced(ReduceOp::Max, &[0], &bytes), [0.0]);
    assert_eq!(reduced(ReduceOp::Min, &[0], &bytes), [255.0]);
    for x in [[NAN, 1.0, 2.0], [1.0, NAN, 2.0], [1.0, 2.0, NAN]] {
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min] {
            assert!(reduced(op, &[0], &floats(&[3], &x))[0].is_nan(), "{op:?} of {x:?}");
        }
    }
}

#[test]
fn fills_and_counts_need_no_inputs() {
    let fill = |dtype, value| result(Op::Fill { dtype, value, shape: dims(&[2]) }, &[]).unwrap();
    assert_eq!(fill(DType::F64, -INF).to_f64(), [-INF, -INF]);
    assert_eq!(fill(DType::I32, 2.7).as_slice::<i32>().unwrap(), [2, 2]);
    assert_eq!(fill(DType::Bool, NAN).as_slice::<u8>().unwrap(), [1, 1]);
    assert_eq!(fill(DType::F16, 0.1).to_f64(), [0.099_975_585_937_5; 2]);
    assert_eq!(result(Op::Iota { length: 3.into() }, &[]).unwrap().as_slice::<i64>().unwrap(), [0, 1, 2]);
}
