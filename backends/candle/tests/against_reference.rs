//! Every op that candle runs natively against the f64 oracle, on random inputs, in f64 and in f32.
//!
//! In f64 the two may differ by 1e-12 of the larger of 1 and the value: sums of at most some tens of terms of size 4 in
//! another order, and functions of at most 2.5 units. In f32 the bound is the same count of units: 64 of them, 64 * 2^-24
//! = 3.8e-6; the oracle gets the f32 values, so only the computation is compared.

#[path = "../../reference/tests/program/mod.rs"]
mod program;

use lockstep_candle::CandleBackend;
use lockstep_hal::graph::{
    Activation, Attention, BinaryOp, CompareOp, GeluForm, Linear, Op, Operands, PoolKind, ReduceOp,
    Sequences, UnaryOp,
};
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{Backend, Device};
use lockstep_reference::ReferenceBackend;
use program::{Random, apply, apply_with_constants, assert_close, dims, floats, integers, truths};
use std::sync::Arc;

const SEED: u64 = 7;
const F64_BOUND: f64 = 1e-12;
const F32_BOUND: f64 = 64.0 / (1 << 24) as f64;

fn candle() -> Arc<dyn Device> {
    CandleBackend::new().open(0).unwrap()
}

fn reference() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).unwrap()
}

