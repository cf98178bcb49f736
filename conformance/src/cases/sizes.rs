//! Extents around each vector and tile: one less, as many, one more.

use super::{Case, random};
use crate::random::Random;
use lockstep_runtime::graph::{
    Attention, BinaryOp, GeluForm, Linear, Op, Operands, ReduceOp, Sequences, UnaryOp,
};

const EXTENTS: [usize; 13] = [15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 513];

pub(super) fn cases() -> Vec<Case> {
    let mut r = Random(59);
    EXTENTS.iter().flat_map(|&extent| of_extent(&mut r, extent)).collect()
}

fn of_extent(r: &mut Random, extent: usize) -> Vec<Case> {
    let mut of = |op: Op, shapes: &[&[usize]]| {
        Case::new(op, shapes.iter().map(|shape| random(r, shape, 2.0)).collect())
    };
    let reduce = |op, axis: usize| Op::Reduce { op, axes: vec![axis], keep_axes: false };
    let linear = Op::Linear(Linear { bias: true, activation: None, residual: false });
    let mut cases = vec![
        of(Op::Unary(UnaryOp::Tanh), &[&[extent]]),
        of(Op::Binary(BinaryOp::Mul), &[&[3, extent], &[extent]]),
        of(Op::Gelu(GeluForm::Tanh), &[&[extent]]),
        of(Op::Softmax { axis: 1 }, &[&[3, extent]]),
        of(Op::LayerNorm { epsilon: 1e-5 }, &[&[3, extent], &[extent], &[extent]]),
        of(reduce(ReduceOp::Sum, 1), &[&[3, extent]]),
        of(reduce(ReduceOp::Max, 0), &[&[extent, 3]]),
        // Each of a product's three extents.
        of(Op::MatMul, &[&[extent, 7], &[7, 3]]),
        of(Op::MatMul, &[&[3, extent], &[extent, 5]]),
        of(linear, &[&[3, 17], &[extent, 17], &[extent]]),
        of(Op::Transpose { permutation: vec![1, 0] }, &[&[extent, 5]]),
    ];
    // More keys than a block holds cost much in f64 and are of the models' tests.
    if extent < 200 {
        let attention =
            Attention { heads: 2, scale: 0.5, operands: Operands::Merged, sequences: Sequences::Dense };
        cases.push(of(Op::Attention(attention), &[&[1, extent, 24]]));
    }
    cases
}
