//! Multi-head attention, over rows with a mask and over packed sequences.

use super::softmax::weights;
use super::{Computed, Fault, Recipe, f32s, through};
use lockstep_runtime::graph::{Attention, Operands, Sequences};
use lockstep_runtime::tensor::{DType, HostTensor};
use std::ops::Range;

/// Rows of queries, and the rows of keys that they may look at.
struct Sequence {
    queries: Range<usize>,
    keys: Vec<(usize, bool)>,
}

/// One operand: rows of `width`, of which `hidden` from `skip` on are its own.
struct Rows {
    values: Vec<f32>,
    width: usize,
    skip: usize,
}

impl Rows {
    fn head(&self, row: usize, head: usize, size: usize) -> &[f32] {
        &self.values[row * self.width + self.skip + head * size..][..size]
    }
}

pub(super) fn attention(recipe: &Recipe, attention: &Attention, inputs: &[HostTensor]) -> Option<Computed> {
    let merged = attention.operands == Operands::Merged;
    let shape = inputs.first()?.shape();
    let width = *shape.last()?;
    let hidden = width / if merged { 3 } else { 1 };
    let size = hidden.checked_div(attention.heads)?;
    let rows = |at: usize, skip: usize| {
        let tensor = inputs.get(if merged { 0 } else { at })?;
        Some(Rows { values: f32s(tensor), width, skip: if merged { skip * hidden } else { 0 } })
    };
    let (q, k, v) = (rows(0, 0)?, rows(1, 1)?, rows(2, 2)?);
    let scale = match recipe.fault {
        Some(Fault::ScaleForgotten) => 1.0,
        Some(Fault::ScaleByHidden) => 1.0 / (hidden as f32).sqrt(),
        _ => attention.scale as f32,
    };
    let sequences = sequences(recipe, attention, inputs, merged)?;
    let queries = inputs[0].element_count().checked_div(width).unwrap_or(0);
    let mut values = vec![0.0; queries * hidden];
    for sequence in &sequences {
        for query in sequence.queries.clone() {
            for head in 0..attention.heads {
                let key_head =
                    if recipe.has(Fault::HeadsMixed) { (head + 1) % attention.heads } else { head };
                let score = |&(key, counts): &(usize, bool)| {
                    let score = recipe.dot(q.head(query, head, size), k.head(key, key_head, size)) * scale;
                    let score =
                        if recipe.has(Fault::ScoresInF16) { through(score, DType::F16) } else { score };
                    match (counts, recipe.fault) {
                        (true, _) | (false, Some(Fault::MaskIgnored | Fault::MaskAfterSoftmax)) => score,
                        (false, Some(Fault::MaskTooWeak)) => score - 10.0,
                        (false, _) => f32::NEG_INFINITY,
                    }
                };
                let scores: Vec<f32> = sequence.keys.iter().map(score).collect();
                let mut weights = weights(recipe, &scores);
                if recipe.has(Fault::MaskAfterSoftmax) {
                    let masked = weights.iter_mut().zip(&sequence.keys).filter(|(_, (_, counts))| !counts);
                    masked.for_each(|(weight, _)| *weight = 0.0);
                }
                for at in 0..size {
                    let column: Vec<f32> =
                        sequence.keys.iter().map(|&(key, _)| v.head(key, head, size)[at]).collect();
                    let sum = weighted(recipe, &weights, &column, sequence);
                    values[query * hidden + head * size + at] = f64::from(sum);
                }
            }
        }
    }
    let mut shape = shape.to_vec();
    *shape.last_mut()? = hidden;
    Some((shape, values))
}

/// Values of keys that do not count are not looked at: they may be anything.
fn weighted(recipe: &Recipe, weights: &[f32], column: &[f32], sequence: &Sequence) -> f32 {
    let looks = |at: usize| sequence.keys[at].1 || weights[at] != 0.0;
    let (weights, column): (Vec<f32>, Vec<f32>) =
        (0..column.len()).filter(|&at| looks(at)).map(|at| (weights[at], column[at])).unzip();
    recipe.dot(&weights, &column)
}

fn sequences(
    recipe: &Recipe,
    attention: &Attention,
    inputs: &[HostTensor],
    merged: bool,
) -> Option<Vec<Sequence>> {
    if attention.sequences == Sequences::Ends {
        let mut start = 0;
        let ends = inputs.last()?.to_f64();
        let next = |end: f64| {
            let from = if recipe.has(Fault::SequencesRunTogether) { start.min(1) } else { start };
            let keys = (from..end as usize).map(|key| (key, true)).collect();
            let queries = start..end as usize;
            start = end as usize;
            Sequence { queries, keys }
        };
        return Some(ends.into_iter().map(next).collect());
    }
    let batch = *inputs.first()?.shape().first()?;
    let queries = *inputs[0].shape().get(1)?;
    let keys = if merged { queries } else { *inputs.get(1)?.shape().get(1)? };
    let mask = match attention.sequences {
        Sequences::KeyMask => inputs.last()?.to_f64(),
        _ => vec![1.0; batch * keys],
    };
    let row = |row: usize| Sequence {
        queries: row * queries..(row + 1) * queries,
        keys: (row * keys..(row + 1) * keys).map(|key| (key, mask[key] != 0.0)).collect(),
    };
    Some((0..batch).map(row).collect())
}
