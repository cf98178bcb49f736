//! The decomposition of each composite, evaluated by the oracle, against its formula written out here.

mod program;

use lockstep_hal::graph::{Activation, Attention, GeluForm, Linear, Op, Operands, PoolKind, Sequences};
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{Backend, Device};
use lockstep_reference::ReferenceBackend;
use program::{Random, apply, assert_close, floats, integers, truths};
use std::sync::Arc;

const SEED: u64 = 20_260_801;
const BOUND: f64 = 1e-13;

fn check(what: &str, op: Op, inputs: &[HostTensor], expected: &[f64]) {
    let device: Arc<dyn Device> = ReferenceBackend::new().open(0).unwrap();
    let actual = apply(&device, op, inputs).unwrap();
    assert_close(&format!("{what}, seed {SEED}"), &actual.to_f64(), expected, BOUND, 1.0);
}

fn softmax_row(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return vec![0.0; x.len()];
    }
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max).exp() / sum).collect()
}

fn norm_rows(x: &[f64], gamma: &[f64], beta: &[f64], epsilon: f64) -> Vec<f64> {
    let n = gamma.len() as f64;
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / n;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        row.iter()
            .zip(gamma.iter().zip(beta))
            .map(|(x, (g, b))| (x - mean) / (variance + epsilon).sqrt() * g + b)
            .collect()
    };
    x.chunks(gamma.len()).flat_map(row).collect()
}

fn gelu(x: f64, form: GeluForm) -> f64 {
    match form {
        GeluForm::Erf => x / 2.0 * (1.0 + libm::erf(x / 2f64.sqrt())),
        GeluForm::Tanh => {
            x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
        }
    }
}

#[test]
fn softmax_is_its_formula_and_zeros_where_fully_masked() {
    let low = f64::NEG_INFINITY;
    let rows = [[1.0, 2.0, 3.0], [low, 0.5, low], [low; 3], [1000.0, 999.0, 0.0]];
    let expected: Vec<f64> = rows.iter().flat_map(|row| softmax_row(row)).collect();
    check("softmax", Op::Softmax { axis: 1 }, &[floats(&[4, 3], &rows.concat())], &expected);
    // The same along the other axis of the transposed tensor.
    let turned: Vec<f64> = (0..12).map(|at| rows[at % 4][at / 4]).collect();
    let turned_expected: Vec<f64> = (0..12).map(|at| expected[at % 4 * 3 + at / 4]).collect();
    check("softmax of columns", Op::Softmax { axis: 0 }, &[floats(&[3, 4], &turned)], &turned_expected);
    check("softmax of nothing", Op::Softmax { axis: 0 }, &[floats(&[0, 3], &[])], &[]);
}

#[test]
fn a_nan_or_an_infinity_spoils_its_row_of_a_softmax_and_no_other() {
    for bad in [f64::NAN, f64::INFINITY] {
        let inputs = [floats(&[2, 2], &[bad, f64::NEG_INFINITY, 0.0, 0.0])];
        check("softmax", Op::Softmax { axis: 1 }, &inputs, &[f64::NAN, f64::NAN, 0.5, 0.5]);
    }
}

#[test]
fn layer_norm_is_its_formula() {
    let mut random = Random(SEED);
    let (x, gamma, beta) = (random.tensor(&[2, 3, 5]), random.tensor(&[5]), random.tensor(&[5]));
    let expected = norm_rows(&x.to_f64(), &gamma.to_f64(), &beta.to_f64(), 1e-12);
    check(
        "layer norm",
        Op::LayerNorm { epsilon: 1e-12 },
        &[x.clone(), gamma.clone(), beta.clone()],
        &expected,
    );
    // Parameters stored narrower count as their rounded values.
    let (half_gamma, half_beta) = (gamma.cast(DType::F16).unwrap(), beta.cast(DType::Bf16).unwrap());
    let expected = norm_rows(&x.to_f64(), &half_gamma.to_f64(), &half_beta.to_f64(), 0.1);
    check(
        "layer norm of halves",
        Op::LayerNorm { epsilon: 0.1 },
        &[x.clone(), half_gamma, half_beta],
        &expected,
    );
    let residual = random.tensor(&[2, 3, 5]);
    let sum: Vec<f64> = x.to_f64().iter().zip(residual.to_f64()).map(|(a, b)| a + b).collect();
    let expected = norm_rows(&sum, &gamma.to_f64(), &beta.to_f64(), 1e-5);
    check("add layer norm", Op::AddLayerNorm { epsilon: 1e-5 }, &[x, residual, gamma, beta], &expected);
}

