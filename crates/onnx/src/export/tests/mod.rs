//! Exported models, read back from their bytes.

mod forms;
mod same_values;
mod trained;

use super::{Export, export, export_within};
use crate::messages::{GraphProto, ModelProto, NodeProto};
use crate::{EXPORT_OPSET, check_ascend};
use lockstep_graph::{
    DType, Dim, Graph, GraphBuilder, HostTensor, Op, PoolKind, Sequences, TensorType, ValueId,
};
use prost::Message;
use std::collections::HashSet;

/// The graph of a model's bytes, held to what every exported model is: one domain, one opset, operators that are taken, nodes
/// after those whose results they read, names that are there once.
fn read(export: &Export) -> GraphProto {
    let bytes = export.model_bytes();
    check_ascend(&bytes).unwrap();
    let model = ModelProto::decode(&*bytes).unwrap();
    let opsets: Vec<_> = model.opset_import.iter().map(|opset| (opset.domain(), opset.version)).collect();
    assert_eq!((opsets, model.ir_version), (vec![("", EXPORT_OPSET)], 7));
    assert!(model.functions.is_empty());
    let graph = model.graph.unwrap();
    let mut known = HashSet::new();
    let given = graph.input.iter().map(|input| &input.name);
    for name in given.chain(graph.initializer.iter().map(|tensor| &tensor.name)) {
        assert!(known.insert(name.clone()), "{name} is there twice");
    }
    for node in &graph.node {
        assert_eq!(node.domain, "", "{}", node.name);
        for name in &node.input {
            assert!(known.contains(name), "{} reads {name}, which nothing before it gives", node.name);
        }
        for name in &node.output {
            assert!(known.insert(name.clone()), "{name} is written twice");
        }
    }
    for output in &graph.output {
        assert!(
            graph.node.iter().any(|node| node.output.contains(&output.name)),
            "no node gives {}",
            output.name
        );
    }
    graph
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn node<'a>(graph: &'a GraphProto, name: &str) -> &'a NodeProto {
    graph.node.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
}

/// i64 `[n]` of the initializer that a node reads.
fn numbers(graph: &GraphProto, name: &str) -> Vec<f64> {
    let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
    crate::tensor::from_message(tensor.unwrap_or_else(|| panic!("no initializer {name}"))).unwrap().to_f64()
}

/// Each input and output with its extents, as text.
fn ports(ports: &[super::Port]) -> Vec<String> {
    ports.iter().map(|port| format!("{} {}", port.name, port.ty)).collect()
}

fn symbolic(dtype: DType, rest: &[usize]) -> TensorType {
    let mut shape = vec![Dim::symbol("batch"), Dim::symbol("seq")];
    shape.extend(rest.iter().map(|&extent| Dim::from(extent)));
    TensorType::new(dtype, shape)
}

#[test]
fn what_is_not_there_or_has_no_form_is_refused_by_name() {
    let refused = |graph: Graph, checkpoints: &[&str]| export(&graph, checkpoints).unwrap_err().to_string();
    let of = |build: &dyn Fn(&mut GraphBuilder) -> ValueId| {
        let mut b = GraphBuilder::new();
        let y = build(&mut b);
        b.output("y", y).unwrap();
        b.finish().unwrap()
    };
    let sum = of(&|b| {
        let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        b.add("sum", x, x).unwrap()
    });
    assert!(refused(sum, &["layer.7"]).contains("`layer.7`: is no checkpoint"));
    let integers = of(&|b| {
        let base = b.input("base", TensorType::fixed(DType::I64, &[3])).unwrap();
        b.index_add("scattered", 0, base, base, base).unwrap()
    });
    assert!(refused(integers, &[]).contains("`scattered`: IndexAdd of i64"));
    let lost = of(&|b| {
        let ty = TensorType::new(DType::F32, [Dim::product([&Dim::symbol("batch"), &Dim::from(2)])]);
        let x = b.input("x", ty).unwrap();
        b.single("rows", Op::Iota { length: Dim::symbol("batch") }, &[]).unwrap();
        let filled = b.fill("filled", DType::F32, 1.0, &[Dim::symbol("batch")]).unwrap();
        let _ = x;
        filled
    });
    assert!(refused(lost, &[]).contains("`batch`: is an extent that no input has on its own"));
}

#[test]
fn a_value_of_several_names_is_given_under_each() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", symbolic(DType::F32, &[])).unwrap();
    let y = b.add("sum", x, x).unwrap();
    b.output("state", y).unwrap();
    b.output("given", x).unwrap();
    b.checkpoint("layer 1:output", y).unwrap();
    b.checkpoint("state", y).unwrap();
    let exported = export(&b.finish().unwrap(), &["layer 1:output", "state"]).unwrap();
    let graph = read(&exported);
    assert_eq!(operators(&graph), ["Add", "Identity", "Identity"]);
    let expected = ["state f32[batch, seq]", "given f32[batch, seq]", "layer_1_output f32[batch, seq]"];
    assert_eq!(ports(exported.outputs()), expected);
    let named = |name: &str, output: &str| (name.to_owned(), output.to_owned());
    assert_eq!(exported.checkpoints(), [named("layer 1:output", "layer_1_output"), named("state", "state")]);
}