/// Runs the op on both, with the f64 inputs as they are and rounded to f32.
fn compare(op: Op, inputs: &[HostTensor]) {
    for (dtype, bound) in [(DType::F64, F64_BOUND), (DType::F32, F32_BOUND)] {
        let narrow =
            |x: &HostTensor| if x.dtype() == DType::F64 { x.cast(dtype).unwrap() } else { x.clone() };
        let given: Vec<HostTensor> = inputs.iter().map(narrow).collect();
        let truth_inputs: Vec<HostTensor> = given
            .iter()
            .map(|x| if x.dtype() == dtype { x.cast(DType::F64).unwrap() } else { x.clone() })
            .collect();
        let what = format!("{op:?} in {dtype}, seed {SEED}");
        let actual = apply(&candle(), op.clone(), &given).unwrap_or_else(|e| panic!("{what}: {e}"));
        let truth = apply(&reference(), op.clone(), &truth_inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(actual.shape(), truth.shape(), "{what}");
        assert_close(&what, &actual.to_f64(), &truth.to_f64(), bound, 1.0);
    }
}

#[test]
fn unary_functions_agree() {
    let x = Random(SEED).tensor(&[5, 7]);
    let positive = floats(&[35], &x.to_f64().iter().map(|x| x.abs() + 0.1).collect::<Vec<_>>());
    for op in UnaryOp::ALL {
        match op {
            UnaryOp::Not => compare(Op::Unary(op), &[truths(&[3], &[true, false, true])]),
            UnaryOp::Log | UnaryOp::Sqrt | UnaryOp::Reciprocal => {
                compare(Op::Unary(op), std::slice::from_ref(&positive));
            }
            _ => compare(Op::Unary(op), std::slice::from_ref(&x)),
        }
    }
}

#[test]
fn edge_values_of_unary_functions_agree() {
    let x = floats(&[8], &[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 90.0, -110.0]);
    let functions = UnaryOp::ALL.into_iter().filter(|&op| op != UnaryOp::Not && op != UnaryOp::Exp);
    functions.for_each(|op| compare(Op::Unary(op), std::slice::from_ref(&x)));
}

#[test]
fn binary_functions_agree_broadcast_and_on_nan() {
    let mut random = Random(SEED);
    let (column, row) = (random.tensor(&[3, 1, 4]), random.tensor(&[2, 1]));
    let (p, q) = (truths(&[4], &[true, true, false, false]), truths(&[4], &[true, false, true, false]));
    let edges = [1.0, f64::NAN, f64::NEG_INFINITY];
    for op in BinaryOp::ALL {
        match op {
            BinaryOp::And | BinaryOp::Or => compare(Op::Binary(op), &[p.clone(), q.clone()]),
            BinaryOp::Pow => (),
            _ => {
                compare(Op::Binary(op), &[column.clone(), row.clone()]);
                compare(Op::Binary(op), &[floats(&[3, 1], &edges), floats(&[3], &edges)]);
            }
        }
    }
    let whole = [integers(&[3], &[i64::MIN, 0, 9]), integers(&[1], &[4])];
    compare(Op::Binary(BinaryOp::Max), &whole);
    compare(Op::Binary(BinaryOp::Min), &whole);
}

#[test]
fn comparisons_and_selections_agree() {
    let (a, b) = (floats(&[4], &[1.0, 2.0, f64::NAN, 3.0]), floats(&[2, 1], &[2.0, f64::NAN]));
    for op in CompareOp::ALL {
        compare(Op::Compare(op), &[a.clone(), b.clone()]);
        compare(Op::Compare(op), &[integers(&[3], &[1, 2, 3]), integers(&[], &[2])]);
    }
    let condition = truths(&[2, 1], &[true, false]);
    compare(Op::Select, &[condition.clone(), a, floats(&[], &[9.0])]);
    compare(Op::Select, &[condition.clone(), integers(&[2], &[1, 2]), integers(&[1], &[3])]);
    compare(Op::Select, &[condition.clone(), condition.clone(), truths(&[3], &[true, true, false])]);
}

#[test]
fn products_agree_for_every_arrangement_of_batches() {
    let mut random = Random(SEED);
    let shapes: [(&[usize], &[usize]); 8] = [
        (&[17, 33], &[33, 9]),
        (&[1, 33], &[33, 9]),
        (&[3, 4, 5], &[5, 6]),
        (&[4, 5], &[3, 5, 6]),
        (&[2, 1, 4, 5], &[3, 5, 6]),
        (&[2, 3, 4, 5], &[2, 3, 5, 6]),
        (&[2, 3, 1, 5], &[1, 1, 5, 1]),
        (&[2, 0], &[0, 3]),
    ];
    for (a, b) in shapes {
        compare(Op::MatMul, &[random.tensor(a), random.tensor(b)]);
    }
}

#[test]
fn movement_agrees() {
    let x = Random(SEED).tensor(&[2, 3, 4]);
    let one = std::slice::from_ref(&x);
    compare(Op::Transpose { permutation: vec![2, 0, 1] }, one);
    compare(Op::Reshape { shape: dims(&[4, 6]) }, one);
    compare(Op::Expand { shape: dims(&[5, 2, 3, 4]) }, one);
    compare(Op::Slice { axis: 2, start: 1, step: 1, length: 2.into() }, one);
    compare(Op::Slice { axis: 2, start: 1, step: 2, length: 2.into() }, one);
    compare(Op::Slice { axis: 1, start: 3, step: 1, length: 0.into() }, one);
    compare(Op::Concat { axis: 1 }, &[x.clone(), floats(&[2, 0, 4], &[]), x.clone()]);
    compare(Op::Fill { dtype: DType::I32, value: 2.9, shape: dims(&[2, 2]) }, &[]);
    compare(Op::Fill { dtype: DType::F32, value: f64::NEG_INFINITY, shape: dims(&[]) }, &[]);
    compare(Op::Iota { length: 5.into() }, &[]);
    compare(Op::Iota { length: 0.into() }, &[]);
    for dtype in DType::ALL.into_iter().filter(|&dtype| dtype != DType::I8) {
        let stored = HostTensor::from_f64(dtype, &[2, 2], &[0.0, 1.0, 1.0, 1.0]).unwrap();
        for op in [Op::Transpose { permutation: vec![1, 0] }, Op::Expand { shape: dims(&[2, 2, 2]) }] {
            let moved = apply(&candle(), op.clone(), std::slice::from_ref(&stored)).unwrap();
            let truth = apply(&reference(), op, std::slice::from_ref(&stored)).unwrap();
            assert_eq!((moved.dtype(), moved.bytes()), (dtype, truth.bytes()));
        }
    }
}

#[test]
fn every_cast_agrees_with_the_host_tensors() {
    // The last two are just above a tie of bf16 and of f16, in digits that f32 does not have.
    let ties = [8.40625 + 7.1e-8, 1.0 + 2f64.powi(-11) + 2f64.powi(-40)];
    let source = floats(&[10], &[0.0, 1.0, -3.7, 130.3, 1e5, -7e9, f64::NAN, 0.1, ties[0], ties[1]]);
    let known = DType::ALL.into_iter().filter(|&dtype| dtype != DType::I8);
    for (from, to) in known.clone().flat_map(|from| known.clone().map(move |to| (from, to))) {
        let x = source.cast(from).unwrap();
        let cast = apply(&candle(), Op::Cast { to }, std::slice::from_ref(&x)).unwrap();
        assert_eq!(cast.dtype(), to);
        assert_close(&format!("{from} to {to}"), &cast.to_f64(), &x.cast(to).unwrap().to_f64(), 0.0, 0.0);
    }
}

#[test]
fn indexed_ops_agree() {
    let mut random = Random(SEED);
    let data = random.tensor(&[3, 4, 2]);
    let narrow = HostTensor::from_slice(&[2, 2], &[2i32, 0, 0, 1]).unwrap();
    compare(Op::Gather { axis: 1 }, &[data.clone(), narrow]);
    compare(Op::Gather { axis: 0 }, &[data.clone(), integers(&[], &[2])]);
    compare(Op::Gather { axis: 0 }, &[data.clone(), integers(&[0], &[])]);
    compare(
        Op::IndexAdd { axis: 1 },
        &[data.clone(), integers(&[5], &[3, 0, 3, 3, 1]), random.tensor(&[3, 5, 2])],
    );
    compare(Op::IndexAdd { axis: 0 }, &[data.clone(), integers(&[2], &[1, 1]), random.tensor(&[2, 4, 2])]);
    compare(Op::IndexAdd { axis: 0 }, &[data, integers(&[0], &[]), random.tensor(&[0, 4, 2])]);
}

#[test]
fn reductions_agree_on_any_axes_on_nothing_and_on_nan() {
    let x = Random(SEED).tensor(&[3, 4, 5]);
    let nan = floats(&[2, 3], &[1.0, f64::NAN, f64::NEG_INFINITY, 4.0, 5.0, 6.0]);
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min] {
        for axes in [vec![], vec![0], vec![2], vec![0, 2], vec![0, 1, 2]] {
            for keep_axes in [true, false] {
                compare(Op::Reduce { op, axes: axes.clone(), keep_axes }, std::slice::from_ref(&x));
            }
        }
        let last = Op::Reduce { op, axes: vec![1], keep_axes: false };
        compare(last.clone(), std::slice::from_ref(&nan));
        compare(last, &[floats(&[2, 0], &[])]);
    }
    for op in [ReduceOp::Max, ReduceOp::Min] {
        compare(Op::Reduce { op, axes: vec![0], keep_axes: false }, &[integers(&[3], &[3, -5, 4])]);
        compare(Op::Reduce { op, axes: vec![0], keep_axes: false }, &[integers(&[0], &[])]);
    }
}

