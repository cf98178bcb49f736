//! The best that a storage format allows: a graph in f64 whose every stored float is rounded to the format once.
//!
//! A device that stores f16 or bf16 and computes exactly in between would give this. How far it is from the unrounded graph
//! is the format's own error; a device's error is judged as a multiple of it. The rounding sites are the values that the
//! device's plan really stores, so the graph to pass is the planned (fused) one.

use lockstep_runtime::graph::{DType, Graph, Op, Origin, Result, Rewriter, TensorType, ValueId};

/// `graph`, which computes in `format`, as a graph that computes in f64 and rounds every float that a node stores to
/// `format`. Inputs and integer values stay as they are; constants keep their storage.
///
/// # Errors
/// Those of a graph that does not fit after all.
pub fn rounded_in_f64(graph: &Graph, format: DType) -> Result<Graph> {
    widened(graph, format, true)
}

/// `graph` in f64 throughout, without rounding: its truth.
///
/// # Errors
/// As [`rounded_in_f64`].
pub fn exact_in_f64(graph: &Graph, format: DType) -> Result<Graph> {
    widened(graph, format, false)
}

fn widened(graph: &Graph, format: DType, round: bool) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in graph.nodes() {
        let mut inputs = Vec::new();
        for (at, &id) in node.inputs.iter().enumerate() {
            inputs.push(operand(graph, &mut rewriter, &node.op, at, id)?);
        }
        let op = match &node.op {
            Op::Cast { to } if *to == format => Op::Cast { to: DType::F64 },
            Op::Fill { dtype, value, shape } if *dtype == format => {
                // The fill's own rounding is part of what the graph means.
                let stored = lockstep_runtime::tensor::HostTensor::from_f64(format, &[1], &[*value])?;
                Op::Fill { dtype: DType::F64, value: stored.to_f64()[0], shape: shape.clone() }
            }
            other => other.clone(),
        };
        let outputs = rewriter.builder.node(&node.name, op, &inputs)?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            let stores = graph.value(old).ty.dtype == format;
            let new = if stores && round { rounded(&mut rewriter, &node.name, new, format)? } else { new };
            rewriter.replace(old, new);
        }
    }
    rewriter.finish()
}

fn rounded(rewriter: &mut Rewriter<'_>, name: &str, value: ValueId, format: DType) -> Result<ValueId> {
    let stored = rewriter.builder.cast(&format!("{name}.stored"), value, format)?;
    rewriter.builder.cast(&format!("{name}.loaded"), stored, DType::F64)
}

/// An operand as the widened op takes it: constants of primitives are cast, weights of composites are not.
fn operand(graph: &Graph, rewriter: &mut Rewriter<'_>, op: &Op, at: usize, id: ValueId) -> Result<ValueId> {
    let new = rewriter.value(id)?;
    let TensorType { dtype, .. } = graph.value(id).ty.clone();
    let is_weight = match op {
        Op::Linear(_) | Op::LayerNorm { .. } => at > 0,
        Op::AddLayerNorm { .. } => at > 1,
        Op::Gather { .. } | Op::Cast { .. } => true,
        _ => false,
    };
    let is_constant = matches!(graph.value(id).origin, Origin::Constant(_));
    let gathered = matches!(op, Op::Gather { .. }) && dtype.is_float() && at == 0;
    if is_constant && dtype.is_float() && (!is_weight || gathered) {
        return rewriter.builder.cast(&graph.value(id).name.clone(), new, DType::F64);
    }
    Ok(new)
}
