//! Query, key and value projections of one input as one product: the input is read once, and the product is wide enough
//! to keep every core busy.

use super::{Context, emit_if_native};
use lockstep_hal::graph::tensor::{AlignedBytes, Bytes};
use lockstep_hal::graph::{Attention, HostTensor, Linear, Node, Op, Operands, Result, Rewriter, ValueId};

/// `Attention` of three private, bare `Linear`s of the same input, with constant weights alike.
pub(super) fn projections(c: &Context<'_>, rewriter: &mut Rewriter<'_>, node: &Node) -> Result<bool> {
    let Op::Attention(attention) = &node.op else { return Ok(false) };
    if attention.operands != Operands::Separate {
        return Ok(false);
    }
    let Some(products) = (node.inputs[..3].iter())
        .map(|&id| c.private(id, |op| matches!(op, Op::Linear(p) if p.activation.is_none() && !p.residual)))
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(false);
    };
    let first = products[0];
    if products.iter().any(|p| p.inputs[0] != first.inputs[0] || p.op != first.op) {
        return Ok(false);
    }
    let parts = first.inputs.len();
    let mut merged = Vec::new();
    for input in 1..parts {
        let ids: Vec<ValueId> = products.iter().map(|product| product.inputs[input]).collect();
        match concatenated(c, &ids)? {
            Some(tensor) => merged.push((ids[0], tensor)),
            None => return Ok(false),
        }
    }
    let x = rewriter.value(first.inputs[0])?;
    let mut inputs = vec![x];
    for (id, tensor) in merged {
        let name = format!("{}+key+value", c.graph.value(id).name);
        inputs.push(rewriter.builder.constant(&name, tensor));
    }
    let linear = Op::Linear(Linear { bias: parts == 3, activation: None, residual: false });
    let qkv = rewriter.builder.single(&format!("{}.qkv", node.name), linear, &inputs)?;
    let mut operands = vec![qkv];
    operands.extend(rewriter.values(&node.inputs[3..])?);
    let op = Op::Attention(Attention { operands: Operands::Merged, ..*attention });
    emit_if_native(c, rewriter, node, op, &operands)
}

/// Constants one after another along their first axis; `None` if one is no constant or they are not alike.
fn concatenated(c: &Context<'_>, ids: &[ValueId]) -> Result<Option<HostTensor>> {
    let Some(tensors) =
        ids.iter().map(|&id| c.graph.constant(id).map(|k| k.tensor())).collect::<Option<Vec<_>>>()
    else {
        return Ok(None);
    };
    let (dtype, shape) = (tensors[0].dtype(), tensors[0].shape().to_vec());
    if tensors.iter().any(|t| t.dtype() != dtype || t.shape() != shape) || shape.is_empty() {
        return Ok(None);
    }
    let joined: Vec<&[u8]> = tensors.iter().map(|tensor| tensor.bytes()).collect();
    let mut all = shape;
    all[0] *= tensors.len();
    let bytes = Bytes::owned(AlignedBytes::copy_of(&joined.concat()));
    Ok(Some(HostTensor::from_bytes(dtype, &all, bytes)?))
}
