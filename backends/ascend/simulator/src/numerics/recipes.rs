//! The operators whose published kernels on 910B differ from the textbook's formula, step by step and rounding by
//! rounding, in f32. A release may differ, and none of it was compared with silicon.

// Constants have the digits that were published.
#![allow(clippy::excessive_precision)]

use super::elementary::Elementary;
use super::storage::Element;
use super::{Number, Rounding};
use half::f16;

/// GELU by tanh, written with one exponential: `x / (1 + exp(-1.5957691 (x + 0.044715 x^3)))`.
///
/// `x` becomes the result; `scratch` is as long.
pub(crate) fn gelu_tanh(x: &mut [f32], scratch: &mut [f32]) {
    logistic(x, scratch, |x| -1.595_769_1 * (x + 0.044_715 * (x * x * x)));
}

/// GELU by erf, with an odd polynomial of `min(x, 5.75)` in the exponent instead of erf.
///
/// `x` becomes the result; `scratch` is as long.
pub(crate) fn gelu_erf(x: &mut [f32], scratch: &mut [f32]) {
    const COEFFICIENTS: [f32; 7] = [
        -0.351_233_957_2e-8,
        0.264_526_617e-6,
        -0.792_948_813_4e-5,
        0.110_612_384e-3,
        0.651_899_581_4e-4,
        -0.726_661_691_5e-1,
        -1.595_769_883,
    ];
    logistic(x, scratch, |x| {
        // A NaN must not become the bound.
        let t = if x > 5.75 { 5.75 } else { x };
        let square = t * t;
        let polynomial = COEFFICIENTS.iter().copied().reduce(|sum, next| sum * square + next).unwrap_or(0.0);
        polynomial * t
    });
}

/// `x / (1 + exp(-1.702 x))`.
///
/// `x` becomes the result; `scratch` is as long.
pub(crate) fn fast_gelu(x: &mut [f32], scratch: &mut [f32]) {
    logistic(x, scratch, |x| -1.702 * x);
}

/// `x / (1 + exp(exponent(x)))`.
fn logistic(x: &mut [f32], scratch: &mut [f32], exponent: impl Fn(f32) -> f32) {
    for (scratch, &x) in scratch.iter_mut().zip(x.iter()) {
        *scratch = exponent(x);
    }
    f32::exp_all(scratch);
    for (x, &exp) in x.iter_mut().zip(scratch.iter()) {
        *x /= 1.0 + exp;
    }
}

/// How `1 / sqrt(variance + epsilon)` is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReciprocalRoot {
    /// By division and root: high precision.
    Root,
    /// As `exp(-0.5 ln(variance + epsilon))`: high performance.
    Logarithm,
}

/// Which of a row's statistics pass through f16, as they do where gamma and beta are f16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statistics {
    /// Kept in the type that is computed in.
    Wide,
    /// Mean and reciprocal deviation, rounded to f16 and widened again before they are used.
    ThroughF16,
    /// Mean and variance likewise; the reciprocal deviation is made of that variance and not rounded: the operator of
    /// compiled graphs.
    VarianceThroughF16,
}

/// Mean and reciprocal standard deviation of a row.
///
/// `mean = sum(x * (1 / n))`, `variance = sum((x - mean)^2 * (1 / n))`. The order of the device's sums is not
/// published: these run in 16 interleaved chains, added as a tree.
pub(crate) fn row_statistics<C: Elementary>(
    row: &[C],
    epsilon: f64,
    root: ReciprocalRoot,
    statistics: Statistics,
) -> (C, C) {
    let share = C::ONE.divide(C::of_f64(row.len() as f64));
    let round =
        |value: C, is_rounded: bool| if is_rounded { C::of_f32(value.to_f16().to_f32()) } else { value };
    let mean = round(sum(row, |x| x.multiply(share)), statistics != Statistics::Wide);
    let variance = sum(row, |x| {
        let deviation = x.subtract(mean);
        deviation.multiply(deviation).multiply(share)
    });
    let variance = round(variance, statistics == Statistics::VarianceThroughF16);
    let shifted = variance.add(C::of_f64(epsilon));
    let reciprocal = match root {
        ReciprocalRoot::Root => C::ONE.divide(shifted.square_root()),
        ReciprocalRoot::Logarithm => {
            let mut value = [shifted];
            C::log_all(&mut value);
            value[0] = value[0].multiply(C::of_f64(-0.5));
            C::exp_all(&mut value);
            value[0]
        }
    };
    (mean, round(reciprocal, statistics == Statistics::ThroughF16))
}