#[test]
fn softmax_agrees_where_masked_and_on_nan() {
    let low = f64::NEG_INFINITY;
    compare(Op::Softmax { axis: 1 }, &[Random(SEED).tensor(&[3, 9, 2])]);
    let rows = [0.0, low, 1.0, low, low, low, low, f64::NAN, low, f64::INFINITY, 0.0, low];
    compare(Op::Softmax { axis: 1 }, &[floats(&[4, 3], &rows)]);
    compare(Op::Softmax { axis: 1 }, &[floats(&[2, 0], &[])]);
}

#[test]
fn norms_agree_with_parameters_of_any_float_dtype() {
    let mut random = Random(SEED);
    let [x, residual] = [(); 2].map(|()| random.tensor(&[2, 3, 32]));
    let [gamma, beta] = [DType::F16, DType::Bf16].map(|dtype| random.tensor(&[32]).cast(dtype).unwrap());
    compare(Op::LayerNorm { epsilon: 1e-5 }, &[x.clone(), random.tensor(&[32]), random.tensor(&[32])]);
    compare(Op::LayerNorm { epsilon: 1e-5 }, &[x.clone(), gamma.clone(), beta.clone()]);
    compare(Op::AddLayerNorm { epsilon: 1e-12 }, &[x, residual, gamma, beta]);
}

#[test]
fn layer_norm_keeps_its_digits_at_a_large_mean() {
    let x = HostTensor::from_f64(DType::F32, &[1, 4], &[10_000.0, 10_001.0, 10_002.0, 10_003.0]).unwrap();
    let [gamma, beta] = [1.0, 0.0].map(|value| HostTensor::from_f64(DType::F32, &[4], &[value; 4]).unwrap());
    let y = apply(&candle(), Op::LayerNorm { epsilon: 0.0 }, &[x, gamma, beta]).unwrap();
    // Deviations -1.5, -0.5, 0.5, 1.5 over the root of their mean square, 1.25.
    let expected = [-1.5, -0.5, 0.5, 1.5].map(|deviation| deviation / 1.25f64.sqrt());
    assert_close("layer norm", &y.to_f64(), &expected, 1e-6, 1.0);
}

