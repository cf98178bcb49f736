//! Products with weights: `MatMul` with a constant, then bias, activation and residual into one [`Op::Linear`].

use super::{Context, emit_if_native};
use lockstep_hal::graph::{Activation, BinaryOp, Linear, Node, Op, Result, Rewriter, UnaryOp, ValueId};

/// `MatMul(x, Transpose(weight))` or `MatMul(x, weight)` with a constant `[in, out]` weight.
pub(super) fn product_of_weight(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let (Op::MatMul, &[x, right]) = (&node.op, node.inputs.as_slice()) else { return Ok(false) };
    let is_weight = |id: ValueId| c.graph.constant(id).is_some_and(|w| w.tensor().shape().len() == 2);
    let op = Op::Linear(Linear { bias: false, activation: None, residual: false });
    if let Some(transpose) = c.graph.producer(right) {
        let swaps = matches!(&transpose.op, Op::Transpose { permutation } if permutation == &[1, 0]);
        if swaps && is_weight(transpose.inputs[0]) {
            let inputs = [rewriter.value(x)?, rewriter.value(transpose.inputs[0])?];
            return emit_if_native(c, rewriter, node, op, &inputs);
        }
    }
    if !is_weight(right) {
        return Ok(false);
    }
    // The transposed weight is a node here; folding makes it a constant.
    let x = rewriter.value(x)?;
    let weight = rewriter.value(right)?;
    let name = format!("{}.weight", node.name);
    let transposed = rewriter.builder.transpose(&name, weight, &[1, 0])?;
    emit_if_native(c, rewriter, node, op, &[x, transposed])
}

/// A private `Linear` without bias, activation and residual, plus a constant vector.
pub(super) fn bias(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Some((linear, product, bias)) =
        sum_with_linear(c, node, |parts| !parts.bias && parts.activation.is_none() && !parts.residual)
    else {
        return Ok(false);
    };
    let width = c.graph.value(node.outputs[0]).ty.shape.last().cloned();
    let fits = c.graph.constant(bias).is_some() && c.graph.value(bias).ty.shape.first() == width.as_ref();
    if !fits || c.graph.value(bias).ty.shape.len() != 1 {
        return Ok(false);
    }
    let mut inputs = rewriter.values(&product.inputs)?;
    inputs.push(rewriter.value(bias)?);
    emit_if_native(c, rewriter, node, Op::Linear(Linear { bias: true, ..linear }), &inputs)
}

/// GELU or tanh of a private `Linear` without activation and residual.
pub(super) fn activation(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let activation = match node.op {
        Op::Gelu(form) => Activation::Gelu(form),
        Op::Unary(UnaryOp::Tanh) => Activation::Tanh,
        _ => return Ok(false),
    };
    let bare = |op: &Op| matches!(op, Op::Linear(parts) if parts.activation.is_none() && !parts.residual);
    let Some(product) = c.private(node.inputs[0], bare) else { return Ok(false) };
    let Op::Linear(parts) = product.op else { return Ok(false) };
    let inputs = rewriter.values(&product.inputs)?;
    let op = Op::Linear(Linear { activation: Some(activation), ..parts });
    emit_if_native(c, rewriter, node, op, &inputs)
}

/// A private `Linear` plus a tensor of its own shape.
pub(super) fn residual(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Some((linear, product, residual)) = sum_with_linear(c, node, |parts| !parts.residual) else {
        return Ok(false);
    };
    if c.graph.value(residual).ty != c.graph.value(product.outputs[0]).ty {
        return Ok(false);
    }
    let mut inputs = rewriter.values(&product.inputs)?;
    inputs.push(rewriter.value(residual)?);
    emit_if_native(c, rewriter, node, Op::Linear(Linear { residual: true, ..linear }), &inputs)
}

/// A sum's private `Linear` operand of the wanted parts, and its other operand.
fn sum_with_linear<'a>(
    c: &Context<'a>,
    node: &Node,
    wanted: impl Fn(&Linear) -> bool,
) -> Option<(Linear, &'a Node, ValueId)> {
    let (Op::Binary(BinaryOp::Add), &[a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(product, other)| {
        let product = c.private(product, |op| matches!(op, Op::Linear(parts) if wanted(parts)))?;
        let Op::Linear(parts) = product.op else { return None };
        Some((parts, product, other))
    })
}
