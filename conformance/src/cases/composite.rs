//! Cases of the composites.

use super::{Case, floats, integers, random, stored, truths};
use crate::random::Random;
use lockstep_runtime::graph::{Activation, Attention, GeluForm, Linear, Op, Operands, PoolKind, Sequences};
use lockstep_runtime::tensor::{DType, HostTensor};

const LOW: f64 = f64::NEG_INFINITY;

pub(super) fn cases() -> Vec<Case> {
    let mut r = Random(43);
    let mut cases = Vec::new();
    softmax(&mut r, &mut cases);
    norms(&mut r, &mut cases);
    linear(&mut r, &mut cases);
    attention(&mut r, &mut cases);
    pooling(&mut r, &mut cases);
    embeddings(&mut r, &mut cases);
    cases
}

fn softmax(r: &mut Random, cases: &mut Vec<Case>) {
    let shapes: [(&[usize], usize); 9] = [
        (&[1], 0),
        (&[5, 1], 1),
        (&[3, 17], 1),
        (&[2, 130], 1),
        (&[2, 3, 33], 2),
        (&[3, 9, 2], 1),
        (&[4, 3], 0),
        (&[2, 0], 1),
        (&[0, 4], 1),
    ];
    for (shape, axis) in shapes {
        cases.push(Case::new(Op::Softmax { axis }, vec![random(r, shape, 3.0)]));
        // Far apart: without the maximum's subtraction these overflow.
        cases.push(Case::new(Op::Softmax { axis }, vec![random(r, shape, 200.0)]));
    }
    let rows = [0.0, LOW, 1.0, LOW, LOW, LOW, LOW, f64::NAN, LOW, 2.0, 2.0, 2.0];
    cases.push(Case::new(Op::Softmax { axis: 1 }, vec![floats(&[4, 3], &rows)]));
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        for shape in [&[][..], &[1], &[0], &[7, 19]] {
            cases.push(Case::new(Op::Gelu(form), vec![random(r, shape, 8.0)]));
        }
        let edges = [0.0, -0.0, 30.0, -30.0, -5.5, f64::NAN, f64::INFINITY];
        cases.push(Case::new(Op::Gelu(form), vec![floats(&[7], &edges)]));
    }
}

fn norms(r: &mut Random, cases: &mut Vec<Case>) {
    for (shape, offset) in [
        (&[1, 5][..], 0.0),
        (&[3, 17], 0.0),
        (&[2, 3, 32], 0.0),
        (&[2, 130], 64.0),
        (&[0, 4], 0.0),
        (&[7], 8.0),
    ] {
        let width = shape[shape.len() - 1];
        for stored_as in [DType::F64, DType::F16, DType::F32] {
            for epsilon in [1e-5, 1e-12] {
                let values: Vec<f64> = random(r, shape, 2.0).to_f64().iter().map(|x| x + offset).collect();
                let (x, residual) = (floats(shape, &values), random(r, shape, 2.0));
                let gamma = stored(&random(r, &[width], 2.0), stored_as);
                let beta = stored(&random(r, &[width], 2.0), stored_as);
                let inputs = vec![x.clone(), gamma.clone(), beta.clone()];
                cases.push(Case::new(Op::LayerNorm { epsilon }, inputs.clone()));
                cases.push(Case::with_constants(Op::LayerNorm { epsilon }, inputs, 1));
                cases.push(Case::with_constants(
                    Op::AddLayerNorm { epsilon },
                    vec![x, residual, gamma, beta],
                    2,
                ));
            }
        }
    }
    // A constant row gives beta; a NaN stays in its row.
    let rows = [3.0, 3.0, 3.0, 3.0, 1.0, f64::NAN, 2.0, 4.0, 1.0, 2.0, 3.0, 4.0];
    let inputs = vec![floats(&[3, 4], &rows), random(r, &[4], 2.0), random(r, &[4], 2.0)];
    cases.push(Case::new(Op::LayerNorm { epsilon: 1e-5 }, inputs));
}

/// One table to three, in the result's dtype or another, of widths around a warp's packets, and rows that are picked twice.
fn embeddings(r: &mut Random, cases: &mut Vec<Case>) {
    let dtype = DType::F64;
    for (tables, width, stored_as) in [
        (1, 7, DType::F64),
        (2, 64, DType::F64),
        (3, 256, DType::F64),
        (3, 512, DType::F16),
        (2, 33, DType::Bf16),
        (3, 128, DType::F32),
    ] {
        for shape in [&[5][..], &[2, 3], &[0]] {
            let mut inputs = Vec::new();
            for table in 0..tables {
                let rows = 4 + table;
                inputs.push(stored(&random(r, &[rows, width], 2.0), stored_as));
                let picked = (0..shape.iter().product()).map(|at: usize| (at * 3 % rows) as i64);
                inputs.push(integers(shape, &picked.collect::<Vec<_>>()));
            }
            inputs.extend([random(r, &[width], 2.0), random(r, &[width], 1.0)]);
            let constants_from = inputs.len() - 2;
            let op = Op::EmbedLayerNorm { dtype, epsilon: 1e-5 };
            cases.push(Case::new(op.clone(), inputs.clone()));
            cases.push(Case::with_constants(op, inputs, constants_from));
        }
    }
    // What cancels in the sum leaves roundings that the result alone does not show; a NaN stays in the rows that pick it.
    let table = random(r, &[2, 64], 2.0);
    let away: Vec<f64> = table.to_f64().iter().map(|x| x + 300.0).collect();
    let back = floats(&[1, 64], &[-300.0; 64]);
    let (gamma, beta) = (random(r, &[64], 2.0), random(r, &[64], 1.0));
    let rows = integers(&[2], &[1, 0]);
    let inputs = vec![floats(&[2, 64], &away), rows, back, integers(&[2], &[0, 0]), gamma, beta];
    cases.push(Case::new(Op::EmbedLayerNorm { dtype, epsilon: 1e-12 }, inputs));
    let table = floats(&[3, 2], &[1.0, 2.0, f64::NAN, 4.0, f64::INFINITY, 5.0]);
    let rows = integers(&[5], &[0, 1, 2, 0, 2]);
    let inputs = vec![table, rows, random(r, &[2], 2.0), random(r, &[2], 1.0)];
    cases.push(Case::new(Op::EmbedLayerNorm { dtype, epsilon: 1e-5 }, inputs));
}

