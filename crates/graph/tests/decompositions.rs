//! Every composite ends in primitives of the same type, and the picture of a graph is Graphviz's.

mod transformer;

use lockstep_graph::{
    Activation, Attention, DType, GeluForm, Graph, GraphBuilder, Linear, Node, Op, Operands, PoolKind,
    Rewriter, Sequences, TensorType, decompose,
};
use transformer::transformer;

/// Repeats until only primitives are left; says how often.
fn primitives(graph: &Graph) -> (Graph, usize) {
    let mut graph = graph.clone();
    for turn in 0..8 {
        if graph.nodes().iter().all(|node| node.op.is_primitive()) {
            return (graph, turn);
        }
        let mut rewriter = Rewriter::new(&graph).unwrap();
        for node in graph.nodes() {
            let inputs = rewriter.values(&node.inputs).unwrap();
            match rewriter.builder.scoped(&node.name, |b| decompose(&node.op, b, &inputs)).unwrap() {
                None => rewriter.copy(node).unwrap(),
                Some(outputs) => {
                    node.outputs.iter().zip(outputs).for_each(|(&old, new)| rewriter.replace(old, new))
                }
            }
        }
        graph = rewriter.finish().unwrap();
    }
    panic!("still not primitive: {:?}", graph.nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>());
}

fn ty(dtype: DType, shape: &[usize]) -> TensorType {
    TensorType::fixed(dtype, shape)
}

/// Every composite in every form, on weights stored in another dtype where it takes them.
fn composites() -> Vec<(Op, Vec<TensorType>)> {
    let x = DType::F32;
    let mut all = vec![
        (Op::Softmax { axis: 1 }, vec![ty(x, &[2, 3, 4])]),
        (Op::LayerNorm { epsilon: 1e-5 }, vec![ty(x, &[2, 4]), ty(DType::F16, &[4]), ty(x, &[4])]),
        (
            Op::AddLayerNorm { epsilon: 0.0 },
            vec![ty(x, &[2, 4]), ty(x, &[2, 4]), ty(x, &[4]), ty(DType::Bf16, &[4])],
        ),
        (
            Op::EmbedLayerNorm { dtype: DType::F16, epsilon: 1e-5 },
            vec![ty(DType::F16, &[7, 4]), ty(DType::I64, &[2, 3]), ty(DType::F16, &[4]), ty(x, &[4])],
        ),
        (
            Op::EmbedLayerNorm { dtype: x, epsilon: 1e-5 },
            vec![
                ty(DType::Bf16, &[7, 4]),
                ty(DType::I32, &[3]),
                ty(x, &[1, 4]),
                ty(DType::I64, &[3]),
                ty(x, &[4]),
                ty(x, &[4]),
            ],
        ),
        (Op::Gelu(GeluForm::Erf), vec![ty(x, &[])]),
        (Op::Gelu(GeluForm::Tanh), vec![ty(x, &[0, 3])]),
    ];
    for activation in [None, Some(Activation::Tanh), Some(Activation::Gelu(GeluForm::Tanh))] {
        for (bias, residual) in [(false, false), (true, false), (false, true), (true, true)] {
            for rows in [&[][..], &[5], &[2, 0]] {
                let shape = |last: usize| [rows, &[last]].concat();
                let mut inputs = vec![ty(x, &shape(4)), ty(DType::F16, &[3, 4])];
                inputs.extend(bias.then(|| ty(DType::F16, &[3])));
                inputs.extend(residual.then(|| ty(x, &shape(3))));
                all.push((Op::Linear(Linear { bias, activation, residual }), inputs));
            }
        }
    }
    let positions = [
        (Sequences::Dense, vec![2, 3], None),
        (Sequences::KeyMask, vec![2, 3], Some(ty(DType::Bool, &[2, 3]))),
        (Sequences::Ends, vec![6], Some(ty(DType::I64, &[2]))),
    ];
    for (sequences, rows, last) in positions {
        for (operands, count, width) in [(Operands::Separate, 3, 8), (Operands::Merged, 1, 24)] {
            let mut inputs = vec![ty(x, &[&rows[..], &[width]].concat()); count];
            inputs.extend(last.clone());
            all.push((Op::Attention(Attention { heads: 2, scale: 0.5, operands, sequences }), inputs));
        }
        for kind in [PoolKind::Mean, PoolKind::Max] {
            if let Some(last) = &last {
                let inputs = vec![ty(x, &[&rows[..], &[8]].concat()), last.clone()];
                all.push((Op::Pool { kind, sequences }, inputs));
            }
        }
    }
    all
}

#[test]
fn every_composite_ends_in_primitives_of_its_own_type() {
    for (op, types) in composites() {
        assert!(!op.is_primitive(), "{op}");
        let mut b = GraphBuilder::new();
        let inputs: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(at, ty)| b.input(&format!("input{at}"), ty.clone()).unwrap())
            .collect();
        let output = b.single("node", op.clone(), &inputs).unwrap();
        let wanted = b.ty(output).clone();
        b.output("y", output).unwrap();
        let (graph, turns) = primitives(&b.finish().unwrap());
        assert_eq!(graph.value(graph.outputs()[0].1).ty, wanted, "{op:?} of {types:?}");
        assert!((1..=3).contains(&turns), "{op} took {turns} turns");
    }
}

#[test]
fn a_whole_model_decomposes_with_its_checkpoints() {
    let graph = transformer();
    let (primitive, _) = primitives(&graph);
    let names = |graph: &Graph| graph.checkpoints().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&primitive), names(&graph));
    let ty = |graph: &Graph| graph.value(graph.outputs()[0].1).ty.clone();
    assert_eq!(ty(&primitive), ty(&graph));
    let mut all: Vec<&str> = primitive.nodes().iter().map(|node| node.name.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), primitive.nodes().len(), "names stay unique");
}

#[test]
fn a_primitive_has_no_decomposition_and_wrong_inputs_are_no_panic() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", ty(DType::F32, &[2, 3])).unwrap();
    assert!(decompose(&Op::MatMul, &mut b, &[x, x]).unwrap().is_none());
    for (op, types) in composites() {
        for count in 0..types.len() {
            assert!(decompose(&op, &mut b, &vec![x; count]).is_err(), "{op:?} of {count} inputs");
        }
    }
}

/// Braces and quotes balance, every node and edge has its line, labels are escaped.
#[test]
fn the_picture_is_graphviz() {
    let graph = transformer();
    let dot = graph.to_dot();
    assert!(dot.starts_with("digraph ") && dot.ends_with("}\n"));
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    assert!(dot.lines().all(|line| line.matches('"').count() % 2 == 0));
    for (at, node) in graph.nodes().iter().enumerate() {
        assert!(dot.contains(&format!("  n{at} [label=\"{}\\n{}\"", node.op, node.name)), "{}", node.name);
    }
    let is_constant = |id| graph.constant(id).is_some();
    let edges = |node: &Node| node.inputs.iter().filter(|&&id| !is_constant(id)).count();
    let wanted: usize = graph.nodes().iter().map(edges).sum::<usize>() + graph.outputs().len();
    assert_eq!(dot.matches(" -> ").count(), wanted);
    assert_eq!(dot.matches("peripheries=2").count(), graph.checkpoints().len());

    let mut b = GraphBuilder::new();
    let x = b.input("a \"quoted\"\\name", ty(DType::F32, &[1])).unwrap();
    b.output("out", x).unwrap();
    assert!(b.finish().unwrap().to_dot().contains("a \\\"quoted\\\"\\\\name"));
}
