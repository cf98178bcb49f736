//! Chains that are fused, and those that must not be.

use crate::interpreter::run;
use crate::models::{Exported, F32, ORIGIN, chance, compiled, floats, ints, model, node, port};
use lockstep_ascend_container::{Operator, Step};
use lockstep_atc_simulator::Fused;
use lockstep_graph::{DType, GeluForm, Graph, GraphBuilder, HostTensor, TensorType};
use lockstep_onnx::messages::{ModelProto, NodeProto, TensorProto};
use std::fs;

fn counts(layer_norms: usize, erf_gelus: usize, tanh_gelus: usize) -> Fused {
    Fused { layer_norms, precise_layer_norms: 0, erf_gelus, tanh_gelus }
}

/// `[2, 4]` through a LayerNorm and a GELU, with checkpoints inside neither.
fn graph(dtype: DType, form: GeluForm) -> Graph {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(dtype, &[2, 4])).unwrap();
    let weight = |seed| HostTensor::from_f64(dtype, &[4], &chance(&[4], seed).to_f64()).unwrap();
    let gamma = b.constant("norm.weight", weight(1));
    let beta = b.constant("norm.bias", weight(2));
    let norm = b.layer_norm("norm", x, gamma, beta, 1e-12).unwrap();
    let y = b.gelu("gelu", norm, form).unwrap();
    b.output("y", y).unwrap();
    b.finish().unwrap()
}

fn operators(steps: &[Step]) -> Vec<Operator> {
    steps.iter().map(|step| step.operator).collect()
}

#[test]
fn what_export_writes_is_fused_in_both_forms_and_dtypes() {
    for (form, is_tanh) in [(GeluForm::Erf, false), (GeluForm::Tanh, true)] {
        let gelu = Operator::Gelu { is_tanh };
        let wide = Exported::of(&graph(DType::F32, form), &[]).compiled(&[ORIGIN]).unwrap();
        let [norm, Operator::Gelu { .. }] = operators(&wide.model().gears[0].steps)[..] else {
            panic!("{:?}", wide.model().gears[0].steps)
        };
        let Operator::LayerNorm { epsilon, is_precise: false } = norm else { panic!("{norm:?}") };
        // As f32 has it, which is how the model says it.
        assert_eq!(epsilon, f64::from(1e-12f32));
        // In half precision the export widens both; so does what is compiled.
        let half = Exported::of(&graph(DType::F16, form), &[]).compiled(&[ORIGIN]).unwrap();
        let found = operators(&half.model().gears[0].steps);
        assert_eq!(found[..2], [Operator::Cast, norm]);
        assert_eq!(found[found.len() - 2..], [gelu, Operator::Cast]);
        // In fp16 nothing is left to cast.
        let narrow = Exported::of(&graph(DType::F16, form), &[]).compiled(&["--precision_mode_v2=fp16"]);
        assert_eq!(operators(&narrow.unwrap().model().gears[0].steps), [norm, gelu]);
    }
}

/// A chain by hand on x `[2, 3]`, with these nodes changed and these outputs.
fn norm(change: impl FnOnce(&mut Vec<NodeProto>), outputs: &[&str]) -> ModelProto {
    let mean = || vec![ints("axes", &[-1])];
    let mut nodes = vec![
        node("mean", "ReduceMean", &["x"], mean()),
        node("centred", "Sub", &["x", "mean"], vec![]),
        node("squares", "Pow", &["centred", "two"], vec![]),
        node("variance", "ReduceMean", &["squares"], mean()),
        node("shifted", "Add", &["variance", "epsilon"], vec![]),
        node("deviation", "Sqrt", &["shifted"], vec![]),
        node("quotient", "Div", &["centred", "deviation"], vec![]),
        node("scaled", "Mul", &["quotient", "gamma"], vec![]),
        node("y", "Add", &["scaled", "beta"], vec![]),
    ];
    change(&mut nodes);
    let constants = [
        ("two", floats(&[], &[2.0])),
        ("three", floats(&[], &[3.0])),
        ("epsilon", floats(&[1], &[1e-5])),
        ("gamma", floats(&[3], &[1.0, 2.0, 3.0])),
        ("beta", floats(&[3], &[-1.0, 0.0, 1.0])),
        ("one", floats(&[1], &[1.0])),
    ];
    model(13, vec![port("x", F32, &[2, 3])], &constants, nodes, outputs)
}