fn linear(r: &mut Random, cases: &mut Vec<Case>) {
    let activations = [
        None,
        Some(Activation::Gelu(GeluForm::Erf)),
        Some(Activation::Gelu(GeluForm::Tanh)),
        Some(Activation::Tanh),
    ];
    let sizes: [(&[usize], usize, usize, DType); 6] = [
        (&[2, 5], 24, 16, DType::F64),
        (&[1], 33, 7, DType::F16),
        (&[], 24, 17, DType::Bf16),
        (&[0], 8, 8, DType::F64),
        (&[37], 300, 1, DType::F32),
        (&[3], 1, 35, DType::F64),
    ];
    for (rows, k, n, stored_as) in sizes {
        for activation in activations {
            for (bias, residual) in [(false, false), (true, false), (false, true), (true, true)] {
                let shape = |last: usize| [rows, &[last]].concat();
                let weight = stored(&random(r, &[n, k], 2.0 / (k as f64).sqrt()), stored_as);
                let mut inputs = vec![random(r, &shape(k), 2.0), weight];
                inputs.extend(bias.then(|| stored(&random(r, &[n], 1.0), stored_as)));
                inputs.extend(residual.then(|| random(r, &shape(n), 2.0)));
                let op = Op::Linear(Linear { bias, activation, residual });
                cases.push(Case::new(op.clone(), inputs.clone()));
                cases.push(Case::with_constants(op, inputs, 1));
            }
        }
    }
}

fn attention(r: &mut Random, cases: &mut Vec<Case>) {
    let mask = [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1].map(|kept| kept == 1);
    let (mask, one) = (truths(&[3, 5], &mask), truths(&[1, 1], &[true]));
    let (ends, whole) = (integers(&[4], &[0, 4, 4, 15]), integers(&[1], &[40]));
    for (heads, size) in [(1, 8), (4, 8), (3, 5), (2, 1)] {
        let (hidden, scale) = (heads * size, 1.0 / (size as f64).sqrt());
        for operands in [Operands::Separate, Operands::Merged] {
            let shapes: [(Sequences, &[usize], Option<&HostTensor>); 8] = [
                (Sequences::Dense, &[3, 5], None),
                (Sequences::Dense, &[1, 1], None),
                (Sequences::Dense, &[0, 5], None),
                (Sequences::Dense, &[1, 37], None),
                (Sequences::KeyMask, &[3, 5], Some(&mask)),
                (Sequences::KeyMask, &[1, 1], Some(&one)),
                (Sequences::Ends, &[15], Some(&ends)),
                (Sequences::Ends, &[40], Some(&whole)),
            ];
            for (sequences, shape, last) in shapes {
                let (count, width) = if operands == Operands::Merged { (1, 3 * hidden) } else { (3, hidden) };
                let mut inputs: Vec<HostTensor> =
                    (0..count).map(|_| random(r, &[shape, &[width]].concat(), 2.0)).collect();
                inputs.extend(last.cloned());
                cases.push(Case::new(Op::Attention(Attention { heads, scale, operands, sequences }), inputs));
            }
        }
        let cross = Attention { heads, scale, operands: Operands::Separate, sequences: Sequences::Dense };
        for keys in [7, 1] {
            let inputs = [3, keys, keys].map(|length| random(r, &[2, length, hidden], 2.0));
            cases.push(Case::new(Op::Attention(cross), inputs.to_vec()));
        }
    }
}

fn pooling(r: &mut Random, cases: &mut Vec<Case>) {
    for kind in [PoolKind::Mean, PoolKind::Max] {
        for width in [1, 4, 17] {
            let mask = truths(&[2, 3], &[true, false, true, false, false, false]);
            let padded = vec![random(r, &[2, 3, width], 4.0), mask];
            cases.push(Case::new(Op::Pool { kind, sequences: Sequences::KeyMask }, padded));
            let packed = vec![random(r, &[6, width], 4.0), integers(&[4], &[0, 2, 2, 6])];
            cases.push(Case::new(Op::Pool { kind, sequences: Sequences::Ends }, packed));
        }
        let mut values = random(r, &[3, 2], 4.0).to_f64();
        values[2] = f64::NAN;
        let packed = vec![floats(&[3, 2], &values), integers(&[2], &[2, 3])];
        cases.push(Case::new(Op::Pool { kind, sequences: Sequences::Ends }, packed));
    }
}
