//! What is not a number, and what is no position: a NaN or an infinity at each place of a row, where it may reach its own row
//! and no other; and indices that every device must refuse.
//!
//! Ends of sequences that descend or lie outside are refused by the kernels, and tested there: the primitives that the truth is
//! computed by have no way to refuse them.

use super::{Case, floats, integers, random, stored, truths};
use crate::random::Random;
use lockstep_runtime::graph::{Activation, Attention, GeluForm, Linear, Op, Operands, ReduceOp, Sequences};
use lockstep_runtime::tensor::{DType, HostTensor};

/// One vector and one more.
const WIDTH: usize = 17;

pub(super) fn cases() -> Vec<Case> {
    let mut r = Random(61);
    let mut cases = Vec::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        at_each_place(&mut r, value, &mut cases);
        among_keys(&mut r, value, &mut cases);
    }
    no_scores(&mut r, &mut cases);
    no_positions(&mut r, &mut cases);
    cases
}

/// Rows of random numbers with `value` at a place of its own in each.
fn diagonal(r: &mut Random, value: f64) -> HostTensor {
    let mut values = random(r, &[WIDTH, WIDTH], 2.0).to_f64();
    values.iter_mut().step_by(WIDTH + 1).for_each(|x| *x = value);
    floats(&[WIDTH, WIDTH], &values)
}

fn at_each_place(r: &mut Random, value: f64, cases: &mut Vec<Case>) {
    let activation = Some(Activation::Gelu(GeluForm::Erf));
    let linear = Op::Linear(Linear { bias: false, activation, residual: false });
    let mut with = |op: Op, others: &[&[usize]]| {
        let mut inputs = vec![diagonal(r, value)];
        inputs.extend(others.iter().map(|shape| random(r, shape, 2.0)));
        cases.push(Case::new(op, inputs));
    };
    with(Op::Softmax { axis: 1 }, &[]);
    with(Op::Softmax { axis: 0 }, &[]);
    with(Op::LayerNorm { epsilon: 1e-5 }, &[&[WIDTH], &[WIDTH]]);
    with(Op::AddLayerNorm { epsilon: 1e-5 }, &[&[WIDTH, WIDTH], &[WIDTH], &[WIDTH]]);
    with(Op::Gelu(GeluForm::Erf), &[]);
    with(Op::Gelu(GeluForm::Tanh), &[]);
    with(Op::MatMul, &[&[WIDTH, 5]]);
    with(linear, &[&[5, WIDTH]]);
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min] {
        with(Op::Reduce { op, axes: vec![1], keep_axes: false }, &[]);
    }
}

/// Masked keys do not exist, whatever they hold; nor do those of other packed sequences.
fn among_keys(r: &mut Random, value: f64, cases: &mut Vec<Case>) {
    let attention = |sequences| {
        Op::Attention(Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences })
    };
    for operand in 0..3 {
        let mut inputs: Vec<HostTensor> = (0..3).map(|_| random(r, &[2, 5, 6], 2.0)).collect();
        let mut values = inputs[operand].to_f64();
        // A masked position of the first sequence, and one that counts in the second.
        values[2 * 6 + 1] = value;
        values[(5 + 3) * 6 + 4] = value;
        inputs[operand] = floats(&[2, 5, 6], &values);
        let packed: Vec<HostTensor> = inputs.iter().map(|x| floats(&[10, 6], &x.to_f64())).collect();
        let mask = [true, true, false, true, false, true, true, true, true, true];
        inputs.push(truths(&[2, 5], &mask));
        cases.push(Case::new(attention(Sequences::KeyMask), inputs));
        let ends = vec![integers(&[3], &[2, 5, 10])];
        cases.push(Case::new(attention(Sequences::Ends), [packed, ends].concat()));
    }
}

/// Keys so far off that every score is -inf give zeros, as masked ones do.
fn no_scores(r: &mut Random, cases: &mut Vec<Case>) {
    let attention =
        Attention { heads: 1, scale: 0.5, operands: Operands::Separate, sequences: Sequences::Dense };
    let q = floats(&[1, 2, 2], &[1.0, 0.0, 2.0, 0.0]);
    let k = floats(&[1, 3, 2], &[f64::NEG_INFINITY, 0.5, f64::NEG_INFINITY, 1.0, f64::NEG_INFINITY, 2.0]);
    cases.push(Case::new(Op::Attention(attention), vec![q, k, random(r, &[1, 3, 2], 2.0)]));
}

fn no_positions(r: &mut Random, cases: &mut Vec<Case>) {
    let (data, source) = (random(r, &[4, 3], 2.0), random(r, &[2, 3], 2.0));
    for wrong in [-1, 4, i64::from(i32::MIN), i64::from(i32::MAX), i64::MIN, i64::MAX] {
        let index = integers(&[2], &[1, wrong]);
        let mut indices = vec![index.clone()];
        if i32::try_from(wrong).is_ok() {
            indices.push(stored(&index, DType::I32));
        }
        for index in indices {
            cases.push(Case::new(Op::Gather { axis: 0 }, vec![data.clone(), index.clone()]));
            cases.push(Case::new(Op::IndexAdd { axis: 0 }, vec![data.clone(), index, source.clone()]));
        }
    }
}
