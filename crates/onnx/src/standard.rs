//! Primitives that are one ONNX operator each, with the same operands: written and read.
//!
//! The two houses part at the edges only: a float that an integer cannot hold is saturated by our Cast and undefined in
//! ONNX's; an index below zero counts from the end in ONNX and is an error in ours.

use crate::attributes::{int, ints};
use crate::messages::{AttributeProto, NodeProto};
use crate::tensor::{code, dtype};
use crate::{Error, Result};
use lockstep_graph::{BinaryOp, CompareOp, Op, TensorType, UnaryOp};

/// The operator and its attributes; `None` for an op that is not one.
pub(crate) fn operator(op: &Op) -> Option<(&str, Vec<AttributeProto>)> {
    let attributes = match op {
        Op::Compare(CompareOp::Ne) => return None,
        // Ours are called as ONNX's are.
        Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::MatMul => vec![],
        Op::Select => return Some(("Where", vec![])),
        Op::Cast { to } => vec![int("to", code(*to).into())],
        Op::Transpose { permutation } => {
            vec![ints("perm", permutation.iter().map(|&axis| axis as i64).collect())]
        }
        Op::Concat { axis } | Op::Gather { axis } => vec![int("axis", *axis as i64)],
        _ => return None,
    };
    Some((op.name(), attributes))
}

/// The op of a node of ONNX's own domain; `inputs` are the types of what it reads.
///
/// # Errors
/// [`Error::Model`] for an operator that is not read, and for attributes that say nothing.
pub(crate) fn op(node: &NodeProto, inputs: &[&TensorType]) -> Result<Op> {
    let named = |known: &&str| **known == node.op_type;
    if let Some(at) = UnaryOp::ALL.iter().position(|op| named(&Op::Unary(*op).name())) {
        return Ok(Op::Unary(UnaryOp::ALL[at]));
    }
    if let Some(at) = BinaryOp::ALL.iter().position(|op| named(&Op::Binary(*op).name())) {
        return Ok(Op::Binary(BinaryOp::ALL[at]));
    }
    let is_ours = |op: &CompareOp| *op != CompareOp::Ne && named(&Op::Compare(*op).name());
    if let Some(op) = CompareOp::ALL.into_iter().find(is_ours) {
        return Ok(Op::Compare(op));
    }
    let rank = inputs.first().map_or(0, |ty| ty.shape.len());
    Ok(match node.op_type.as_str() {
        "Where" => Op::Select,
        "MatMul" => Op::MatMul,
        "Cast" => {
            let to = node.int("to")?.and_then(|to| dtype(i32::try_from(to).ok()?));
            Op::Cast { to: to.ok_or_else(|| wrong(node, "`to` is a data type that is none of ours"))? }
        }
        "Transpose" => match node.ints("perm")? {
            Some(axes) => Op::Transpose {
                permutation: axes.iter().map(|&at| axis(node, at, rank)).collect::<Result<_>>()?,
            },
            None => Op::Transpose { permutation: (0..rank).rev().collect() },
        },
        "Concat" => match node.int("axis")? {
            Some(at) => Op::Concat { axis: axis(node, at, rank)? },
            None => return Err(wrong(node, "has no `axis`")),
        },
        "Gather" => Op::Gather { axis: axis(node, node.int("axis")?.unwrap_or(0), rank)? },
        other => {
            let reason = format!(
                "{other} is not read: models are read as far as Lockstep writes them, standard operators of one op each \
                 and nodes of the domain `lockstep`"
            );
            return Err(Error::model(&node.name, reason));
        }
    })
}

fn wrong(node: &NodeProto, reason: &str) -> Error {
    Error::model(&node.name, format!("{}: {reason}", node.op_type))
}

/// An axis, which ONNX may count from the end.
fn axis(node: &NodeProto, at: i64, rank: usize) -> Result<usize> {
    let from_start = if at < 0 { at.checked_add(rank as i64) } else { Some(at) };
    from_start
        .and_then(|at| usize::try_from(at).ok())
        .ok_or_else(|| wrong(node, &format!("has no axis {at} in {rank} axes")))
}
