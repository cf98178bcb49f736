//! Weights as their readers want them: cast and transposed here, once, instead of in the model.
//!
//! A compiler finds LayerNorm only where gamma and beta are constants, and packs a product's matrix only where it is one.
//! Casts to a wider dtype are exact, a transpose moves bits, so that initializers hold the weights' values.

use crate::Result;
use lockstep_graph::tensor::{AlignedBytes, Bytes};
use lockstep_graph::{Graph, HostTensor, Node, Op, Rewriter, ValueId};
use std::collections::HashMap;

/// The same graph with casts and transposes of constants done. A constant keeps its name.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph), not in practice.
pub(super) fn folded(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut made: HashMap<ValueId, (String, HostTensor)> = HashMap::new();
    for node in graph.nodes() {
        let constant = node.inputs.first().and_then(|&id| match made.get(&id) {
            Some((name, tensor)) => Some((name.clone(), tensor)),
            None => graph.constant(id).map(|known| (graph.value(id).name.clone(), known.tensor())),
        });
        let Some((name, tensor)) = constant.and_then(|(name, tensor)| Some((name, apply(node, tensor)?)))
        else {
            rewriter.copy(node)?;
            continue;
        };
        for &output in &node.outputs {
            let new = rewriter.builder.constant(&name, tensor.clone());
            rewriter.replace(output, new);
            made.insert(output, (name.clone(), tensor.clone()));
        }
    }
    Ok(rewriter.finish()?)
}

fn apply(node: &Node, tensor: &HostTensor) -> Option<HostTensor> {
    match &node.op {
        Op::Cast { to } => tensor.cast(*to).ok(),
        Op::Transpose { permutation } if permutation == &[1, 0] => transposed(tensor),
        _ => None,
    }
}

/// A matrix with its axes exchanged, whatever its dtype.
fn transposed(tensor: &HostTensor) -> Option<HostTensor> {
    let &[rows, columns] = tensor.shape() else { return None };
    let (size, bytes) = (tensor.dtype().size(), tensor.bytes());
    let mut turned = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let at = (row * columns + column) * size;
            turned.extend_from_slice(bytes.get(at..at + size)?);
        }
    }
    HostTensor::from_bytes(tensor.dtype(), &[columns, rows], Bytes::owned(AlignedBytes::copy_of(&turned)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_graph::{DType, GraphBuilder, TensorType};

    #[test]
    fn a_matrix_is_turned_in_every_width_of_element() {
        let matrix = HostTensor::from_slice(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        for dtype in [DType::F32, DType::F16, DType::F64, DType::I8] {
            let turned = transposed(&matrix.cast(dtype).unwrap()).unwrap();
            assert_eq!((turned.shape(), turned.dtype()), (&[3, 2][..], dtype));
            assert_eq!(turned.to_f64(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        }
    }

    #[test]
    fn a_stored_weight_is_widened_and_turned_and_keeps_its_name() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[4, 3])).unwrap();
        let stored = HostTensor::from_f64(DType::F16, &[2, 3], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
        let weight = b.constant("dense.weight", stored.clone());
        let wide = b.cast("wide", weight, DType::F32).unwrap();
        let turned = b.transpose("turned", wide, &[1, 0]).unwrap();
        let y = b.matmul("y", x, turned).unwrap();
        b.output("y", y).unwrap();
        let graph = folded(&b.finish().unwrap()).unwrap();
        assert_eq!(graph.nodes().len(), 1);
        let operand = graph.value(graph.nodes()[0].inputs[1]);
        assert_eq!((operand.name.as_str(), operand.ty.dtype), ("dense.weight", DType::F32));
        let [a, b, c, d, e, f] = stored.to_f64()[..] else { panic!("six elements") };
        let found = graph.constant(graph.nodes()[0].inputs[1]).unwrap().tensor().to_f64();
        assert_eq!(found, [a, d, b, e, c, f]);
    }
}
