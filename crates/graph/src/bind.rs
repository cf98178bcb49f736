//! Giving symbols their values: from a graph for any extent to the graph of one run.

use crate::{Dim, Graph, GraphBuilder, Op, Result, Rewriter, SymbolValues, TensorType};

impl Graph {
    /// The same graph with every symbol replaced by its value and every shape inferred anew, so that what could not be
    /// checked symbolically (a slice longer than its axis, extents that do not broadcast) is checked now.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) names the node that does not fit these extents; an unbound symbol is named
    /// too.
    pub fn bound(&self, values: &SymbolValues) -> Result<Graph> {
        let mut rewriter = Rewriter::new(self)?;
        // Inputs again, with fixed types: the builder that `new` filled has the symbolic ones.
        rewriter.builder = GraphBuilder::new();
        for &id in self.inputs() {
            let value = self.value(id);
            let ty = TensorType::new(value.ty.dtype, bind_dims(&value.ty.shape, values)?);
            let new = rewriter.builder.input(&value.name, ty)?;
            rewriter.replace(id, new);
        }
        for node in self.nodes() {
            let inputs = rewriter.values(&node.inputs)?;
            let outputs = rewriter.builder.node(&node.name, bind_op(&node.op, values)?, &inputs)?;
            for (&old, new) in node.outputs.iter().zip(outputs) {
                rewriter.replace(old, new);
            }
        }
        for (name, id) in self.outputs() {
            let new = rewriter.value(*id)?;
            rewriter.builder.output(name, new)?;
        }
        for (name, id) in self.checkpoints() {
            let new = rewriter.value(*id)?;
            rewriter.builder.checkpoint(name, new)?;
        }
        rewriter.builder.finish()
    }
}

fn bind_dim(dim: &Dim, values: &SymbolValues) -> Result<Dim> {
    Ok(Dim::from(dim.evaluate(values)?))
}

fn bind_dims(dims: &[Dim], values: &SymbolValues) -> Result<Vec<Dim>> {
    dims.iter().map(|dim| bind_dim(dim, values)).collect()
}

/// Only these ops hold extents; every other op is the same for all of them.
fn bind_op(op: &Op, values: &SymbolValues) -> Result<Op> {
    Ok(match op {
        Op::Reshape { shape } => Op::Reshape { shape: bind_dims(shape, values)? },
        Op::Expand { shape } => Op::Expand { shape: bind_dims(shape, values)? },
        Op::Slice { axis, start, step, length } => {
            Op::Slice { axis: *axis, start: *start, step: *step, length: bind_dim(length, values)? }
        }
        Op::Fill { dtype, value, shape } => {
            Op::Fill { dtype: *dtype, value: *value, shape: bind_dims(shape, values)? }
        }
        Op::Iota { length } => Op::Iota { length: bind_dim(length, values)? },
        other => other.clone(),
    })
}
