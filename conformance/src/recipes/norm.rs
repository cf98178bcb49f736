//! LayerNorm, with and without a residual.

use super::{Computed, Fault, Recipe, f32s, through};
use lockstep_runtime::tensor::{DType, HostTensor};

pub(super) fn layer_norm(
    recipe: &Recipe,
    x: &HostTensor,
    residual: Option<&HostTensor>,
    affine: &[HostTensor],
    epsilon: f64,
) -> Option<Computed> {
    let [gamma, beta] = affine else { return None };
    let (mut gamma, mut beta) = (f32s(gamma), f32s(beta));
    if recipe.has(Fault::GammaBetaSwapped) {
        std::mem::swap(&mut gamma, &mut beta);
    }
    if recipe.has(Fault::BetaForgotten) {
        beta.fill(0.0);
    }
    if recipe.has(Fault::NormOfF16Affine) {
        gamma.iter_mut().chain(&mut beta).for_each(|x| *x = through(*x, DType::F16));
    }
    let mut values = f32s(x);
    if let Some(residual) = residual
        && !recipe.has(Fault::ResidualForgotten)
    {
        values.iter_mut().zip(f32s(residual)).for_each(|(x, residual)| *x += residual);
    }
    let normalised = values.chunks(gamma.len().max(1)).flat_map(|row| {
        let (mean, deviation) = statistics(recipe, row, epsilon as f32);
        let one = |((x, gamma), beta): ((&f32, &f32), &f32)| {
            let normalised =
                if recipe.other_formula { (x - mean) * (1.0 / deviation) } else { (x - mean) / deviation };
            f64::from(if recipe.fma { normalised.mul_add(*gamma, *beta) } else { normalised * gamma + beta })
        };
        row.iter().zip(&gamma).zip(&beta).map(one).collect::<Vec<_>>()
    });
    Some((x.shape().to_vec(), normalised.collect()))
}

/// A row's mean and the root of its variance and epsilon.
fn statistics(recipe: &Recipe, row: &[f32], epsilon: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let epsilon = if recipe.has(Fault::EpsilonTooLarge) { 1e-3 } else { epsilon };
    let (mut mean, mut variance) = match recipe.fault {
        Some(Fault::OnePassVariance) => {
            let mean = recipe.sum(row) / n;
            (mean, recipe.dot(row, row) / n - mean * mean)
        }
        _ if recipe.other_formula => welford(row),
        _ => {
            let mean = if recipe.has(Fault::MeanForgotten) { 0.0 } else { recipe.sum(row) / n };
            let centred: Vec<f32> = row.iter().map(|x| x - mean).collect();
            (mean, recipe.dot(&centred, &centred) / n)
        }
    };
    if recipe.has(Fault::VarianceOverNMinus1) {
        variance *= n / (n - 1.0);
    }
    if recipe.has(Fault::StatisticsInF16) {
        (mean, variance) = (through(mean, DType::F16), through(variance, DType::F16));
    }
    let deviation = match recipe.fault {
        Some(Fault::EpsilonOutsideRoot) => variance.sqrt() + epsilon,
        Some(Fault::EpsilonForgotten) => variance.sqrt(),
        _ => (variance + epsilon).sqrt(),
    };
    match recipe.fault {
        Some(Fault::ReciprocalRootOf12Bits) => (mean, 1.0 / coarse(1.0 / deviation)),
        Some(Fault::NormOfF16Affine) => {
            (through(mean, DType::F16), 1.0 / through(1.0 / deviation, DType::F16))
        }
        _ => (mean, deviation),
    }
}

/// What hardware estimates give: 12 bits.
fn coarse(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !0x0fff)
}

/// Mean and variance in one stable pass (Welford, Note on a method for calculating corrected sums of squares, 1962).
fn welford(row: &[f32]) -> (f32, f32) {
    let (mut mean, mut squares) = (0.0f32, 0.0f32);
    for (at, &x) in row.iter().enumerate() {
        let before = x - mean;
        mean += before / (at + 1) as f32;
        squares += before * (x - mean);
    }
    (mean, squares / row.len() as f32)
}
