//! Values that break what random ones do not: large offsets with small spread, tiny variances, scores far apart, cancelling
//! terms, numbers at the ends of their format, rows that are masked whole, indices at the end of a table.

use super::{Case, floats, integers, random, stored};
use crate::random::Random;
use lockstep_runtime::graph::{
    Activation, Attention, GeluForm, Linear, Op, Operands, ReduceOp, Sequences, UnaryOp,
};
use lockstep_runtime::tensor::{DType, HostTensor};

pub(super) fn cases() -> Vec<Case> {
    let mut r = Random(47);
    let mut cases = Vec::new();
    norms(&mut r, &mut cases);
    activations(&mut cases);
    far_out(&mut cases);
    scores(&mut r, &mut cases);
    products(&mut r, &mut cases);
    indices(&mut r, &mut cases);
    ends_of_formats(&mut cases);
    cases
}

/// `offset + spread * random` in rows.
fn offset_rows(r: &mut Random, shape: &[usize], offset: f64, spread: f64) -> HostTensor {
    let values: Vec<f64> = random(r, shape, spread).to_f64().iter().map(|x| x + offset).collect();
    floats(shape, &values)
}

fn norms(r: &mut Random, cases: &mut Vec<Case>) {
    for (offset, spread, epsilon) in [
        (64.0, 0.25, 1e-12),
        (64.0, 1e-3, 1e-5),
        (1024.0, 1.0, 1e-5),
        (1e4, 1e-3, 1e-12),
        (0.0, 1e-3, 1e-5),
        (0.0, 1e-4, 1e-12),
        (0.0, 100.0, 1e-5),
    ] {
        for width in [31, 64, 513] {
            let x = offset_rows(r, &[3, width], offset, spread);
            let (gamma, beta) = (random(r, &[width], 2.0), random(r, &[width], 1.0));
            cases.push(Case::new(Op::LayerNorm { epsilon }, vec![x.clone(), gamma.clone(), beta.clone()]));
            let residual = random(r, &[3, width], spread);
            cases.push(Case::new(Op::AddLayerNorm { epsilon }, vec![x, residual, gamma, beta]));
        }
    }
    // Constant rows: the deviation is 0, and a tiny epsilon is all there is to divide by. Rows of no elements.
    for epsilon in [1e-5, 1e-12] {
        let inputs = vec![floats(&[2, 33], &[0.1; 66]), random(r, &[33], 2.0), random(r, &[33], 1.0)];
        cases.push(Case::new(Op::LayerNorm { epsilon }, inputs));
    }
    let nothing = |shape: &[usize]| floats(shape, &[]);
    let inputs = vec![nothing(&[3, 0]), nothing(&[3, 0]), nothing(&[0]), nothing(&[0])];
    cases.push(Case::new(Op::LayerNorm { epsilon: 1e-5 }, [&inputs[..1], &inputs[2..]].concat()));
    cases.push(Case::new(Op::AddLayerNorm { epsilon: 1e-5 }, inputs));
    // One position only: the mean is the value, the result beta.
    let one = vec![floats(&[2, 1], &[5.0, -3.0]), floats(&[1], &[2.0]), floats(&[1], &[0.5])];
    cases.push(Case::new(Op::LayerNorm { epsilon: 1e-5 }, one));
    // In half precision the sum with the residual, or the squares, would overflow.
    let large = vec![
        floats(&[1, 8], &[3e4, -3e4, 2e4, -1e4, 3e4, 1e4, -2e4, 0.0]),
        floats(&[1, 8], &[4e4; 8]),
        floats(&[8], &[1.0; 8]),
        floats(&[8], &[0.0; 8]),
    ];
    cases.push(Case::new(Op::AddLayerNorm { epsilon: 1e-5 }, large));
}

fn activations(cases: &mut Vec<Case>) {
    let tails: Vec<f64> = (0..161).map(|at| f64::from(at) / 10.0 - 8.0).collect();
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        cases.push(Case::new(Op::Gelu(form), vec![floats(&[161], &tails)]));
        cases.push(Case::new(Op::Gelu(form), vec![floats(&[4], &[60.0, 300.0, -60.0, -300.0])]));
        let op = Op::Linear(Linear { bias: true, activation: Some(Activation::Gelu(form)), residual: false });
        let inputs = vec![floats(&[161, 1], &tails), floats(&[1, 1], &[1.0]), floats(&[1], &[0.0])];
        cases.push(Case::new(op, inputs));
    }
    for function in [UnaryOp::Exp, UnaryOp::Erf, UnaryOp::Tanh, UnaryOp::Sigmoid] {
        cases.push(Case::new(Op::Unary(function), vec![floats(&[161], &tails)]));
    }
}

/// Where the exponential inside overflows and the result is still a number, in f32 and in f64.
fn far_out(cases: &mut Vec<Case>) {
    let far = [-87.5, -88.5, -92.0, -103.0, -700.0, -710.0, -745.0, 90.0, 720.0];
    cases.push(Case::new(Op::Unary(UnaryOp::Sigmoid), vec![floats(&[9], &far)]));
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        cases.push(Case::new(Op::Gelu(form), vec![floats(&[3], &[1e20, -1e20, 2e199])]));
    }
}

