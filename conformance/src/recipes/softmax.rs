//! Softmax, of a tensor's axis and of a row of scores.

use super::elementwise::coarse_exp;
use super::{Computed, Fault, Recipe, f32s, through};
use lockstep_runtime::tensor::{DType, HostTensor};

pub(super) fn softmax(recipe: &Recipe, x: &HostTensor, axis: usize) -> Option<Computed> {
    let shape = x.shape();
    let axis = if recipe.has(Fault::OtherAxis) && shape.len() > 1 { (axis + 1) % shape.len() } else { axis };
    let extent = *shape.get(axis)?;
    let inner: usize = shape[axis + 1..].iter().product();
    let source = f32s(x);
    let mut values = vec![0.0; source.len()];
    for first in (0..source.len()).filter(|at| extent > 0 && (at / inner).is_multiple_of(extent)) {
        let row: Vec<f32> = (0..extent).map(|at| source[first + at * inner]).collect();
        for (at, weight) in weights(recipe, &row).into_iter().enumerate() {
            values[first + at * inner] = f64::from(weight);
        }
    }
    Some((shape.to_vec(), values))
}

/// The softmax of one row; zeros where nothing is above -inf.
pub(super) fn weights(recipe: &Recipe, row: &[f32]) -> Vec<f32> {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is_masked = largest == f32::NEG_INFINITY && !row.iter().any(|x| x.is_nan());
    if is_masked && !recipe.has(Fault::MaskedRowUnguarded) {
        return vec![0.0; row.len()];
    }
    let largest = if recipe.has(Fault::MaximumForgotten) { 0.0 } else { largest };
    let exp = |x: f32| match recipe.fault {
        Some(Fault::CoarseExp) => coarse_exp(x),
        _ => x.exp(),
    };
    let exponentials: Vec<f32> = row.iter().map(|x| exp(x - largest)).collect();
    let total = match () {
        () if recipe.has(Fault::LastKeyUncounted) => recipe.sum(&exponentials[..row.len() - 1]),
        // The running form: what was summed is scaled whenever a larger score comes.
        () if recipe.other_formula => {
            let (mut peak, mut total) = (f32::NEG_INFINITY, 0.0f32);
            for &x in row {
                let higher = peak.max(x);
                let kept = if total == 0.0 { 0.0 } else { total * (peak - higher).exp() };
                (peak, total) =
                    (higher, kept + if x == f32::NEG_INFINITY { 0.0 } else { (x - higher).exp() });
            }
            total
        }
        () => recipe.sum(&exponentials),
    };
    let divided = exponentials.iter().map(|e| if recipe.fma { e * (1.0 / total) } else { e / total });
    divided.map(|w| if recipe.has(Fault::WeightsInF16) { through(w, DType::F16) } else { w }).collect()
}
