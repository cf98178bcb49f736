//! Sums, means and extremes along axes.

use super::{Computed, Fault, Recipe, f32s};
use lockstep_runtime::graph::ReduceOp;
use lockstep_runtime::tensor::HostTensor;

pub(super) fn reduce(
    recipe: &Recipe,
    x: &HostTensor,
    op: ReduceOp,
    axes: &[usize],
    keep_axes: bool,
) -> Option<Computed> {
    let shape = x.shape();
    let is_reduced = |axis: usize| axes.contains(&axis);
    let kept: Vec<usize> =
        (0..shape.len()).map(|axis| if is_reduced(axis) { 1 } else { shape[axis] }).collect();
    let outputs: usize = kept.iter().product();
    let mut groups: Vec<Vec<f32>> = vec![Vec::new(); outputs];
    for (flat, value) in f32s(x).into_iter().enumerate() {
        let (mut rest, mut place, mut stride) = (flat, 0, 1);
        for axis in (0..shape.len()).rev() {
            if !is_reduced(axis) {
                place += rest % shape[axis] * stride;
            }
            rest /= shape[axis];
            stride *= kept[axis];
        }
        groups[place].push(value);
    }
    let values = groups.iter().map(|group| f64::from(of(recipe, group, op))).collect();
    let shape = kept.iter().enumerate().filter(|(axis, _)| keep_axes || !is_reduced(*axis));
    Some((shape.map(|(_, &extent)| extent).collect(), values))
}

fn of(recipe: &Recipe, group: &[f32], op: ReduceOp) -> f32 {
    let extreme = |start: f32, better: fn(f32, f32) -> f32| {
        let start = if recipe.has(Fault::ExtremeFromZero) { 0.0 } else { start };
        let poisoned = group.iter().any(|x| x.is_nan()) && !recipe.has(Fault::NanSkipped);
        if poisoned { f32::NAN } else { group.iter().copied().fold(start, better) }
    };
    match op {
        ReduceOp::Sum => recipe.sum(group),
        ReduceOp::Mean if recipe.has(Fault::VarianceOverNMinus1) => {
            recipe.sum(group) / (group.len() as f32 - 1.0)
        }
        ReduceOp::Mean => recipe.sum(group) / group.len() as f32,
        ReduceOp::Max => extreme(f32::NEG_INFINITY, f32::max),
        ReduceOp::Min => extreme(f32::INFINITY, f32::min),
    }
}