/// What is fused, after its values were held against those of the same model with every inner value given.
fn fused(model: &ModelProto) -> Fused {
    let whole = Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap();
    let mut open = model.clone();
    let graph = open.graph.as_mut().unwrap();
    for node in &graph.node {
        if graph.output.iter().all(|output| output.name != node.output[0]) {
            let output = lockstep_onnx::messages::ValueInfoProto { name: node.output[0].clone(), ty: None };
            graph.output.push(output);
        }
    }
    let open = Exported::bytes(&open.bytes()).compiled(&[ORIGIN]).unwrap();
    assert_eq!(open.report().fused(), &Fused::default());
    let x = [chance(&[2, 3], 5)];
    let expected = run(open.model(), open.constants(), &x);
    let found = run(whole.model(), whole.constants(), &x);
    // The others are what is given besides.
    assert!(found.len() <= expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.shape(), expected.shape());
        for (a, b) in found.to_f64().iter().zip(expected.to_f64()) {
            // Some of what is changed has the root of a negative number.
            assert!((a - b).abs() < 1e-5 || (a.is_nan() && b.is_nan()), "{a} and {b}");
        }
    }
    whole.report().fused().clone()
}

#[test]
fn a_layer_norm_is_fused_however_its_operands_are_ordered() {
    assert_eq!(fused(&norm(|_| {}, &["y"])), counts(1, 0, 0));
    let turned = |nodes: &mut Vec<NodeProto>| {
        for at in [4, 7, 8] {
            nodes[at].input.reverse();
        }
        nodes[2] = node("squares", "Mul", &["centred", "centred"], vec![]);
    };
    assert_eq!(fused(&norm(turned, &["y"])), counts(1, 0, 0));
}

#[test]
fn a_chain_that_something_else_looks_into_stays_as_it_is() {
    for inner in ["mean", "centred", "squares", "variance", "shifted", "deviation", "quotient", "scaled"] {
        assert_eq!(fused(&norm(|_| {}, &["y", inner])), counts(0, 0, 0), "{inner}");
        let read = |nodes: &mut Vec<NodeProto>| nodes.push(node("z", "Neg", &[inner], vec![]));
        assert_eq!(fused(&norm(read, &["y", "z"])), counts(0, 0, 0), "{inner}");
        // A reader whose result nobody wants is none.
        assert_eq!(fused_alone(&norm(read, &["y"])), counts(1, 0, 0), "{inner}");
    }
}

fn fused_alone(model: &ModelProto) -> Fused {
    Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap().report().fused().clone()
}

#[test]
fn a_chain_that_computes_something_else_is_not_a_layer_norm() {
    let changes: [fn(&mut Vec<NodeProto>); 9] = [
        |nodes| nodes[2].input[1] = "three".to_owned(),
        |nodes| nodes[0].attribute = vec![ints("axes", &[0])],
        |nodes| nodes[3].attribute = vec![ints("axes", &[0, 1])],
        |nodes| nodes[1].input = vec!["mean".to_owned(), "x".to_owned()],
        |nodes| nodes[6].input[0] = "x".to_owned(),
        |nodes| nodes[5].op_type = "Abs".to_owned(),
        |nodes| nodes[7].input[1] = "one".to_owned(),
        |nodes| nodes[8].input[1] = "x".to_owned(),
        |nodes| nodes[4].input[1] = "gamma".to_owned(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        assert_eq!(fused(&norm(change, &["y"])), counts(0, 0, 0), "change {at}");
    }
}

#[test]
fn a_layer_norm_with_an_epsilon_that_is_no_number_is_not_fused() {
    for epsilon in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut model = norm(|_| {}, &["y"]);
        let constants = &mut model.graph.as_mut().unwrap().initializer;
        let known = constants.iter_mut().find(|tensor| tensor.name == "epsilon").unwrap();
        *known = TensorProto::of("epsilon", &floats(&[1], &[epsilon]));
        assert_eq!(fused(&model), counts(0, 0, 0), "{epsilon}");
        let compiled = Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap();
        let bytes = compiled.bytes().unwrap();
        assert_eq!(&lockstep_ascend_container::read(&bytes).unwrap().0, compiled.model());
    }
}