#[test]
fn large_weights_lie_in_a_file_of_their_own_on_pages() {
    let mut b = GraphBuilder::new();
    let mut x = b.input("x", symbolic(DType::F32, &[600])).unwrap();
    let weights: Vec<HostTensor> = (0..2)
        .map(|at| {
            HostTensor::from_slice(&[600], &(0..600).map(|i| (i + at) as f32).collect::<Vec<_>>()).unwrap()
        })
        .collect();
    for (at, weight) in weights.iter().enumerate() {
        let weight = b.constant(&format!("weight.{at}"), weight.clone());
        x = b.mul("scaled", x, weight).unwrap();
    }
    let small = b.constant("small", HostTensor::scalar(2.0f32));
    x = b.add("sum", x, small).unwrap();
    b.output("y", x).unwrap();
    let graph = b.finish().unwrap();
    assert!(!export(&graph, &[]).unwrap().has_weights_file());
    let exported = export_within(&graph, &[], 4096).unwrap();
    assert!(exported.has_weights_file());
    let mut file = Vec::new();
    exported.write_weights(&mut file).unwrap();
    let model = read(&exported);
    let mut outside = 0;
    for tensor in model.initializer.iter().filter(|tensor| tensor.data_location == 1) {
        let value =
            |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).unwrap().value.clone();
        let (offset, length): (usize, usize) =
            (value("offset").parse().unwrap(), value("length").parse().unwrap());
        assert_eq!((value("location").as_str(), offset % 4096), ("model.weights", 0));
        let at: usize = tensor.name.trim_start_matches("weight.").parse().unwrap();
        assert_eq!(&file[offset..offset + length], weights[at].bytes());
        assert!(tensor.raw_data.is_none());
        outside += 1;
    }
    assert_eq!(outside, 2);
    assert_eq!(numbers(&model, "small"), [2.0]);
}

#[test]
fn extents_are_constants_where_onnx_can_say_them_and_are_read_off_the_inputs_elsewhere() {
    let mut b = GraphBuilder::new();
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let x = b.input("x", symbolic(DType::F32, &[6])).unwrap();
    let split = b.reshape("split", x, &[batch.clone(), seq.clone(), Dim::from(2), Dim::from(3)]).unwrap();
    let tokens = Dim::product([&batch, &seq]);
    let rows = b.reshape("rows", split, &[tokens.clone(), Dim::from(6)]).unwrap();
    let turned = b.reshape("turned", rows, &[seq.clone(), batch.clone(), Dim::from(6)]).unwrap();
    let filled = b.fill("filled", DType::F32, 1.5, &[tokens, Dim::from(6)]).unwrap();
    let y = b.add("y", rows, filled).unwrap();
    b.output("turned", turned).unwrap();
    b.output("y", y).unwrap();
    let graph = read(&export(&b.finish().unwrap(), &[]).unwrap());
    let shape_of = |name: &str| node(&graph, name).input[1].clone();
    assert_eq!(numbers(&graph, &shape_of("split")), [0.0, 0.0, 2.0, 3.0]);
    assert_eq!(numbers(&graph, &shape_of("rows")), [-1.0, 6.0]);
    assert_eq!(node(&graph, &shape_of("turned")).op_type, "Concat");
    let filled = node(&graph, "filled");
    assert_eq!(
        (filled.op_type.as_str(), node(&graph, &filled.input[0]).op_type.as_str()),
        ("ConstantOfShape", "Concat")
    );
}

#[test]
fn a_pool_of_every_kind_and_layout_is_written() {
    for kind in [PoolKind::Mean, PoolKind::Max] {
        for packed in [false, true] {
            let mut b = GraphBuilder::new();
            let (data, positions, sequences) = if packed {
                let data = TensorType::new(DType::F32, [Dim::symbol("tokens"), Dim::from(4)]);
                (data, TensorType::new(DType::I64, [Dim::symbol("batch")]), Sequences::Ends)
            } else {
                (symbolic(DType::F32, &[4]), symbolic(DType::Bool, &[]), Sequences::KeyMask)
            };
            let data = b.input("data", data).unwrap();
            let positions = b.input("positions", positions).unwrap();
            let y = b.single("pooled", Op::Pool { kind, sequences }, &[data, positions]).unwrap();
            b.output("y", y).unwrap();
            let exported = export(&b.finish().unwrap(), &[]).unwrap();
            read(&exported);
            assert_eq!(ports(exported.outputs()), ["y f32[batch, 4]"]);
        }
    }
}
