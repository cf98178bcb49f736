//! Masks that are added to scores.
//!
//! Our graphs choose -inf where a mask hides a key. Compilers know attention by a number that is added to the scores, the
//! same for all layers, so each choice before a Softmax becomes such an Add. Where the mask keeps a key, 0 is added and no
//! bit changes; where it hides one, the weight is 0 as long as scores differ by less than 32,000. A row without any key is
//! no error in ONNX; it gets the weights that it would have without a mask.

use crate::Result;
use lockstep_graph::{DType, Graph, Node, Op, Rewriter, ValueId};
use std::collections::{HashMap, HashSet};

/// Half of f16's range, so that neither it nor its sum with a score overflows.
const HIDDEN: f64 = -32768.0;

/// The same graph with masks added.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph), not in practice.
pub(super) fn with_added_masks(graph: &Graph) -> Result<Graph> {
    let weighed = only_read_by_softmax(graph);
    let mut rewriter = Rewriter::new(graph)?;
    let mut biases: HashMap<(ValueId, DType), ValueId> = HashMap::new();
    for node in graph.nodes() {
        let (&[condition, scores, _], &[output]) = (&node.inputs[..], &node.outputs[..]) else {
            rewriter.copy(node)?;
            continue;
        };
        if !(weighed.contains(&output) && hides(graph, node)) {
            rewriter.copy(node)?;
            continue;
        }
        let dtype = graph.value(output).ty.dtype;
        let mask = rewriter.value(condition)?;
        let scores = rewriter.value(scores)?;
        let b = &mut rewriter.builder;
        let bias = match biases.get(&(condition, dtype)) {
            Some(&bias) => bias,
            None => {
                let name = &graph.value(condition).name;
                let kept = b.scalar(&format!("{name}.kept"), dtype, 0.0)?;
                let hidden = b.scalar(&format!("{name}.hidden"), dtype, HIDDEN)?;
                b.select(&format!("{name}.bias"), mask, kept, hidden)?
            }
        };
        biases.insert((condition, dtype), bias);
        let masked = b.add(&node.name, scores, bias)?;
        rewriter.replace(output, masked);
    }
    Ok(rewriter.finish()?)
}

/// Whether a node gives -inf where its condition does not hold.
fn hides(graph: &Graph, node: &Node) -> bool {
    let is_lowest = |id: &ValueId| match graph.producer(*id).map(|node| &node.op) {
        Some(Op::Fill { dtype, value, shape }) => {
            dtype.is_float() && *value == f64::NEG_INFINITY && shape.is_empty()
        }
        _ => false,
    };
    matches!(node.op, Op::Select) && node.inputs.last().is_some_and(is_lowest)
}

/// Values that nothing sees but Softmax.
fn only_read_by_softmax(graph: &Graph) -> HashSet<ValueId> {
    let readers = |is_softmax: bool| {
        let nodes =
            graph.nodes().iter().filter(move |node| matches!(node.op, Op::Softmax { .. }) == is_softmax);
        nodes.flat_map(|node| node.inputs.iter().copied())
    };
    let others: HashSet<ValueId> = readers(false).chain(graph.pinned()).collect();
    readers(true).filter(|id| !others.contains(id)).collect()
}
