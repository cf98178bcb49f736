//! The bound of each op, from its inputs. Magnitudes (`|A| |B|`, sums of `|x|`) are the reference's own, of inputs without
//! their signs.

use crate::bounds::{Arithmetic, REDUCED_F32_UNIT, Scores, Summed, largest_finite};
use lockstep_runtime::graph::{
    Activation, Attention, BinaryOp, Linear, Op, Operands, PoolKind, ReduceOp, Sequences, UnaryOp,
};
use lockstep_runtime::hal::NumericsProfile;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Error, Result};

/// The largest error of ln in units, from the table of the processor's kernels; the C library's is smaller.
const LOG_ULP: f64 = 0.8;
/// exp and one plus it, then a division.
const SIGMOID_ROUNDINGS: f64 = 2.0;

/// Runs an op on the oracle.
pub type Reference<'a> = dyn Fn(&Op, &[HostTensor]) -> Result<HostTensor> + 'a;

/// What a device may be off by, element by element; 0 where an op computes nothing. `inputs` and `truth` are in f64, but for
/// weights, which may be in the dtype that they are stored in.
///
/// # Errors
/// Those of `reference`, which computes magnitudes.
pub fn bound(
    op: &Op,
    inputs: &[HostTensor],
    truth: &HostTensor,
    arithmetic: Arithmetic,
    profile: &NumericsProfile,
    reference: &Reference<'_>,
) -> Result<Vec<f64>> {
    let exact = vec![0.0; truth.element_count()];
    if !truth.dtype().is_float() {
        return Ok(exact);
    }
    // An attention may go through f32, whatever it stores.
    let multiplies_f32 = arithmetic.storage == DType::F32 || matches!(op, Op::Attention(_));
    let arithmetic = match profile.reduced_f32_products && multiplies_f32 {
        true => arithmetic.with_factors(REDUCED_F32_UNIT),
        false => arithmetic,
    };
    let y = truth.to_f64();
    let each = |error: &dyn Fn(f64) -> f64| y.iter().map(|&y| error(y)).collect::<Vec<f64>>();
    let magnitudes = |op: &Op, inputs: &[HostTensor]| {
        let inputs = inputs.iter().map(magnitude).collect::<Result<Vec<_>>>()?;
        reference(op, &inputs).map(|sums| sums.to_f64())
    };
    let computed = match op {
        Op::Select
        | Op::Cast { .. }
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. }
        | Op::Compare(_)
        | Op::Custom(_)
        | Op::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Relu | UnaryOp::Not)
        | Op::Binary(BinaryOp::Max | BinaryOp::Min | BinaryOp::And | BinaryOp::Or)
        | Op::Reduce { op: ReduceOp::Max | ReduceOp::Min, .. }
        | Op::Pool { kind: PoolKind::Max, .. } => return Ok(exact),
        // Where one plus the exponential overflows, its reciprocal is 0.
        Op::Unary(UnaryOp::Sigmoid) => each(&|y| {
            let overflows = y * (1.0 - arithmetic.unit()) < 1.0 / largest_finite(arithmetic.accumulate);
            let rounded = arithmetic.function(profile.exp_ulp + SIGMOID_ROUNDINGS, y);
            if overflows { rounded.max(y) } else { rounded }
        }),
        Op::Unary(function) => {
            let ulp = match function {
                UnaryOp::Exp => profile.exp_ulp,
                UnaryOp::Erf => profile.erf_ulp,
                UnaryOp::Tanh => profile.tanh_ulp,
                UnaryOp::Log => LOG_ULP,
                // Correctly rounded; the store counts that rounding.
                _ => 0.5,
            };
            each(&|y| arithmetic.function(ulp, y))
        }
        Op::Binary(_) => each(&|y| arithmetic.function(0.5, y)),
        Op::MatMul => {
            let k = inputs[0].shape()[inputs[0].shape().len() - 1];
            magnitudes(op, inputs)?.iter().map(|&sum| arithmetic.products(k, sum)).collect()
        }
        Op::IndexAdd { .. } => {
            let additions = inputs[1].element_count();
            magnitudes(op, inputs)?.iter().map(|&sum| arithmetic.sum(additions, sum)).collect()
        }
        Op::Reduce { op: how, axes, .. } => {
            let terms = axes.iter().map(|&axis| inputs[0].shape()[axis]).product::<usize>();
            let bound = |&magnitude: &f64| match how {
                ReduceOp::Mean => arithmetic.mean(terms, magnitude),
                _ => arithmetic.sum(terms + 1, magnitude),
            };
            magnitudes(op, inputs)?.iter().map(bound).collect()
        }
        Op::Pool { kind: PoolKind::Mean, .. } => {
            let rows = inputs[0].element_count() / inputs[0].shape().last().copied().unwrap_or(1).max(1);
            magnitudes(op, inputs)?.iter().map(|&mean| arithmetic.mean(rows, mean)).collect()
        }
        Op::Softmax { axis } => rows_along(truth.shape(), *axis, |row| {
            let x = inputs[0].to_f64();
            let pick = |values: &[f64]| row.iter().map(|&at| values[at]).collect::<Vec<f64>>();
            arithmetic.softmax(&pick(&x), &pick(&y))
        }),
        Op::LayerNorm { epsilon } => {
            let x = inputs[0].to_f64();
            layer_norm(Summed::exact(&x), &inputs[1], &inputs[2], *epsilon, arithmetic)
        }
        Op::AddLayerNorm { epsilon } => {
            let sum: Vec<f64> =
                inputs[0].to_f64().iter().zip(inputs[1].to_f64()).map(|(a, b)| a + b).collect();
            let rows = Summed { magnitudes: &sum, values: &sum, additions: 1 };
            layer_norm(rows, &inputs[2], &inputs[3], *epsilon, arithmetic)
        }
        Op::EmbedLayerNorm { epsilon, .. } => embed_layer_norm(inputs, *epsilon, arithmetic, reference)?,
        Op::Gelu(_) => (inputs[0].to_f64().iter().zip(&y)).map(|(&x, &y)| arithmetic.gelu(x, y)).collect(),
        Op::Linear(parts) => linear(parts, inputs, &y, arithmetic, profile, reference)?,
        Op::Attention(attention) => of_attention(attention, inputs, &y, arithmetic, reference)?,
    };
    // Where a partial result may overflow the result may be anything, whatever it should be.
    let stored = |(&bound, &y): (&f64, &f64)| {
        if bound == f64::INFINITY { bound } else { bound + arithmetic.stored(y) }
    };
    Ok(computed.iter().zip(&y).map(stored).collect())
}

