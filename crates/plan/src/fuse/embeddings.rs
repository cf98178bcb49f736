//! The sum of embeddings and its LayerNorm in one pass over the rows: of a packed graph, where every embedding is a gather by
//! token.

use super::{Context, emit_if_native};
use lockstep_hal::graph::{BinaryOp, DType, Node, Op, Result, Rewriter, ValueId};

/// `LayerNorm(table[index] + table[index] + ..)` of private gathers, each cast to the LayerNorm's dtype if it is not of it.
pub(super) fn sum_and_norm(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Op::LayerNorm { epsilon } = node.op else { return Ok(false) };
    let dtype = c.graph.value(node.outputs[0]).ty.dtype;
    if matches!(dtype, DType::F16 | DType::Bf16) {
        // Its sums would be rounded, which the composite does not do.
        return Ok(false);
    }
    let Some(pairs) = pairs(c, node.inputs[0]) else { return Ok(false) };
    let mut inputs = rewriter.values(&pairs)?;
    inputs.extend(rewriter.values(&node.inputs[1..])?);
    emit_if_native(c, rewriter, node, Op::EmbedLayerNorm { dtype, epsilon }, &inputs)
}

/// A `Cast` of a private `EmbedLayerNorm` in f32 to what the encoder stores.
pub(super) fn narrowed(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Op::Cast { to: to @ (DType::F16 | DType::Bf16) } = node.op else { return Ok(false) };
    let wide = |op: &Op| matches!(op, Op::EmbedLayerNorm { dtype: DType::F32, .. });
    let Some(embedded) = c.private(node.inputs[0], wide) else { return Ok(false) };
    let Op::EmbedLayerNorm { epsilon, .. } = embedded.op else { return Ok(false) };
    let inputs = rewriter.values(&embedded.inputs)?;
    emit_if_native(c, rewriter, node, Op::EmbedLayerNorm { dtype: to, epsilon }, &inputs)
}

/// Tables and indices of a sum that is added from the left; two at least, since one is a gather.
fn pairs(c: &Context<'_>, sum: ValueId) -> Option<Vec<ValueId>> {
    let node = c.private(sum, |op| *op == Op::Binary(BinaryOp::Add))?;
    let mut all = match picked(c, node.inputs[0]) {
        Some(first) => first.to_vec(),
        None => pairs(c, node.inputs[0])?,
    };
    all.extend(picked(c, node.inputs[1])?);
    Some(all)
}

/// The table and index of a private gather of rows, cast or not.
fn picked(c: &Context<'_>, id: ValueId) -> Option<[ValueId; 2]> {
    let gathered = c.private(id, |op| matches!(op, Op::Cast { .. })).map_or(id, |cast| cast.inputs[0]);
    let gather = c.private(gathered, |op| matches!(op, Op::Gather { axis: 0 }))?;
    let is_float = c.graph.value(gather.inputs[0]).ty.dtype.is_float();
    is_float.then_some([gather.inputs[0], gather.inputs[1]])
}
