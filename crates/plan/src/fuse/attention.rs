//! Attention written out in reshapes, transposes and two products, recovered as one [`Op::Attention`].

use super::{Context, emit_if_native};
use lockstep_hal::graph::{
    Attention, BinaryOp, Dim, Node, Op, Operands, Result, Rewriter, Sequences, ValueId,
};

/// `Reshape(Transpose(MatMul(Softmax(scores), heads(v))))` with `scores` of `heads(q)` and `heads(k)`, scaled and masked.
pub(super) fn attention(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Some(found) = recognise(c, node) else { return Ok(false) };
    let sequences = if found.mask.is_some() { Sequences::KeyMask } else { Sequences::Dense };
    let mut inputs = vec![rewriter.value(found.q)?, rewriter.value(found.k)?, rewriter.value(found.v)?];
    if let Some(mask) = found.mask {
        inputs.push(rewriter.value(mask)?);
    }
    let op = Attention { heads: found.heads, scale: found.scale, operands: Operands::Separate, sequences };
    emit_if_native(c, rewriter, node, Op::Attention(op), &inputs)
}

struct Found {
    q: ValueId,
    k: ValueId,
    v: ValueId,
    mask: Option<ValueId>,
    heads: usize,
    scale: f64,
}

fn recognise(c: &Context<'_>, node: &Node) -> Option<Found> {
    let Op::Reshape { shape } = &node.op else { return None };
    let joined = c.private(node.inputs[0], |op| is_transpose(op, &[0, 2, 1, 3]))?;
    let context = c.private(joined.inputs[0], |op| *op == Op::MatMul)?;
    let probabilities = c.private(context.inputs[0], |op| *op == Op::Softmax { axis: 3 })?;
    let (scores, mask) = unmask(c, probabilities.inputs[0])?;
    let (product, scale) = unscale(c, scores)?;
    let (q, heads) = heads_of(c, product.inputs[0], &[0, 2, 1, 3])?;
    let (k, k_heads) = heads_of(c, product.inputs[1], &[0, 2, 3, 1])?;
    let (v, v_heads) = heads_of(c, context.inputs[1], &[0, 2, 1, 3])?;
    let restored = *shape == c.graph.value(q).ty.shape;
    (restored && heads == k_heads && heads == v_heads).then_some(Found { q, k, v, mask, heads, scale })
}

fn is_transpose(op: &Op, wanted: &[usize]) -> bool {
    matches!(op, Op::Transpose { permutation } if permutation == wanted)
}

/// The scores under `Select(mask, scores, -inf)`, and the `[batch, seq]` mask behind its `[batch, 1, 1, seq]` form; bare
/// scores have none.
fn unmask(c: &Context<'_>, id: ValueId) -> Option<(ValueId, Option<ValueId>)> {
    let Some(select) = c.private(id, |op| *op == Op::Select) else { return Some((id, None)) };
    let &[condition, scores, lowest] = select.inputs.as_slice() else { return None };
    if c.scalar(lowest)? != f64::NEG_INFINITY {
        return None;
    }
    let reshape = c.graph.producer(condition).filter(|node| matches!(node.op, Op::Reshape { .. }))?;
    let mask = reshape.inputs[0];
    let (flat, spread) = (&c.graph.value(mask).ty.shape, &c.graph.value(condition).ty.shape);
    let [batch, seq] = flat.as_slice() else { return None };
    let one = Dim::from(1);
    (*spread == [batch.clone(), one.clone(), one, seq.clone()]).then_some((scores, Some(mask)))
}

/// The product under a factor or divisor; a bare product has the factor 1.
fn unscale<'a>(c: &Context<'a>, id: ValueId) -> Option<(&'a Node, f64)> {
    let is_product = |op: &Op| *op == Op::MatMul;
    let Some(scaled) = c.private(id, |op| matches!(op, Op::Binary(BinaryOp::Mul | BinaryOp::Div))) else {
        return Some((c.private(id, is_product)?, 1.0));
    };
    let &[left, right] = scaled.inputs.as_slice() else { return None };
    let divides = scaled.op == Op::Binary(BinaryOp::Div);
    match (c.scalar(left), c.scalar(right)) {
        (None, Some(factor)) => {
            Some((c.private(left, is_product)?, if divides { 1.0 / factor } else { factor }))
        }
        (Some(factor), None) if !divides => Some((c.private(right, is_product)?, factor)),
        _ => None,
    }
}

/// `[batch, seq, hidden]` behind its split and permuted heads, and how many there are.
fn heads_of(c: &Context<'_>, id: ValueId, permutation: &[usize]) -> Option<(ValueId, usize)> {
    let transpose = c.private(id, |op| is_transpose(op, permutation))?;
    let split = c.private(transpose.inputs[0], |op| matches!(op, Op::Reshape { .. }))?;
    let (from, to) = (&c.graph.value(split.inputs[0]).ty.shape, &c.graph.value(split.outputs[0]).ty.shape);
    let ([batch, seq, hidden], [to_batch, to_seq, heads, size]) = (from.as_slice(), to.as_slice()) else {
        return None;
    };
    let splits = batch == to_batch && seq == to_seq && *hidden == Dim::product([heads, size]);
    splits.then_some((split.inputs[0], heads.as_const()?))
}
