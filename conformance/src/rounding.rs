//! The best that storage formats allow: a graph in f64 whose every stored float is rounded once, to the dtype it is stored
//! in.
//!
//! A device that stores f16 or bf16 and computes exactly in between would give this. How far it is from the unrounded graph
//! is the formats' own error; a device's error is judged as a multiple of it. The rounding sites are the values that the
//! device's plan really stores, so the graph to pass is the planned (fused) one. It may mix dtypes, as models do that keep
//! their embeddings and heads in f32.

use crate::one_op::is_weight;
use lockstep_runtime::graph::{DType, Graph, Node, Op, Origin, Result, Rewriter, ValueId};
use lockstep_runtime::tensor::HostTensor;
use std::collections::HashMap;

/// `graph` as one that computes in f64 and rounds every float that a node stores to the dtype it is stored in. Inputs,
/// constants and integer values stay as they are; float outputs are f64.
///
/// # Errors
/// Those of a graph that does not fit after all.
pub fn rounded_in_f64(graph: &Graph) -> Result<Graph> {
    Widening::new(graph, Rounding::OfStoredFloats)?.finish()
}

/// `graph` in f64 throughout, without rounding: its truth.
///
/// # Errors
/// As [`rounded_in_f64`].
pub fn exact_in_f64(graph: &Graph) -> Result<Graph> {
    Widening::new(graph, Rounding::Never)?.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Never,
    OfStoredFloats,
}

struct Widening<'a> {
    graph: &'a Graph,
    rewriter: Rewriter<'a>,
    rounding: Rounding,
    /// Float inputs and constants, cast to f64 on first use.
    widened: HashMap<ValueId, ValueId>,
}

impl<'a> Widening<'a> {
    fn new(graph: &'a Graph, rounding: Rounding) -> Result<Self> {
        Ok(Self { graph, rewriter: Rewriter::new(graph)?, rounding, widened: HashMap::new() })
    }

    fn finish(mut self) -> Result<Graph> {
        for node in self.graph.nodes() {
            self.node(node)?;
        }
        self.rewriter.finish()
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        let mut inputs = Vec::new();
        for (at, &id) in node.inputs.iter().enumerate() {
            inputs.push(self.operand(&node.op, at, id)?);
        }
        let op = match &node.op {
            Op::Cast { to } if to.is_float() => {
                // f64 already, or an integer on its way there; the narrower dtype is where it is stored.
                let new = self.rewriter.builder.cast(&node.name, inputs[0], DType::F64)?;
                return self.store(node, node.outputs[0], new);
            }
            Op::Fill { dtype, value, shape } if dtype.is_float() => {
                // The fill's own rounding is part of what the graph means.
                let stored = HostTensor::from_f64(*dtype, &[1], &[*value])?;
                Op::Fill { dtype: DType::F64, value: stored.to_f64()[0], shape: shape.clone() }
            }
            other => other.clone(),
        };
        let outputs = self.rewriter.builder.node(&node.name, op, &inputs)?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            self.store(node, old, new)?;
        }
        Ok(())
    }

    /// Lets `new` stand for `old`, rounded to `old`'s dtype and in f64 again.
    fn store(&mut self, node: &Node, old: ValueId, mut new: ValueId) -> Result<()> {
        let dtype = self.graph.value(old).ty.dtype;
        if dtype.is_float() {
            let builder = &mut self.rewriter.builder;
            if self.rounding == Rounding::OfStoredFloats && !moves(&node.op) {
                new = builder.cast(&format!("{}.stored", node.name), new, dtype)?;
            }
            new = builder.cast(&format!("{}.f64", node.name), new, DType::F64)?;
        }
        self.rewriter.replace(old, new);
        Ok(())
    }

    /// An operand in f64 if it is a float; weights and tables as they are stored, since ops take them so.
    fn operand(&mut self, op: &Op, at: usize, id: ValueId) -> Result<ValueId> {
        let value = self.graph.value(id);
        let given = !matches!(value.origin, Origin::Node { .. });
        if !given || is_weight(op, at) || !value.ty.dtype.is_float() {
            return self.rewriter.value(id);
        }
        if let Some(&new) = self.widened.get(&id) {
            return Ok(new);
        }
        let new = self.rewriter.value(id)?;
        let new = self.rewriter.builder.cast(&format!("{}.f64", value.name), new, DType::F64)?;
        self.widened.insert(id, new);
        Ok(new)
    }
}

/// Ops whose results are elements of their operands, rounded before.
fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Select
            | Op::Transpose { .. }
            | Op::Reshape { .. }
            | Op::Expand { .. }
            | Op::Slice { .. }
            | Op::Concat { .. }
            | Op::Gather { .. }
            | Op::Fill { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_runtime::graph::{GraphBuilder, TensorType};

    fn ops(graph: &Graph) -> Vec<(String, DType)> {
        let dtype = |node: &Node| graph.value(node.outputs[0]).ty.dtype;
        graph.nodes().iter().map(|node| (node.op.name().to_owned(), dtype(node))).collect()
    }

    #[test]
    fn every_stored_float_is_rounded_to_its_own_dtype() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        let sum = b.add("sum", x, x).unwrap();
        let half = b.cast("half", sum, DType::F16).unwrap();
        let square = b.mul("square", half, half).unwrap();
        b.output("y", square).unwrap();
        let graph = b.finish().unwrap();
        let cast = |dtype| ("Cast".to_owned(), dtype);
        let computed = |name: &str| (name.to_owned(), DType::F64);
        let wanted = [
            cast(DType::F64),
            computed("Add"),
            cast(DType::F32),
            cast(DType::F64),
            cast(DType::F16),
            cast(DType::F64),
            computed("Mul"),
            cast(DType::F16),
            cast(DType::F64),
        ];
        let found = ops(&rounded_in_f64(&graph).unwrap());
        assert_eq!(found, wanted);
        assert_eq!(ops(&exact_in_f64(&graph).unwrap()), [cast(DType::F64), computed("Add"), computed("Mul")]);
    }
}
