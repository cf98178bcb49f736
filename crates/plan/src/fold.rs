//! Folding: what depends on constants alone is computed once, on the device that will run the rest, so that a folded
//! graph gives the bits of an unfolded one.

use crate::{Result, assemble::assemble};
use lockstep_hal::graph::{Graph, HostTensor, Op, Rewriter, ValueId};
use lockstep_hal::{Cancel, Device, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Folded values may take this many times the bytes of the constants behind them, or [`SMALL`] bytes.
const LARGEST_GROWTH: usize = 8;
/// Bytes that a folded value may always take.
const SMALL: usize = 1 << 20;

/// The graph with constant parts replaced by their values.
///
/// # Errors
/// What the device says while it computes them.
pub(crate) fn fold(graph: &Graph, device: &Arc<dyn Device>) -> Result<Graph> {
    let wanted = frontier(graph);
    if wanted.is_empty() {
        return Ok(graph.clone());
    }
    let values = evaluate(graph, &wanted, device)?;
    let mut rewriter = Rewriter::new(graph)?;
    for (&id, tensor) in &values {
        let new = rewriter.builder.constant(&graph.value(id).name, tensor.clone());
        rewriter.replace(id, new);
    }
    for node in graph.nodes().iter().filter(|node| !node.outputs.iter().all(|id| values.contains_key(id))) {
        rewriter.copy(node)?;
    }
    Ok(rewriter.finish()?)
}

/// The values to compute: constant, read by something that is not, and made by more than a fill.
fn frontier(graph: &Graph) -> BTreeSet<ValueId> {
    // For each value that depends on constants alone: the bytes of those constants, and whether a real op made it.
    let mut constant: BTreeMap<ValueId, (usize, bool)> = BTreeMap::new();
    let mut frontier = BTreeSet::new();
    let is_source = |op: &Op| matches!(op, Op::Fill { .. } | Op::Iota { .. });
    for node in graph.nodes() {
        let inputs: Option<Vec<(usize, bool)>> = (node.inputs.iter())
            .map(|id| match graph.constant(*id) {
                Some(weight) => Some((weight.tensor().bytes().len(), false)),
                None => constant.get(id).copied(),
            })
            .collect();
        let fixed = node.outputs.iter().all(|&id| graph.value(id).ty.fixed_shape().is_some());
        match inputs {
            Some(inputs) if fixed && (!inputs.is_empty() || is_source(&node.op)) => {
                let bytes = inputs.iter().map(|(bytes, _)| bytes).sum();
                constant.extend(node.outputs.iter().map(|&id| (id, (bytes, !is_source(&node.op)))));
            }
            _ => frontier.extend(node.inputs.iter().filter(|id| constant.contains_key(id)).copied()),
        }
    }
    frontier.extend(graph.pinned().into_iter().filter(|id| constant.contains_key(id)));
    frontier.retain(|id| {
        let (source_bytes, computed) = constant[id];
        let ty = &graph.value(*id).ty;
        let elements: usize = ty.fixed_shape().unwrap_or_default().iter().product();
        computed && elements * ty.dtype.size() <= SMALL.max(source_bytes * LARGEST_GROWTH)
    });
    frontier
}

fn evaluate(
    graph: &Graph,
    wanted: &BTreeSet<ValueId>,
    device: &Arc<dyn Device>,
) -> Result<BTreeMap<ValueId, HostTensor>> {
    let part = graph.giving(wanted.iter().map(|id| (format!("{}", id.0), *id)).collect())?;
    let program = Arc::new(assemble(&part, device.as_ref(), &BTreeMap::new())?);
    let io: Vec<_> = (program.io().iter())
        .map(|&id| device.alloc(program.operand(id).bytes(), Usage::Output))
        .collect::<lockstep_hal::Result<_>>()?;
    let mut executable = device.clone().compile(program.clone())?;
    executable.submit(&io, &Cancel::new())?;
    executable.wait()?;
    let mut values = BTreeMap::new();
    for (slot, (&id, &operand)) in wanted.iter().zip(program.io()).enumerate() {
        let operand = program.operand(operand);
        let mut bytes = lockstep_hal::tensor::AlignedBytes::zeroed(operand.bytes());
        device.read(&io[slot], 0, bytes.as_mut_slice())?;
        let bytes = lockstep_hal::tensor::Bytes::owned(bytes);
        // The buffer may be of another shape: a reshaped value is a view of what it was.
        let shape = graph.value(id).ty.fixed_shape().unwrap_or_default();
        values.insert(id, HostTensor::from_bytes(operand.dtype, &shape, bytes)?);
    }
    Ok(values)
}
