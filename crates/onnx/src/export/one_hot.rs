//! IndexAdd as a product.
//!
//! ONNX's form of it is ScatterElements with a reduction, which the 910B's tables leave out (`ascend.rs`) and the operator
//! set of exported models does not have. A matrix that is 1 where row `i` of the base is position `j` of the index, times the
//! source, sums the same rows: out of place, in the product's order. It costs base rows times source rows times width, and a
//! NaN or an infinity in one row of the source reaches every row, since 0 times it is NaN.

use crate::{Error, Result};
use lockstep_graph::{
    CompareOp, DType, Dim, Graph, GraphBuilder, Node, Op, Result as GraphResult, Rewriter, ValueId,
};

/// The same graph without IndexAdd.
///
/// # Errors
/// [`Error::Model`] for an IndexAdd of integers, of which there is no product.
pub(super) fn without_index_add(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in graph.nodes() {
        let (Op::IndexAdd { axis }, &[output]) = (&node.op, &node.outputs[..]) else {
            rewriter.copy(node)?;
            continue;
        };
        refuse_integers(graph, node)?;
        let inputs = rewriter.values(&node.inputs)?;
        let sum = rewriter.builder.scoped(&node.name, |b| product(b, *axis, &inputs))?;
        rewriter.replace(output, sum);
    }
    Ok(rewriter.finish()?)
}

fn refuse_integers(graph: &Graph, node: &Node) -> Result<()> {
    let dtypes = node.outputs.iter().map(|&id| graph.value(id).ty.dtype);
    match dtypes.into_iter().find(|dtype| !dtype.is_float()) {
        None => Ok(()),
        Some(dtype) => Err(Error::model(
            &node.name,
            format!(
                "IndexAdd of {dtype} is not exported: it becomes a matrix product, which takes floats; cast to f32 first"
            ),
        )),
    }
}

/// `base + one_hot source`, with the axis brought to the front and back.
fn product(b: &mut GraphBuilder, axis: usize, inputs: &[ValueId]) -> GraphResult<ValueId> {
    let &[base, index, source] = inputs else {
        return Err(lockstep_graph::Error::Structure { reason: "IndexAdd takes three inputs".to_owned() });
    };
    let (shape, dtype) = (b.ty(base).shape.clone(), b.ty(base).dtype);
    let (rows, picked) = (shape[axis].clone(), b.ty(index).shape[0].clone());
    let position = b.single("position", Op::Iota { length: rows.clone() }, &[])?;
    let position = b.reshape("position.column", position, &[rows.clone(), Dim::from(1)])?;
    let index = b.cast("index", index, DType::I64)?;
    let index = b.reshape("index.row", index, &[Dim::from(1), picked.clone()])?;
    let is_added = b.compare("is_added", CompareOp::Eq, position, index)?;
    let one_hot = b.cast("one_hot", is_added, dtype)?;

    let mut front: Vec<usize> = (0..shape.len()).collect();
    front.remove(axis);
    front.insert(0, axis);
    let mut back = vec![0; front.len()];
    front.iter().enumerate().for_each(|(at, &from)| back[from] = at);
    let width = Dim::product(front[1..].iter().map(|&at| &shape[at]));
    let mut moved: Vec<Dim> = front.iter().map(|&at| shape[at].clone()).collect();
    let source = if axis == 0 { source } else { b.transpose("source.front", source, &front)? };
    moved[0] = picked.clone();
    let source = if moved.len() == 2 { source } else { b.reshape("source.rows", source, &[picked, width])? };
    let sum = b.matmul("sum", one_hot, source)?;
    moved[0] = rows;
    let sum = if moved.len() == 2 { sum } else { b.reshape("sum.shape", sum, &moved)? };
    let sum = if axis == 0 { sum } else { b.transpose("sum.back", sum, &back)? };
    b.add("", base, sum)
}