#[test]
fn layer_norm_of_one_element_gives_beta() {
    let inputs = [floats(&[3, 1], &[5.0, -1.0, 0.0]), floats(&[1], &[2.0]), floats(&[1], &[0.25])];
    check("layer norm", Op::LayerNorm { epsilon: 1e-5 }, &inputs, &[0.25; 3]);
}

#[test]
fn gelu_is_its_formula_in_both_forms() {
    let x = [-8.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 40.0];
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        let expected: Vec<f64> = x.iter().map(|&x| gelu(x, form)).collect();
        check(&format!("{form:?}"), Op::Gelu(form), &[floats(&[x.len()], &x)], &expected);
    }
}

#[test]
fn linear_is_its_formula_with_every_part() {
    let mut random = Random(SEED);
    let activations = [
        None,
        Some(Activation::Gelu(GeluForm::Erf)),
        Some(Activation::Gelu(GeluForm::Tanh)),
        Some(Activation::Tanh),
    ];
    for (rows, bias, activation, residual) in [&[3usize][..], &[2, 2], &[]].into_iter().flat_map(|rows| {
        activations.into_iter().flat_map(move |a| {
            [(rows, true, a, true), (rows, false, a, true), (rows, true, a, false), (rows, false, a, false)]
        })
    }) {
        let (width, out) = (4, 3);
        let shape = |last| [rows, &[last]].concat();
        let (x, weight) =
            (random.tensor(&shape(width)), random.tensor(&[out, width]).cast(DType::F32).unwrap());
        let (b, r) = (random.tensor(&[out]), random.tensor(&shape(out)));
        let (xs, ws) = (x.to_f64(), weight.to_f64());
        let expected: Vec<f64> = (0..r.element_count())
            .map(|at| {
                let (row, column) = (at / out, at % out);
                let mut y: f64 = (0..width).map(|k| xs[row * width + k] * ws[column * width + k]).sum();
                y += if bias { b.to_f64()[column] } else { 0.0 };
                y = match activation {
                    None => y,
                    Some(Activation::Gelu(form)) => gelu(y, form),
                    Some(Activation::Tanh) => y.tanh(),
                };
                y + if residual { r.to_f64()[at] } else { 0.0 }
            })
            .collect();
        let mut inputs = vec![x, weight];
        inputs.extend(bias.then_some(b));
        inputs.extend(residual.then_some(r));
        let parts = Linear { bias, activation, residual };
        check(&format!("{parts:?} of {rows:?}"), Op::Linear(parts), &inputs, &expected);
    }
}

/// Attention of one head's worth at a time, over the pairs of rows that `allowed` names.
struct Heads<'a> {
    q: &'a [f64],
    k: &'a [f64],
    v: &'a [f64],
    hidden: usize,
    heads: usize,
    scale: f64,
}

impl Heads<'_> {
    fn context(&self, queries: usize, keys: usize, allowed: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let size = self.hidden / self.heads;
        let mut context = vec![0.0; queries * self.hidden];
        for (i, head) in (0..queries).flat_map(|i| (0..self.heads).map(move |head| (i, head))) {
            let at = |row: usize, d: usize| row * self.hidden + head * size + d;
            let score = |j| (0..size).map(|d| self.q[at(i, d)] * self.k[at(j, d)]).sum::<f64>() * self.scale;
            let scores: Vec<f64> =
                (0..keys).map(|j| if allowed(i, j) { score(j) } else { f64::NEG_INFINITY }).collect();
            for (j, p) in softmax_row(&scores).into_iter().enumerate() {
                (0..size).for_each(|d| context[at(i, d)] += p * self.v[at(j, d)]);
            }
        }
        context
    }
}

/// q, k and v side by side along the last axis.
fn merged(parts: [&HostTensor; 3], hidden: usize) -> HostTensor {
    let all = parts.map(HostTensor::to_f64);
    let rows = all[0].len() / hidden;
    let joined: Vec<f64> = (0..rows)
        .flat_map(|row| all.iter().flat_map(move |part| part[row * hidden..(row + 1) * hidden].to_vec()))
        .collect();
    let mut shape = parts[0].shape().to_vec();
    *shape.last_mut().unwrap() = 3 * hidden;
    floats(&shape, &joined)
}

