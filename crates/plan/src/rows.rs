//! Whether an op keeps the rows of a batch apart, so that rows may be added that nobody asked for.

use lockstep_hal::graph::{Dim, Graph, Node, Op, ValueId};

/// Whether row `i` of the node's outputs depends on row `i` of its inputs alone, for values whose first axis is `batch`, and
/// no element on how long `seq` is. Values of neither extent are the same whatever they are.
///
/// What is not known to do so does not: the answer may be `false` for a node that would.
pub(crate) fn keeps_rows_apart(graph: &Graph, node: &Node, [batch, seq]: &[Dim; 2]) -> bool {
    let shape = |id: ValueId| graph.value(id).ty.shape.as_slice();
    let mentions = |id: ValueId, dim: &Dim| shape(id).iter().any(|other| shares_symbol(other, dim));
    let elementwise = matches!(
        node.op,
        Op::Unary(_) | Op::Cast { .. } | Op::Gelu(_) | Op::Binary(_) | Op::Compare(_) | Op::Select
    );
    if node.inputs.iter().any(|&id| mentions(id, seq)) && !elementwise {
        return false;
    }
    let varies: Vec<bool> = node.inputs.iter().map(|&id| mentions(id, batch)).collect();
    if !varies.contains(&true) {
        return true;
    }
    let by_row = |id: ValueId| {
        shape(id).first() == Some(batch) && !shape(id)[1..].iter().any(|d| shares_symbol(d, batch))
    };
    let all = node.inputs.iter().zip(&varies).filter(|(_, varies)| **varies).map(|(&id, _)| id);
    if !all.chain(node.outputs.iter().copied()).all(by_row) {
        return false;
    }
    let rank = shape(node.outputs[0]).len();
    let only =
        |allowed: &[usize]| varies.iter().enumerate().all(|(at, varies)| !varies || allowed.contains(&at));
    match &node.op {
        // Rows align where ranks do.
        Op::Binary(_) | Op::Compare(_) | Op::Select => {
            node.inputs.iter().zip(&varies).all(|(&id, varies)| !varies || shape(id).len() == rank)
        }
        Op::Unary(_) | Op::Cast { .. } | Op::Gelu(_) | Op::Reshape { .. } => true,
        Op::LayerNorm { .. } => rank >= 2 && only(&[0]),
        Op::AddLayerNorm { .. } => rank >= 2 && only(&[0, 1]),
        Op::Linear(parts) if parts.residual => rank >= 2 && only(&[0, node.inputs.len() - 1]),
        Op::Linear(_) => rank >= 2 && only(&[0]),
        Op::MatMul => rank >= 2 && only(&[0]) && shape(node.inputs[1]).len() == 2,
        Op::Softmax { axis } | Op::Slice { axis, .. } => *axis >= 1,
        Op::Concat { axis } => *axis >= 1,
        Op::Reduce { axes, .. } => !axes.contains(&0),
        Op::Transpose { permutation } => permutation.first() == Some(&0),
        Op::Gather { axis: 0 } => only(&[1]),
        Op::Gather { .. } => only(&[0]),
        _ => false,
    }
}

fn shares_symbol(a: &Dim, b: &Dim) -> bool {
    a.symbols().iter().any(|symbol| b.symbols().contains(symbol))
}
