//! From a graph that fails to a small one that fails in the same way.
//!
//! Greedy, and in an order that pays: whole nodes first, then extents, then values. A candidate is kept if the device fails on
//! it in the same way at the same op; nothing is assumed of why it fails.

use super::judge::{Failure, Finding, judge};
use super::sketch::{Leaf, Sketch, Source};
use super::values::tensor;
use crate::one_op::Argument;
use crate::oracle::Oracle;
use lockstep_runtime::graph::{Dim, Op, infer};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Result};
use std::sync::Arc;

/// How many graphs are tried; what is left then is small enough to look at.
const MOST_TRIES: usize = 400;

/// The smallest graph found that fails like `failure`, as `sketch` does.
pub(super) fn shrunk(device: &Arc<dyn Device>, sketch: Sketch, failure: &Failure) -> Result<Sketch> {
    let mut shrinker = Shrinker { device, failure, best: sketch, left: MOST_TRIES };
    let oracle = Oracle::new()?;
    loop {
        let before = shrinker.best.clone();
        shrinker.drop_nodes();
        shrinker.cut_off(&oracle);
        shrinker.shorten_axes();
        shrinker.simplify_values();
        if shrinker.best == before || shrinker.left == 0 {
            return Ok(shrinker.best);
        }
    }
}

struct Shrinker<'a> {
    device: &'a Arc<dyn Device>,
    failure: &'a Failure,
    best: Sketch,
    left: usize,
}

impl Shrinker<'_> {
    /// Keeps a candidate if it fails likewise.
    fn keeps(&mut self, candidate: Sketch) -> bool {
        if candidate == self.best || candidate.nodes.is_empty() || self.left == 0 {
            return false;
        }
        // What does not fit together is no graph, and no try.
        let Ok(graph) = candidate.graph() else { return false };
        self.left -= 1;
        let found = judge(self.device, &graph, &candidate.inputs());
        let fails = matches!(found, Ok(Finding::Failed(failure)) if failure.is_like(self.failure));
        if fails {
            self.best = candidate;
        }
        fails
    }

    /// Drops nodes whose values nobody reads, and lets what a node reads stand for what it gives.
    fn drop_nodes(&mut self) {
        let mut at = self.best.nodes.len();
        while at > 0 {
            at -= 1;
            if self.best.unread_nodes().contains(&at) {
                self.keeps(self.best.without_node(at, None));
                continue;
            }
            for source in self.best.nodes[at].inputs.clone() {
                if self.keeps(self.best.without_node(at, Some(source))) {
                    break;
                }
            }
        }
    }

    /// Lets a leaf with a node's value stand for the node and all that only it needs.
    fn cut_off(&mut self, oracle: &Oracle) {
        let mut at = self.best.nodes.len();
        while at > 0 {
            at = (at - 1).min(self.best.nodes.len() - 1);
            if self.best.unread_nodes().contains(&at) {
                continue;
            }
            let Some(values) = values(oracle, &self.best) else { return };
            let mut candidate = self.best.clone();
            candidate.leaves.push(Leaf { tensor: values[at].clone(), is_constant: false });
            let leaf = Source::Leaf(candidate.leaves.len() - 1);
            candidate = candidate.without_node(at, Some(leaf));
            // What only the node needed is an output now; it goes with it.
            while let Some(idle) = candidate.unread_nodes().into_iter().find(|idle| *idle < at) {
                if self.best.unread_nodes().contains(&idle) {
                    break;
                }
                candidate = candidate.without_node(idle, None);
                at = at.saturating_sub(1);
            }
            self.keeps(candidate);
        }
    }

    /// Lets every axis of one extent, with those three times as long (queries, keys and values side by side), be shorter.
    fn shorten_axes(&mut self) {
        let mut extents: Vec<usize> =
            self.best.leaves.iter().flat_map(|leaf| leaf.tensor.shape().to_vec()).collect();
        extents.extend(self.best.nodes.iter().flat_map(|node| attributes(&node.op)));
        extents.retain(|&extent| extent > 1);
        extents.sort_unstable();
        extents.dedup();
        for extent in extents.into_iter().rev() {
            for shorter in [1, extent / 2, extent - 1] {
                let alone = resized(&self.best, &[(extent, shorter)]);
                let merged = resized(&self.best, &[(3 * extent, 3 * shorter), (extent, shorter)]);
                if self.keeps(alone) || self.keeps(merged) {
                    break;
                }
            }
        }
    }

    /// Lets values be 0, 1 or whole numbers; then as many zeros as can be.
    fn simplify_values(&mut self) {
        for at in 0..self.best.leaves.len() {
            if !self.best.leaves[at].tensor.dtype().is_float() {
                continue;
            }
            let is_simple = self.set(at, |_, _| 0.0) || self.set(at, |_, _| 1.0);
            if is_simple {
                continue;
            }
            self.set(at, |_, x| x.trunc());
            let count = self.best.leaves[at].tensor.element_count();
            let mut block = count.div_ceil(2);
            while block > 0 {
                for start in (0..count).step_by(block) {
                    self.set(at, |place, x| if (start..start + block).contains(&place) { 0.0 } else { x });
                }
                block /= 2;
            }
        }
    }

    fn set(&mut self, leaf: usize, value: impl Fn(usize, f64) -> f64) -> bool {
        let mut candidate = self.best.clone();
        let old = &candidate.leaves[leaf].tensor;
        let values: Vec<f64> = old.to_f64().into_iter().enumerate().map(|(at, x)| value(at, x)).collect();
        let new = tensor(old.dtype(), old.shape(), &values);
        candidate.leaves[leaf].tensor = new;
        self.keeps(candidate)
    }
}