/// Of what is finite: an infinity or a NaN in the truth leaves no room for an error, and the rest may still overflow beside it.
fn finite_size(x: f64) -> f64 {
    if x.is_finite() { x.abs() } else { 0.0 }
}

fn magnitude(tensor: &HostTensor) -> Result<HostTensor> {
    if !tensor.dtype().is_float() {
        return Ok(tensor.clone());
    }
    let values: Vec<f64> = tensor.to_f64().into_iter().map(finite_size).collect();
    HostTensor::from_f64(tensor.dtype(), tensor.shape(), &values).map_err(Error::from)
}

/// Calls `of` with the places of each row along `axis` and puts its answers there.
fn rows_along(shape: &[usize], axis: usize, of: impl Fn(&[usize]) -> Vec<f64>) -> Vec<f64> {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut bounds = vec![0.0; outer * shape[axis] * inner];
    for block in 0..outer {
        for column in 0..inner {
            let row: Vec<usize> =
                (0..shape[axis]).map(|at| (block * shape[axis] + at) * inner + column).collect();
            for (&at, bound) in row.iter().zip(of(&row)) {
                bounds[at] = bound;
            }
        }
    }
    bounds
}

fn layer_norm(
    rows: Summed<'_>,
    gamma: &HostTensor,
    beta: &HostTensor,
    epsilon: f64,
    arithmetic: Arithmetic,
) -> Vec<f64> {
    let (gamma, beta) = (gamma.to_f64(), beta.to_f64());
    // Rows of no elements are none.
    let width = gamma.len().max(1);
    (rows.values.chunks(width).zip(rows.magnitudes.chunks(width)))
        .flat_map(|(values, magnitudes)| {
            let row = Summed { values, magnitudes, additions: rows.additions };
            arithmetic.layer_norm(row, &gamma, &beta, epsilon)
        })
        .collect()
}

/// LayerNorm of sums whose every partial sum is at most the sum of the magnitudes.
fn embed_layer_norm(
    inputs: &[HostTensor],
    epsilon: f64,
    arithmetic: Arithmetic,
    reference: &Reference<'_>,
) -> Result<Vec<f64>> {
    let (pairs, affine) = inputs.split_at(inputs.len() - 2);
    let mut sums = Vec::new();
    let mut magnitudes = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let rows = reference(&Op::Gather { axis: 0 }, pair)?.to_f64();
        sums.resize(rows.len(), 0.0);
        magnitudes.resize(rows.len(), 0.0);
        sums.iter_mut().zip(&rows).for_each(|(sum, x)| *sum += x);
        magnitudes.iter_mut().zip(&rows).for_each(|(sum, x)| *sum += x.abs());
    }
    let rows = Summed { values: &sums, magnitudes: &magnitudes, additions: pairs.len() / 2 - 1 };
    Ok(layer_norm(rows, &affine[0], &affine[1], epsilon, arithmetic))
}

