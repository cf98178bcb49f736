//! A sum and its LayerNorm in one pass over the rows.

use super::{Context, emit_if_native};
use lockstep_hal::graph::{BinaryOp, Node, Op, Result, Rewriter};

/// `LayerNorm(a + b)` with a private sum of two tensors alike.
pub(super) fn residual_and_norm(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Op::LayerNorm { epsilon } = node.op else { return Ok(false) };
    let Some(sum) = c.private(node.inputs[0], |op| *op == Op::Binary(BinaryOp::Add)) else {
        return Ok(false);
    };
    if c.graph.value(sum.inputs[0]).ty != c.graph.value(sum.inputs[1]).ty {
        return Ok(false);
    }
    let mut inputs = rewriter.values(&sum.inputs)?;
    inputs.extend(rewriter.values(&node.inputs[1..])?);
    emit_if_native(c, rewriter, node, Op::AddLayerNorm { epsilon }, &inputs)
}
