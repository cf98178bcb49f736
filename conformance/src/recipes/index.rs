//! Rows by index: gathered, and added.

use super::{Computed, Fault, Recipe, f32s, through};
use lockstep_runtime::tensor::{DType, HostTensor};

/// The rows of an axis: `outer` blocks of `extent` rows of `inner` elements.
fn blocks(shape: &[usize], axis: usize) -> Option<(usize, usize, usize)> {
    let extent = *shape.get(axis)?;
    Some((shape[..axis].iter().product(), extent, shape[axis + 1..].iter().product()))
}

/// Indices, if all are within; what must be refused has no recipe.
fn places(index: &HostTensor, extent: usize) -> Option<Vec<usize>> {
    let within = |at: &f64| (0.0..extent as f64).contains(at);
    index.to_f64().into_iter().map(|at| within(&at).then_some(at as usize)).collect()
}

pub(super) fn index_add(recipe: &Recipe, inputs: &[HostTensor], axis: usize) -> Option<Computed> {
    let [base, index, source] = inputs else { return None };
    let (outer, extent, inner) = blocks(base.shape(), axis)?;
    let index = places(index, extent)?;
    let mut sums = f32s(base);
    if recipe.has(Fault::BaseForgotten) {
        sums.fill(0.0);
    }
    let source = f32s(source);
    let mut order: Vec<usize> = (0..index.len()).collect();
    if recipe.other_formula {
        order.reverse();
    }
    if recipe.has(Fault::UpdateLost) {
        order.truncate(index.len().saturating_sub(1));
    }
    for block in 0..outer {
        for &at in &order {
            for column in 0..inner {
                let from = source[(block * index.len() + at) * inner + column];
                let sum = &mut sums[(block * extent + index[at]) * inner + column];
                let added = if recipe.has(Fault::DuplicatesLost) && index[..at].contains(&index[at]) {
                    *sum
                } else {
                    *sum + from
                };
                *sum = if recipe.has(Fault::AccumulateInF16) { through(added, DType::F16) } else { added };
            }
        }
    }
    Some((base.shape().to_vec(), sums.into_iter().map(f64::from).collect()))
}

/// The f32 sums of the rows that each table's index picks.
pub(super) fn sum_of_rows(recipe: &Recipe, pairs: &[HostTensor]) -> Option<HostTensor> {
    let mut sum: Option<(Vec<usize>, Vec<f32>)> = None;
    for pair in pairs.chunks_exact(2) {
        let (shape, rows) = gather(recipe, &pair[0], &pair[1], 0)?;
        let rows = rows.into_iter().map(|x| x as f32);
        match &mut sum {
            None => sum = Some((shape, rows.collect())),
            Some((_, sum)) => sum.iter_mut().zip(rows).for_each(|(sum, x)| *sum += x),
        }
    }
    let (shape, values) = sum?;
    HostTensor::from_slice(&shape, &values).ok()
}

pub(super) fn gather(
    recipe: &Recipe,
    data: &HostTensor,
    index: &HostTensor,
    axis: usize,
) -> Option<Computed> {
    let (outer, extent, inner) = blocks(data.shape(), axis)?;
    let (last, rows) = (extent.checked_sub(1), places(index, extent)?);
    let source = data.to_f64();
    let mut values = Vec::new();
    for block in 0..outer {
        for &at in &rows {
            let at = match recipe.fault {
                Some(Fault::IndexOffByOne) => (at + 1).min(last?),
                Some(Fault::IndexInEightBits) => at & 0xff,
                Some(Fault::IndexClamped) => at.min(last?.saturating_sub(1)),
                _ => at,
            };
            values.extend_from_slice(source.get((block * extent + at) * inner..)?.get(..inner)?);
        }
    }
    let mut shape = data.shape()[..axis].to_vec();
    shape.extend_from_slice(index.shape());
    shape.extend_from_slice(&data.shape()[axis + 1..]);
    Some((shape, values))
}