#[test]
fn gelu_agrees_in_both_forms() {
    let x = floats(&[9], &[-20.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 40.0]);
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        compare(Op::Gelu(form), std::slice::from_ref(&x));
    }
}

#[test]
fn linear_agrees_with_every_part_and_stored_weights() {
    let mut random = Random(SEED);
    let activations = [
        None,
        Some(Activation::Gelu(GeluForm::Erf)),
        Some(Activation::Gelu(GeluForm::Tanh)),
        Some(Activation::Tanh),
    ];
    for (rows, stored) in
        [(&[2usize, 5][..], DType::F64), (&[1], DType::F16), (&[], DType::Bf16), (&[0], DType::F64)]
    {
        for activation in activations {
            for (bias, residual) in [(false, false), (true, false), (false, true), (true, true)] {
                let shape = |last| [rows, &[last]].concat();
                let mut inputs =
                    vec![random.tensor(&shape(24)), random.tensor(&[16, 24]).cast(stored).unwrap()];
                inputs.extend(bias.then(|| random.tensor(&[16]).cast(stored).unwrap()));
                inputs.extend(residual.then(|| random.tensor(&shape(16))));
                compare(Op::Linear(Linear { bias, activation, residual }), &inputs);
            }
        }
    }
}

#[test]
fn linear_with_constant_weights_gives_the_same_bits() {
    let mut random = Random(SEED);
    let x = random.tensor(&[3, 24]).cast(DType::F32).unwrap();
    let weight = random.tensor(&[16, 24]).cast(DType::F16).unwrap();
    let op = Op::Linear(Linear { bias: false, activation: None, residual: false });
    let inputs = [x, weight];
    let given = apply(&candle(), op.clone(), &inputs).unwrap();
    let constant = apply_with_constants(&candle(), op, &inputs, 1).unwrap();
    assert_eq!(given.bytes(), constant.bytes(), "seed {SEED}");
}

#[test]
fn attention_agrees_in_every_form() {
    let mut random = Random(SEED);
    let (heads, hidden, scale) = (4, 32, 0.35);
    let mask = truths(
        &[3, 5],
        &[true, true, false, true, false, false, false, false, false, false, true, true, true, true, true],
    );
    // The first and the third sequence are empty.
    let ends = integers(&[4], &[0, 4, 4, 15]);
    for operands in [Operands::Separate, Operands::Merged] {
        for (sequences, shape, last) in [
            (Sequences::Dense, &[3, 5][..], None),
            (Sequences::Dense, &[1, 5], None),
            (Sequences::Dense, &[0, 5], None),
            (Sequences::KeyMask, &[3, 5], Some(&mask)),
            (Sequences::Ends, &[15], Some(&ends)),
        ] {
            let (count, width) = if operands == Operands::Merged { (1, 3 * hidden) } else { (3, hidden) };
            let mut inputs: Vec<HostTensor> =
                (0..count).map(|_| random.tensor(&[shape, &[width]].concat())).collect();
            inputs.extend(last.cloned());
            compare(Op::Attention(Attention { heads, scale, operands, sequences }), &inputs);
        }
    }
    let cross = Attention { heads, scale, operands: Operands::Separate, sequences: Sequences::Dense };
    for keys in [7, 0] {
        let inputs = [
            random.tensor(&[2, 3, hidden]),
            random.tensor(&[2, keys, hidden]),
            random.tensor(&[2, keys, hidden]),
        ];
        compare(Op::Attention(cross), &inputs);
    }
}

#[test]
fn pooling_agrees_padded_and_packed() {
    let mut random = Random(SEED);
    let padded = [random.tensor(&[2, 3, 4]), truths(&[2, 3], &[true, false, true, false, false, false])];
    let packed = [random.tensor(&[6, 4]), integers(&[4], &[0, 2, 2, 6])];
    for kind in [PoolKind::Mean, PoolKind::Max] {
        compare(Op::Pool { kind, sequences: Sequences::KeyMask }, &padded);
        compare(Op::Pool { kind, sequences: Sequences::Ends }, &packed);
    }
}