/// What each node gives, in f64 and rounded to its dtype.
fn values(oracle: &Oracle, sketch: &Sketch) -> Option<Vec<HostTensor>> {
    let mut values: Vec<HostTensor> = Vec::new();
    for node in &sketch.nodes {
        let inputs = node.inputs.iter().map(|source| match *source {
            Source::Leaf(at) => sketch.leaves[at].tensor.clone(),
            Source::Node(at) => values[at].clone(),
        });
        let inputs: Vec<HostTensor> = inputs.collect();
        let types: Vec<_> = inputs.iter().map(super::sketch::type_of).collect();
        let ty = infer("node", &node.op, &types.iter().collect::<Vec<_>>()).ok()?.swap_remove(0);
        let arguments: Vec<Argument> = inputs.into_iter().map(Argument::Given).collect();
        let value = oracle.truth("node", &node.op, &arguments).ok()?.swap_remove(0);
        values.push(value.cast(ty.dtype).ok()?);
    }
    Some(values)
}

/// The extents in an op's attributes.
fn attributes(op: &Op) -> Vec<usize> {
    match op {
        Op::Reshape { shape } | Op::Expand { shape } | Op::Fill { shape, .. } => {
            shape.iter().filter_map(Dim::as_const).collect()
        }
        Op::Slice { length, .. } | Op::Iota { length } => length.as_const().into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The same with axes of the first extents as long as the second; tensors keep their first positions, and integers stay below
/// the new extent, so that places stay within.
fn resized(sketch: &Sketch, changes: &[(usize, usize)]) -> Sketch {
    let new = |extent: usize| {
        changes.iter().find(|(from, _)| *from == extent).map_or(extent, |(_, shorter)| *shorter)
    };
    let mut sketch = sketch.clone();
    for leaf in &mut sketch.leaves {
        leaf.tensor = cropped(&leaf.tensor, &new, changes.last().map_or(1, |(_, shorter)| *shorter));
    }
    for node in &mut sketch.nodes {
        match &mut node.op {
            Op::Reshape { shape } | Op::Expand { shape } | Op::Fill { shape, .. } => {
                for dim in shape {
                    *dim = dim.as_const().map_or(dim.clone(), |extent| new(extent).into());
                }
            }
            Op::Slice { length, .. } | Op::Iota { length } => {
                *length = length.as_const().map_or(length.clone(), |extent| new(extent).into());
            }
            _ => {}
        }
    }
    sketch
}

fn cropped(x: &HostTensor, new: &impl Fn(usize) -> usize, most: usize) -> HostTensor {
    let shape: Vec<usize> = x.shape().iter().map(|&extent| new(extent)).collect();
    let (values, count) = (x.to_f64(), shape.iter().product::<usize>());
    let place = |mut flat: usize| {
        let mut at = vec![0; shape.len()];
        for (axis, &extent) in shape.iter().enumerate().rev() {
            at[axis] = flat % extent;
            flat /= extent;
        }
        at.iter().zip(x.shape()).fold(0, |flat, (at, extent)| flat * extent + at)
    };
    let limit = |value: f64| {
        // Places below an extent; where sequences end, the last one's end is the extent itself.
        if x.dtype().is_integer() && value >= most as f64 { most.saturating_sub(1) as f64 } else { value }
    };
    let values: Vec<f64> = (0..count).map(|flat| limit(values[place(flat)])).collect();
    tensor(x.dtype(), &shape, &values)
}