/// The product's error through the activation (GELU's slope is at most 1.13, tanh's 1), the activation's own, and the
/// residual's rounding.
fn linear(
    parts: &Linear,
    inputs: &[HostTensor],
    y: &[f64],
    arithmetic: Arithmetic,
    profile: &NumericsProfile,
    reference: &Reference<'_>,
) -> Result<Vec<f64>> {
    let product = Op::Linear(Linear { activation: None, residual: false, ..*parts });
    let operands = 2 + usize::from(parts.bias);
    let k = inputs[1].shape()[1];
    let before = reference(&product, &inputs[..operands])?.to_f64();
    let magnitudes = inputs[..operands].iter().map(magnitude).collect::<Result<Vec<_>>>()?;
    let magnitudes = reference(&product, &magnitudes)?.to_f64();
    let residual = parts.residual.then(|| inputs[operands].to_f64());
    Ok((0..y.len())
        .map(|at| {
            let activated = y[at] - residual.as_ref().map_or(0.0, |residual| residual[at]);
            // The bias is one addition more.
            let of_product = arithmetic.products(k + 1, magnitudes[at]);
            if of_product == f64::INFINITY {
                return of_product;
            }
            let through = match parts.activation {
                None => of_product,
                Some(Activation::Gelu(_)) => 1.13 * of_product + arithmetic.gelu(before[at], activated),
                Some(Activation::Tanh) => of_product + arithmetic.function(profile.tanh_ulp, activated),
            };
            through + if parts.residual { arithmetic.function(0.5, y[at]) } else { 0.0 }
        })
        .collect())
}

fn of_attention(
    attention: &Attention,
    inputs: &[HostTensor],
    y: &[f64],
    arithmetic: Arithmetic,
    reference: &Reference<'_>,
) -> Result<Vec<f64>> {
    let shape = inputs[0].shape();
    let merged = attention.operands == Operands::Merged;
    let hidden = shape[shape.len() - 1] / if merged { 3 } else { 1 };
    let size = hidden / attention.heads;
    let keys = match (attention.sequences, merged) {
        (Sequences::Ends, _) => shape[0],
        (_, true) => shape[1],
        (_, false) => inputs[1].shape()[1],
    };
    // The longest row of a head bounds every score: |q| |k| scale, by Cauchy and Schwarz.
    let longest = |tensor: &HostTensor, skip: usize| {
        let (values, width) = (tensor.to_f64(), tensor.shape()[tensor.shape().len() - 1].max(1));
        let heads = values.chunks(width).flat_map(|row| row[skip..skip + hidden].chunks(size));
        heads.map(|head| head.iter().map(|&x| finite_size(x).powi(2)).sum::<f64>().sqrt()).fold(0.0, f64::max)
    };
    let (q, k) = if merged {
        (longest(&inputs[0], 0), longest(&inputs[0], hidden))
    } else {
        (longest(&inputs[0], 0), longest(&inputs[1], 0))
    };
    // The same weights over values without their signs.
    let mut unsigned = inputs.to_vec();
    if merged {
        let width = 3 * hidden;
        let mut values = inputs[0].to_f64();
        values
            .iter_mut()
            .enumerate()
            .filter(|(at, _)| at % width >= 2 * hidden)
            .for_each(|(_, x)| *x = x.abs());
        unsigned[0] = HostTensor::from_f64(DType::F64, shape, &values)?;
    } else {
        let values: Vec<f64> = inputs[2].to_f64().iter().map(|x| x.abs()).collect();
        unsigned[2] = HostTensor::from_f64(DType::F64, inputs[2].shape(), &values)?;
    }
    let weighted = reference(&Op::Attention(*attention), &unsigned)?.to_f64();
    let values = if merged { inputs[0].to_f64() } else { inputs[2].to_f64() };
    let value = values.iter().fold(0.0f64, |largest, x| largest.max(finite_size(*x)));
    let scores = Scores { size, keys, score: q * k, scale: attention.scale.abs() };
    let bound = |(&weighted, &y): (&f64, &f64)| {
        // Times an infinite value a weight that is 0 in the accumulate dtype, and not in the truth, is NaN.
        let is_unsettled = y.is_infinite() && arithmetic.may_lose_weights(scores);
        if is_unsettled { f64::INFINITY } else { arithmetic.attention(scores, weighted, value) }
    };
    Ok(weighted.iter().zip(y).map(bound).collect())
}