/// GELU as others write it: the half first, a product with the root's inverse.
fn gelu(change: impl FnOnce(&mut Vec<NodeProto>)) -> ModelProto {
    let mut nodes = vec![
        node("halved", "Mul", &["x", "half"], vec![]),
        node("quotient", "Mul", &["inverse", "x"], vec![]),
        node("erf", "Erf", &["quotient"], vec![]),
        node("shifted", "Add", &["one", "erf"], vec![]),
        node("y", "Mul", &["shifted", "halved"], vec![]),
    ];
    change(&mut nodes);
    let constants = [
        ("half", floats(&[], &[0.5])),
        ("one", floats(&[], &[1.0])),
        ("inverse", floats(&[], &[std::f32::consts::FRAC_1_SQRT_2])),
    ];
    model(13, vec![port("x", F32, &[2, 3]), port("z", F32, &[2, 3])], &constants, nodes, &["y"])
}

#[test]
fn a_gelu_is_fused_in_either_order_and_only_of_one_x() {
    assert_eq!(fused_alone(&gelu(|_| {})), counts(0, 1, 0));
    assert_eq!(fused_alone(&gelu(|nodes| nodes[0].input[0] = "z".to_owned())), counts(0, 0, 0));
    assert_eq!(fused_alone(&gelu(|nodes| nodes[0].input[1] = "one".to_owned())), counts(0, 0, 0));
    assert_eq!(fused_alone(&gelu(|nodes| nodes[1].input[0] = "half".to_owned())), counts(0, 0, 0));
    assert_eq!(fused_alone(&gelu(|nodes| nodes[2].op_type = "Tanh".to_owned())), counts(0, 0, 0));
    assert_eq!(fused_alone(&gelu(|nodes| nodes[3].input[0] = "half".to_owned())), counts(0, 0, 0));
}

#[test]
fn the_file_of_modes_chooses_how_a_layer_norm_computes() {
    let exported = Exported::of(&graph(DType::F32, GeluForm::Erf), &[]);
    let compile = |text: &str| {
        let path = exported.path("modes.ini");
        fs::write(&path, text).unwrap();
        let flag = format!("--op_precision_mode={}", path.display());
        compiled(&exported.path("model.onnx"), &[ORIGIN, &flag])
    };
    let precise = compile("[ByOpType]\nLayerNorm=high_precision\n").unwrap();
    assert_eq!(precise.report().fused().precise_layer_norms, 1);
    let Operator::LayerNorm { is_precise: true, .. } = precise.model().gears[0].steps[0].operator else {
        panic!("{:?}", precise.model().gears[0].steps[0])
    };
    let by_name = compile("[ByOpType]\nLayerNorm=high_precision\n[ByNodeName]\nnorm=high_performance\n");
    assert_eq!(by_name.unwrap().report().fused().precise_layer_norms, 0);
    let other = compile("[ByNodeName]\nnorm_7=high_precision\n").unwrap();
    assert!(other.warnings()[0].contains("no node `norm_7`"));
    assert!(precise.warnings().is_empty());
    // A node inside the chain, and one that is in none.
    let inner = compile("[ByNodeName]\nnorm.mean=high_precision\nnorm=high_precision\n").unwrap();
    let said = "--op_precision_mode: the mode of node `norm.mean` decides nothing here";
    assert!(inner.warnings().len() == 1 && inner.warnings()[0].starts_with(said), "{:?}", inner.warnings());
    assert_eq!(inner.report().fused().precise_layer_norms, 1);
    assert!(compile("[ByNodeName]\ny=high_performance\n").unwrap_err().to_string().contains("fast form"));
    assert!(compile("[ByOpType]\nGelu=high_performance\n").unwrap_err().to_string().contains("modes.ini"));
}
