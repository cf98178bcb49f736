//! Products.

use super::elementwise::{gelu_of, tanh_of};
use super::{Computed, Fault, Recipe, f32s};
use lockstep_runtime::graph::{Activation, Linear};
use lockstep_runtime::tensor::HostTensor;

pub(super) fn linear(recipe: &Recipe, parts: &Linear, inputs: &[HostTensor]) -> Option<Computed> {
    let (x, weight) = (f32s(inputs.first()?), f32s(inputs.get(1)?));
    let &[out, k] = inputs[1].shape() else { return None };
    let bias = if parts.bias { f32s(inputs.get(2)?) } else { vec![0.0; out] };
    let residual = if parts.residual { Some(f32s(inputs.last()?)) } else { None };
    let transposed = recipe.has(Fault::WeightTransposed) && out == k;
    let weight = if transposed { transpose(&weight, k) } else { weight };
    let rows = inputs[0].element_count().checked_div(k).unwrap_or(0);
    let mut values = Vec::with_capacity(rows * out);
    for row in 0..rows {
        for column in 0..out {
            let product = recipe.dot(&x[row * k..][..k], &weight[column * k..][..k]);
            let product = if recipe.has(Fault::OneElementOff) && row == 0 && column == out / 2 {
                product * 1.02
            } else {
                product
            };
            let biased = match recipe.fault {
                Some(Fault::BiasForgotten) => product,
                Some(Fault::BiasTwice) => product + bias[column] + bias[column],
                Some(Fault::BiasShifted) => product + bias[(column + 1) % out],
                _ => product + bias[column],
            };
            let activated = match parts.activation {
                None => biased,
                Some(Activation::Gelu(form)) => gelu_of(recipe, biased, form),
                Some(Activation::Tanh) => tanh_of(recipe, biased),
            };
            let added = match &residual {
                Some(_) if recipe.has(Fault::ResidualForgotten) => activated,
                Some(residual) => activated + residual[row * out + column],
                None => activated,
            };
            values.push(f64::from(added));
        }
    }
    let mut shape = inputs[0].shape().to_vec();
    *shape.last_mut()? = out;
    Some((shape, values))
}

fn transpose(square: &[f32], n: usize) -> Vec<f32> {
    (0..n * n).map(|at| square[at % n * n + at / n]).collect()
}

pub(super) fn matmul(recipe: &Recipe, a: &HostTensor, b: &HostTensor) -> Option<Computed> {
    let (&[.., m, k], &[.., k_too, n]) = (a.shape(), b.shape()) else { return None };
    if k != k_too {
        return None;
    }
    let (a_batch, b_batch) = (&a.shape()[..a.shape().len() - 2], &b.shape()[..b.shape().len() - 2]);
    let rank = a_batch.len().max(b_batch.len());
    let extent =
        |batch: &[usize], axis: usize| (axis + batch.len()).checked_sub(rank).map_or(1, |axis| batch[axis]);
    let mut shape: Vec<usize> = (0..rank)
        .map(|axis| match (extent(a_batch, axis), extent(b_batch, axis)) {
            (1, other) => other,
            (own, _) => own,
        })
        .collect();
    let batches: usize = shape.iter().product();
    let (a_values, b_values) = (f32s(a), f32s(b));
    let mut values = Vec::with_capacity(batches * m * n);
    for batch in 0..batches {
        // The place of this batch in an operand, whose axes of extent 1 repeat.
        let place = |operand: &[usize]| {
            let (mut rest, mut place, mut stride) = (batch, 0, 1);
            for axis in (0..rank).rev() {
                let at = rest % shape[axis];
                rest /= shape[axis];
                place += if extent(operand, axis) == 1 { 0 } else { at * stride };
                stride *= extent(operand, axis);
            }
            place
        };
        let a = &a_values[place(a_batch) * m * k..][..m * k];
        let b = &b_values[place(b_batch) * k * n..][..k * n];
        let b = if recipe.has(Fault::WeightTransposed) && k == n { transpose(b, n) } else { b.to_vec() };
        let columns: Vec<Vec<f32>> =
            (0..n).map(|column| (0..k).map(|at| b[at * n + column]).collect()).collect();
        for row in 0..m {
            for (at, column) in columns.iter().enumerate() {
                let product = recipe.dot(&a[row * k..][..k], column);
                let off = recipe.has(Fault::OneElementOff) && batch + row == 0 && at == n / 2;
                values.push(f64::from(if off { product * 1.02 } else { product }));
            }
        }
    }
    shape.extend([m, n]);
    Some((shape, values))
}