/// The sum of `term(x)` over a row, in 16 interleaved chains that are added as a tree.
pub(crate) fn sum<C: Number>(row: &[C], term: impl Fn(C) -> C) -> C {
    let mut chains = [C::ZERO; 16];
    let mut parts = row.chunks_exact(16);
    for part in &mut parts {
        for (chain, &x) in chains.iter_mut().zip(part) {
            *chain = chain.add(term(x));
        }
    }
    for (chain, &x) in chains.iter_mut().zip(parts.remainder()) {
        *chain = chain.add(term(x));
    }
    let mut width = chains.len() / 2;
    while width > 0 {
        for i in 0..width {
            chains[i] = chains[i].add(chains[i + width]);
        }
        width /= 2;
    }
    chains[0]
}

/// LayerNorm of a row with every operation in f16: `row` becomes `(x - mean) * rstd * gamma + beta`. Returns mean
/// and rstd. The sums are trees over halves of the row, which is our choice.
pub(crate) fn layer_norm_in_f16(row: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f64) -> (f32, f32) {
    let half = |value: f32| f16::from_f32(value).to_f32();
    let share = half(1.0 / row.len() as f32);
    let mut terms: Vec<f32> = row.iter().map(|&x| half(x * share)).collect();
    let mean = tree_sum_in_f16(&mut terms);
    for (term, &x) in terms.iter_mut().zip(row.iter()) {
        let deviation = half(x - mean);
        *term = half(half(deviation * deviation) * share);
    }
    let variance = tree_sum_in_f16(&mut terms);
    let mut value = [half(variance + half(epsilon as f32))];
    f32::log_all(&mut value);
    value[0] = half(half(value[0]) * -0.5);
    f32::exp_all(&mut value);
    let rstd = half(value[0]);
    for ((x, &gamma), &beta) in row.iter_mut().zip(gamma).zip(beta) {
        let normalized = half(half(*x - mean) * rstd);
        *x = half(half(normalized * gamma) + beta);
    }
    (mean, rstd)
}

fn tree_sum_in_f16(terms: &mut [f32]) -> f32 {
    let mut count = terms.len();
    while count > 1 {
        let half = count.div_ceil(2);
        for i in 0..count - half {
            terms[i] = f16::from_f32(terms[i] + terms[i + half]).to_f32();
        }
        count = half;
    }
    terms.first().copied().unwrap_or(0.0)
}

/// What a softmax leaves in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// `exp(x - max) / sum`.
    Probability,
    /// `x - max - ln(sum)`.
    Logarithm,
}

/// Softmax of a row in place. With [`Statistics::ThroughF16`] `x - max` is rounded to f16 first, as for f16 input;
/// the rest is in `C`. A row of one value repeated, zeros included, is even; a NaN makes the whole row NaN.
pub(crate) fn softmax<C: Elementary>(
    row: &mut [C],
    scale: Scale,
    statistics: Statistics,
    scratch: &mut Vec<C>,
) {
    let Some(max) = row.iter().copied().reduce(larger) else { return };
    row.iter_mut().for_each(|x| *x = x.subtract(max));
    if statistics == Statistics::ThroughF16 {
        Element::F16.narrow(row, Rounding::default());
    }
    match scale {
        Scale::Probability => {
            C::exp_all(row);
            let sum = sum(row, |x| x);
            row.iter_mut().for_each(|x| *x = x.divide(sum));
        }
        Scale::Logarithm => {
            scratch.clear();
            scratch.extend_from_slice(row);
            C::exp_all(scratch);
            let mut sum = [sum(scratch, |x| x)];
            C::log_all(&mut sum);
            row.iter_mut().for_each(|x| *x = x.subtract(sum[0]));
        }
    }
}

/// The larger of two; NaN if either is.
pub(crate) fn larger<C: Number>(a: C, b: C) -> C {
    if b > a || b.is_nan() { b } else { a }
}

/// The smaller of two; NaN if either is.
pub(crate) fn smaller<C: Number>(a: C, b: C) -> C {
    if b < a || b.is_nan() { b } else { a }
}

#[cfg(test)]
mod tests;