#[test]
fn attention_is_its_formula_in_every_form() {
    let mut random = Random(SEED);
    let (heads, hidden, scale) = (2, 6, 0.4);
    let (batch, seq) = (2, 4);
    // The second sequence has no key that counts.
    let mask = [true, true, false, true, false, false, false, false];
    let ends = [3i64, 3, 8];
    let of_sequence = |row: usize| ends.iter().filter(|&&end| row as i64 >= end).count();
    for sequences in [Sequences::Dense, Sequences::KeyMask, Sequences::Ends] {
        let packed = sequences == Sequences::Ends;
        let shape = if packed { vec![batch * seq, hidden] } else { vec![batch, seq, hidden] };
        let [q, k, v] = [(); 3].map(|()| random.tensor(&shape));
        let all = [&q, &k, &v].map(HostTensor::to_f64);
        let block = |b: usize, rows: usize| {
            let range = b * rows * hidden..(b + 1) * rows * hidden;
            Heads {
                q: &all[0][range.clone()],
                k: &all[1][range.clone()],
                v: &all[2][range],
                hidden,
                heads,
                scale,
            }
        };
        let expected: Vec<f64> = if packed {
            block(0, batch * seq).context(batch * seq, batch * seq, |i, j| of_sequence(i) == of_sequence(j))
        } else {
            let counts = |b: usize, j: usize| sequences == Sequences::Dense || mask[b * seq + j];
            (0..batch).flat_map(|b| block(b, seq).context(seq, seq, |_, j| counts(b, j))).collect()
        };
        let last = match sequences {
            Sequences::Dense => None,
            Sequences::KeyMask => Some(truths(&[batch, seq], &mask)),
            Sequences::Ends => Some(integers(&[ends.len()], &ends)),
        };
        for operands in [Operands::Separate, Operands::Merged] {
            let mut inputs = match operands {
                Operands::Separate => vec![q.clone(), k.clone(), v.clone()],
                Operands::Merged => vec![merged([&q, &k, &v], hidden)],
            };
            inputs.extend(last.clone());
            let op = Op::Attention(Attention { heads, scale, operands, sequences });
            check(&format!("{operands:?} {sequences:?}"), op, &inputs, &expected);
        }
    }
}

#[test]
fn attention_takes_keys_of_another_length() {
    let mut random = Random(SEED);
    let (q, k, v) = (random.tensor(&[1, 2, 4]), random.tensor(&[1, 5, 4]), random.tensor(&[1, 5, 4]));
    let all = [&q, &k, &v].map(HostTensor::to_f64);
    let heads = Heads { q: &all[0], k: &all[1], v: &all[2], hidden: 4, heads: 1, scale: 0.5 };
    let expected = heads.context(2, 5, |_, _| true);
    let attention =
        Attention { heads: 1, scale: 0.5, operands: Operands::Separate, sequences: Sequences::Dense };
    check("cross attention", Op::Attention(attention), &[q, k, v], &expected);
}

#[test]
fn pooling_is_its_formula_padded_and_packed() {
    let mut random = Random(SEED);
    let (hidden, seq) = (3, 4);
    let lengths = [2usize, 0, 4];
    let rows: Vec<Vec<f64>> = (0..6).map(|_| random.tensor(&[hidden]).to_f64()).collect();
    let of = [&rows[..2], &rows[2..2], &rows[2..]];
    let pooled = |kind: PoolKind| -> Vec<f64> {
        let column = |rows: &[Vec<f64>], at: usize| -> f64 {
            let column = rows.iter().map(|row| row[at]);
            match kind {
                PoolKind::Mean if rows.is_empty() => 0.0,
                PoolKind::Mean => column.sum::<f64>() / rows.len() as f64,
                PoolKind::Max => column.fold(f64::NEG_INFINITY, f64::max),
            }
        };
        of.iter().flat_map(|rows| (0..hidden).map(|at| column(rows, at)).collect::<Vec<_>>()).collect()
    };
    // What padding holds must not matter.
    let padded: Vec<f64> = of
        .iter()
        .flat_map(|rows| {
            let mut flat = rows.concat();
            flat.resize(seq * hidden, 99.0);
            flat
        })
        .collect();
    let mask: Vec<bool> = lengths.iter().flat_map(|&len| (0..seq).map(move |at| at < len)).collect();
    let padded = [floats(&[3, seq, hidden], &padded), truths(&[3, seq], &mask)];
    let packed = [floats(&[6, hidden], &rows.concat()), integers(&[3], &[2, 2, 6])];
    for kind in [PoolKind::Mean, PoolKind::Max] {
        let expected = pooled(kind);
        check(
            &format!("{kind:?} padded"),
            Op::Pool { kind, sequences: Sequences::KeyMask },
            &padded,
            &expected,
        );
        check(&format!("{kind:?} packed"), Op::Pool { kind, sequences: Sequences::Ends }, &packed, &expected);
    }
}
