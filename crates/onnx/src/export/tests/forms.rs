//! The operators of each composite, in the order in which compilers look for them.

use super::{node, numbers, operators, read, symbolic};
use crate::export;
use crate::messages::GraphProto;
use lockstep_graph::{
    Attention, BinaryOp, DType, Dim, GeluForm, Graph, GraphBuilder, HostTensor, Op, Operands, Sequences,
    TensorType, UnaryOp,
};

fn layer_norm(dtype: DType, stored: DType) -> GraphProto {
    let mut b = GraphBuilder::new();
    let x = b.input("x", symbolic(dtype, &[4])).unwrap();
    let weight = |at: f64| HostTensor::from_f64(stored, &[4], &[at, 2.0, 3.0, 4.0]).unwrap();
    let gamma = b.constant("norm.weight", weight(1.0));
    let beta = b.constant("norm.bias", weight(5.0));
    let y = b.layer_norm("norm", x, gamma, beta, 1e-12).unwrap();
    b.output("y", y).unwrap();
    read(&export(&b.finish().unwrap(), &[]).unwrap())
}

const LAYER_NORM: [&str; 9] = ["ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"];

#[test]
fn layer_norm_is_written_as_compilers_know_it() {
    // Stored in half precision, as files have it; constants all the same.
    let graph = layer_norm(DType::F32, DType::F16);
    assert_eq!(operators(&graph), LAYER_NORM);
    let [mean, centred, squares, variance, .., quotient, scaled, shifted] = &graph.node[..] else {
        panic!("{graph:?}")
    };
    assert_eq!(centred.input, ["x", &mean.output[0]]);
    assert_eq!(squares.input[0], centred.output[0]);
    assert_eq!(
        (quotient.input[0].as_str(), squares.input[0].as_str()),
        (centred.output[0].as_str(), &*centred.output[0])
    );
    assert_eq!(numbers(&graph, &squares.input[1]), [2.0]);
    assert_eq!(numbers(&graph, &scaled.input[1]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(numbers(&graph, &shifted.input[1]), [5.0, 2.0, 3.0, 4.0]);
    for mean in [mean, variance] {
        assert_eq!(mean.ints("axes").unwrap(), Some(&[2i64][..]));
        assert_eq!(mean.int("keepdims").unwrap(), Some(1));
    }
}

#[test]
fn in_half_precision_layer_norm_and_gelu_are_f32_inside() {
    let graph = layer_norm(DType::F16, DType::F16);
    let expected = [&["Cast"][..], &LAYER_NORM, &["Cast"]].concat();
    assert_eq!(operators(&graph), expected);
    let weights = graph.initializer.iter().filter(|tensor| tensor.name.starts_with("norm."));
    assert_eq!(weights.map(|tensor| tensor.data_type).collect::<Vec<_>>(), [1, 1]);
    let graph = gelu(DType::F16, GeluForm::Erf);
    assert_eq!(operators(&graph), ["Cast", "Div", "Erf", "Add", "Mul", "Mul", "Cast"]);
}

fn gelu(dtype: DType, form: GeluForm) -> GraphProto {
    let mut b = GraphBuilder::new();
    let x = b.input("x", symbolic(dtype, &[4])).unwrap();
    let y = b.gelu("gelu", x, form).unwrap();
    b.output("y", y).unwrap();
    read(&export(&b.finish().unwrap(), &[]).unwrap())
}

#[test]
fn gelu_is_written_as_compilers_know_it() {
    let graph = gelu(DType::F32, GeluForm::Erf);
    assert_eq!(operators(&graph), ["Div", "Erf", "Add", "Mul", "Mul"]);
    assert_eq!(numbers(&graph, &graph.node[0].input[1]), [f64::from(std::f32::consts::SQRT_2)]);
    assert_eq!(numbers(&graph, &graph.node[4].input[1]), [0.5]);
    assert!(operators(&gelu(DType::F32, GeluForm::Tanh)).contains(&"Tanh"));
}

/// Scores of two layers behind one mask.
fn masked(tapped: bool) -> Graph {
    let mut b = GraphBuilder::new();
    let mask = b.input("mask", symbolic(DType::Bool, &[])).unwrap();
    let mut x = b.input("x", symbolic(DType::F32, &[])).unwrap();
    for layer in ["first", "second"] {
        x = b
            .scoped(layer, |b| {
                let lowest = b.scalar("lowest", DType::F32, f64::NEG_INFINITY)?;
                let scores = b.select("masked", mask, x, lowest)?;
                if tapped {
                    b.checkpoint("masked", scores)?;
                }
                b.softmax("weights", scores, 1)
            })
            .unwrap();
    }
    b.output("y", x).unwrap();
    b.finish().unwrap()
}

#[test]
fn a_mask_is_added_and_made_once_for_all_layers() {
    let graph = read(&export(&masked(false), &[]).unwrap());
    assert_eq!(operators(&graph), ["Where", "Add", "Softmax", "Add", "Softmax"]);
    let bias = node(&graph, "mask.bias");
    assert_eq!(bias.input[0], "mask");
    assert_eq!(
        (numbers(&graph, &bias.input[1]), numbers(&graph, &bias.input[2])),
        (vec![0.0], vec![-32768.0])
    );
    assert_eq!(node(&graph, "y").int("axis").unwrap(), Some(1));
}

#[test]
fn masked_scores_that_are_given_stay_infinite() {
    let graph = read(&export(&masked(true), &["first.masked"]).unwrap());
    assert_eq!(operators(&graph), ["Where", "Softmax", "Where", "Add", "Softmax"]);
    assert_eq!(numbers(&graph, &node(&graph, "first.masked").input[2]), [f64::NEG_INFINITY]);
}

#[test]
fn products_stay_in_half_precision_and_their_matrices_are_constants() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", symbolic(DType::F16, &[4])).unwrap();
    let weight =
        HostTensor::from_f64(DType::F32, &[2, 4], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).unwrap();
    let weight = b.constant("dense.weight", weight);
    let bias = b.constant("dense.bias", HostTensor::from_f64(DType::F32, &[2], &[0.5, 0.25]).unwrap());
    let y = b.linear("dense", x, weight, bias, None).unwrap();
    b.output("y", y).unwrap();
    let graph = read(&export(&b.finish().unwrap(), &[]).unwrap());
    assert_eq!(operators(&graph), ["MatMul", "Add"]);
    assert_eq!(graph.node[0].input, ["x", "dense.weight"]);
    assert_eq!(numbers(&graph, "dense.weight"), [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]);
    assert!(graph.initializer.iter().all(|tensor| tensor.data_type == 10));
}

#[test]
fn an_attention_of_every_layout_is_standard_operators() {
    for sequences in [Sequences::Dense, Sequences::KeyMask, Sequences::Ends] {
        for operands in [Operands::Separate, Operands::Merged] {
            for dtype in [DType::F32, DType::F16] {
                let mut b = GraphBuilder::new();
                let width = if operands == Operands::Merged { 24 } else { 8 };
                let ty = match sequences {
                    Sequences::Ends => TensorType::new(dtype, [Dim::symbol("tokens"), Dim::from(width)]),
                    _ => symbolic(dtype, &[width]),
                };
                let x = b.input("x", ty).unwrap();
                let mut inputs = vec![x; if operands == Operands::Merged { 1 } else { 3 }];
                match sequences {
                    Sequences::Dense => {}
                    Sequences::KeyMask => inputs.push(b.input("mask", symbolic(DType::Bool, &[])).unwrap()),
                    Sequences::Ends => {
                        inputs.push(
                            b.input("ends", TensorType::new(DType::I64, [Dim::symbol("batch")])).unwrap(),
                        );
                    }
                }
                let op = Op::Attention(Attention { heads: 2, scale: 0.5, operands, sequences });
                let y = b.single("attention", op, &inputs).unwrap();
                b.output("y", y).unwrap();
                let graph = read(&export(&b.finish().unwrap(), &[]).unwrap());
                assert!(operators(&graph).contains(&"Softmax"), "{:?}", operators(&graph));
            }
        }
    }
}

#[test]
fn every_elementwise_op_is_written() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", symbolic(DType::F32, &[])).unwrap();
    let mask = b.input("mask", symbolic(DType::Bool, &[])).unwrap();
    for op in UnaryOp::ALL {
        let operand = if op == UnaryOp::Not { mask } else { x };
        let y = b.unary("unary", op, operand).unwrap();
        b.output(&format!("{op:?}"), y).unwrap();
    }
    for op in BinaryOp::ALL {
        let operand = if matches!(op, BinaryOp::And | BinaryOp::Or) { mask } else { x };
        let y = b.binary("binary", op, operand, operand).unwrap();
        b.output(&format!("{op:?}"), y).unwrap();
    }
    let graph = read(&export(&b.finish().unwrap(), &[]).unwrap());
    assert_eq!(graph.node.len(), UnaryOp::ALL.len() + BinaryOp::ALL.len());
}