fn scores(r: &mut Random, cases: &mut Vec<Case>) {
    for spread in [40.0, 1e-3] {
        cases.push(Case::new(Op::Softmax { axis: 1 }, vec![random(r, &[4, 65], spread)]));
    }
    // All far above and all far below zero: only differences count.
    for offset in [500.0, -500.0] {
        cases.push(Case::new(Op::Softmax { axis: 1 }, vec![offset_rows(r, &[2, 17], offset, 2.0)]));
    }
    cases.push(Case::new(Op::Softmax { axis: 1 }, vec![floats(&[2, 9], &[0.5; 18])]));
    cases.push(Case::new(Op::Softmax { axis: 1 }, vec![floats(&[1, 3], &[-1e4, -1e4, -1e9])]));
    let keys = [true, true, false, true, false, true, true, false, false, false, false, false];
    for sequences in [Sequences::KeyMask, Sequences::Ends] {
        let attention = Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences };
        let shape: &[usize] = if sequences == Sequences::Ends { &[12, 8] } else { &[2, 6, 8] };
        let last = match sequences {
            Sequences::Ends => integers(&[3], &[5, 6, 12]),
            _ => super::truths(&[2, 6], &keys),
        };
        for size in [4.0, 0.1] {
            let mut inputs: Vec<HostTensor> = (0..3).map(|_| random(r, shape, size)).collect();
            inputs.push(last.clone());
            cases.push(Case::new(Op::Attention(attention), inputs));
        }
    }
}

fn products(r: &mut Random, cases: &mut Vec<Case>) {
    for k in [15, 16, 17, 63, 65, 129, 513] {
        cases.push(Case::new(Op::MatMul, vec![random(r, &[3, k], 1.0), random(r, &[k, 5], 1.0)]));
    }
    // Square, so that a transposed operand fits; large sums, where f16 has no more room.
    for scale in [1.0, 100.0] {
        let op = Op::Linear(Linear { bias: true, activation: None, residual: false });
        let inputs = vec![random(r, &[4, 33], scale), random(r, &[33, 33], 1.0), random(r, &[33], 1.0)];
        cases.push(Case::new(op.clone(), inputs.clone()));
        cases.push(Case::with_constants(op, inputs, 1));
    }
    // All of one sign: rounding errors add up instead of cancelling.
    let ones = |shape: &[usize]| floats(shape, &vec![0.1; shape.iter().product()]);
    cases.push(Case::new(Op::MatMul, vec![ones(&[1, 4096]), ones(&[4096, 2])]));
    cases.push(Case::new(
        Op::Reduce { op: ReduceOp::Sum, axes: vec![0], keep_axes: false },
        vec![ones(&[4096])],
    ));
}

fn indices(r: &mut Random, cases: &mut Vec<Case>) {
    // Beyond what eight bits and 16 signed bits count, and the last row.
    let rows = [0i64, 255, 256, 299, 40_000, 69_999];
    let table = random(r, &[70_000, 1], 4.0);
    cases.push(Case::new(Op::Gather { axis: 0 }, vec![table, integers(&[6], &rows)]));
    let additions =
        vec![random(r, &[300, 2], 1.0), integers(&[4], &[299, 256, 299, 0]), random(r, &[4, 2], 4.0)];
    cases.push(Case::new(Op::IndexAdd { axis: 0 }, additions));
    for (op, values) in [(ReduceOp::Max, [-3.0, -1.0, -2.0]), (ReduceOp::Min, [3.0, 1.0, 2.0])] {
        let reduce = Op::Reduce { op, axes: vec![1], keep_axes: false };
        cases.push(Case::new(reduce.clone(), vec![floats(&[1, 3], &values)]));
        let among = [values[0], f64::NAN, values[2]];
        cases.push(Case::new(reduce, vec![floats(&[1, 3], &among)]));
    }
}

fn ends_of_formats(cases: &mut Vec<Case>) {
    // Subnormal in f16; in f32 and bf16; the largest of each; just beyond the largest f16.
    let values = [6e-8, -3e-5, 1e-40, -1e-39, 65504.0, 65519.0, 65520.0, 3e38, -3e38, f64::INFINITY];
    let x = floats(&[10], &values);
    for function in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Relu, UnaryOp::Sqrt] {
        let x = if function == UnaryOp::Sqrt {
            floats(&[5], &[6e-8, 3e-5, 1e-40, 65504.0, 3e38])
        } else {
            x.clone()
        };
        cases.push(Case::new(Op::Unary(function), vec![x]));
    }
    for to in [DType::F32, DType::F16, DType::Bf16] {
        cases.push(Case::new(Op::Cast { to }, vec![stored(&x, DType::F32)]));
    }
    // Products that are subnormal, and sums that overflow only half-way: the whole is finite.
    let tiny = floats(&[1, 2], &[1e-20, -1e-19]);
    cases.push(Case::new(Op::MatMul, vec![tiny, floats(&[2, 1], &[1e-20, 3e-20])]));
    let many = |shape: &[usize]| floats(shape, &vec![1.3e-21; shape.iter().product()]);
    cases.push(Case::new(Op::MatMul, vec![many(&[2, 33]), many(&[33, 3])]));
    // A sum that overflows on its way in some orders and not in others, in f32 too.
    let huge = floats(&[1, 4], &[3e38, 3e38, -3e38, -3e38]);
    cases.push(Case::new(
        Op::Reduce { op: ReduceOp::Sum, axes: vec![1], keep_axes: false },
        vec![huge.clone()],
    ));
    cases.push(Case::new(Op::MatMul, vec![huge, floats(&[4, 1], &[1.0; 4])]));
    let half_way = floats(&[1, 3], &[6e4, 6e4, -6e4]);
    cases.push(Case::new(Op::MatMul, vec![half_way, floats(&[3, 1], &[1.0, 1.0, 1.0])]));
}
