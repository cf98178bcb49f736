//! Fusion: several nodes become one where the device runs the fused op natively.
//!
//! Every rule looks backwards from a node over *private* values (read once, neither output nor checkpoint), so nothing
//! that anyone may look at disappears. What a rule leaves unread is pruned.

mod attention;
mod embeddings;
mod linear;
mod merge;
mod norm;
#[cfg(test)]
mod tests;

use lockstep_hal::Device;
use lockstep_hal::graph::{Graph, Node, Op, Result, Rewriter, ValueId, infer};
use std::collections::BTreeSet;

/// What the rules need to know of the graph they rewrite.
pub(crate) struct Context<'a> {
    pub(crate) graph: &'a Graph,
    /// `None` stands for a device that runs everything.
    pub(crate) device: Option<&'a dyn Device>,
    uses: Vec<usize>,
    pinned: BTreeSet<ValueId>,
}

impl<'a> Context<'a> {
    fn new(graph: &'a Graph, device: Option<&'a dyn Device>) -> Self {
        Self { graph, device, uses: graph.use_counts(), pinned: graph.pinned() }
    }

    /// Whether a value may disappear: one reader, neither output nor checkpoint.
    fn is_private(&self, id: ValueId) -> bool {
        self.uses[id.0 as usize] == 1 && !self.pinned.contains(&id)
    }

    /// The node behind a private value, if it is what `wanted` says.
    fn private(&self, id: ValueId, wanted: impl Fn(&Op) -> bool) -> Option<&'a Node> {
        let node = self.graph.producer(id).filter(|node| wanted(&node.op))?;
        self.is_private(id).then_some(node)
    }

    /// The value of a scalar: a fill, or a constant of one element.
    fn scalar(&self, id: ValueId) -> Option<f64> {
        if let Some(constant) = self.graph.constant(id) {
            return match constant.tensor().to_f64().as_slice() {
                [value] if constant.tensor().shape().is_empty() => Some(*value),
                _ => None,
            };
        }
        match &self.graph.producer(id)?.op {
            Op::Fill { value, shape, .. } if shape.is_empty() => Some(*value),
            _ => None,
        }
    }
}

/// A rule: emits a fused node in place of `node` and says whether it did.
type FusionRule = fn(&Context<'_>, &mut Rewriter<'_>, &Node) -> Result<bool>;

/// The rules in order: products first, then what surrounds them.
const RULES: [FusionRule; 6] = [
    linear::product_of_weight,
    linear::bias,
    linear::activation,
    attention::attention,
    norm::residual_and_norm,
    linear::residual,
];

/// The graph with everything fused that the device runs fused; without a device, everything that can be.
pub(crate) fn fuse(graph: &Graph, device: Option<&dyn Device>) -> Result<Graph> {
    let mut fused = graph.clone();
    for rule in RULES.into_iter().chain([merge::projections as FusionRule]) {
        fused = apply(&fused, device, rule)?;
    }
    Ok(fused)
}

/// What graphs have only once sequences are packed.
pub(crate) fn fuse_packed(graph: &Graph, device: &dyn Device) -> Result<Graph> {
    let fused = apply(graph, Some(device), embeddings::sum_and_norm)?;
    apply(&fused, Some(device), embeddings::narrowed)
}

fn apply(graph: &Graph, device: Option<&dyn Device>, rule: FusionRule) -> Result<Graph> {
    let context = Context::new(graph, device);
    let mut rewriter = Rewriter::new(graph)?;
    for node in graph.nodes() {
        if !rule(&context, &mut rewriter, node)? {
            rewriter.copy(node)?;
        }
    }
    rewriter.finish()
}

/// Emits `op` as `node`'s stand-in if it gives what the node gives, and the device runs it natively on these (new) inputs.
fn emit_if_native(
    context: &Context<'_>,
    rewriter: &mut Rewriter<'_>,
    node: &Node,
    op: Op,
    inputs: &[ValueId],
) -> Result<bool> {
    let types: Vec<_> = inputs.iter().map(|&id| rewriter.builder.ty(id)).collect();
    // A pattern may be there and yet broadcast where the fused op does not.
    let wanted = &context.graph.value(node.outputs[0]).ty;
    if !infer(&node.name, &op, &types).is_ok_and(|given| given.as_slice() == std::slice::from_ref(wanted)) {
        return Ok(false);
    }
    if context.device.is_some_and(|device| !crate::query::is_native(device, &op, &types)) {
        return Ok(false);
    }
    let output = rewriter.builder.single(&node.name, op, inputs)?;
    rewriter.replace(node.outputs[0], output);
    Ok(true)
}
