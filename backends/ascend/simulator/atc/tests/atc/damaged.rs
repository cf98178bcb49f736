//! Files that are cut short, lie, or ask for more than there is: an error that says so, and never a panic.

use crate::models::{
    Exported, F32, I64, ORIGIN, chance, compiled, floats, int, ints, model, node, numbers, port,
};
use lockstep_ascend_container as container;
use lockstep_graph::{DType, GeluForm, GraphBuilder, HostTensor, TensorType};
use lockstep_onnx::messages::{
    EntryProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};
use std::fs;

/// A model with something of everything.
fn good() -> ModelProto {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[2, 4])).unwrap();
    let gamma = b.constant("gamma", chance(&[4], 1));
    let beta = b.constant("beta", chance(&[4], 2));
    let norm = b.layer_norm("norm", x, gamma, beta, 1e-12).unwrap();
    let gelu = b.gelu("gelu", norm, GeluForm::Erf).unwrap();
    let turned = b.transpose("turned", gelu, &[1, 0]).unwrap();
    let product = b.matmul("product", gelu, turned).unwrap();
    let soft = b.softmax("soft", product, 1).unwrap();
    b.output("y", soft).unwrap();
    let bytes = lockstep_onnx::export(&b.finish().unwrap(), &[]).unwrap().model_bytes();
    ModelProto::read(&bytes).unwrap()
}

#[test]
fn damaged_files_are_refused_or_compiled_but_never_panic() {
    let bytes = good().bytes();
    let exported = Exported::bytes(&bytes);
    let path = exported.path("model.onnx");
    assert!(exported.compiled(&[ORIGIN]).is_ok());
    let compiles = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let all = ["mixed_float16", "fp16"].map(|precision| {
            let compiled = compiled(&path, &[&format!("--precision_mode_v2={precision}")])?;
            // What is compiled is whole.
            let written = compiled.bytes().unwrap();
            assert_eq!(container::read(&written).unwrap(), (compiled.model().clone(), compiled.constants()));
            Ok(())
        });
        all.into_iter().collect::<lockstep_atc_simulator::Result<()>>()
    };
    for length in 0..bytes.len() {
        let _ = compiles(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x55, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            let _ = compiles(&bytes);
        }
    }
    let said = compiles(&bytes[..bytes.len() / 2]).unwrap_err().to_string();
    assert!(said.contains("model.onnx") && said.contains("cut short"), "{said}");
    assert!(compiles(b"").unwrap_err().to_string().contains("another kind of file"));
    assert!(compiles(b"IMOD\0\0\0\0").is_err());
}

fn refused(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = good();
    change(&mut model);
    Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap_err().to_string()
}

#[test]
fn models_that_atc_would_not_read_are_refused() {
    assert!(refused(|model| model.opset_import[0].version = 19).contains("opset 19; ATC reads 11 to 18"));
    let ours = |model: &mut ModelProto| model.opset_import.push(OperatorSetIdProto::new("lockstep", 1));
    assert!(refused(ours).contains("domain `lockstep`"));
    let function = |model: &mut ModelProto| {
        model.functions.push(FunctionProto { name: "f".to_owned(), ..Default::default() });
    };
    assert!(refused(function).contains("function `f`"));
    let doubles = |model: &mut ModelProto| {
        let graph = model.graph.as_mut().unwrap();
        let tensor = graph.initializer[0].read().unwrap().cast(DType::F64).unwrap();
        graph.initializer[0] = TensorProto::of("gamma", &tensor);
    };
    assert!(refused(doubles).contains("tensor `gamma`: is f64"));
    let unnamed = |model: &mut ModelProto| {
        let graph = model.graph.as_mut().unwrap();
        graph.node.iter_mut().for_each(|node| node.name.clear());
        graph.node[0].op_type = "Conv".to_owned();
    };
    assert!(refused(unnamed).contains("atc-sim has no Conv; the real ATC may (`norm.mean`)"));
}

#[test]
fn weights_beside_the_model_are_read_and_held_to_their_file() {
    let mut model = good();
    let graph = model.graph.as_mut().unwrap();
    let gamma = graph.initializer.iter_mut().find(|tensor| tensor.name == "gamma").unwrap();
    let bytes = gamma.raw_data.take().unwrap();
    gamma.data_location = 1;
    let entry = |key: &str, value: &str| EntryProto { key: key.to_owned(), value: value.to_owned() };
    gamma.external_data =
        vec![entry("location", "model.weights"), entry("offset", "4096"), entry("length", "16")];
    let exported = Exported::bytes(&model.bytes());
    fs::write(exported.path("model.weights"), [vec![0; 4096], bytes.clone()].concat()).unwrap();
    let beside = exported.compiled(&[ORIGIN]).unwrap();
    let within = Exported::bytes(&good().bytes()).compiled(&[ORIGIN]).unwrap();
    assert_eq!((beside.model(), beside.constants()), (within.model(), within.constants()));
    fs::write(exported.path("model.weights"), vec![0; 4100]).unwrap();
    let said = exported.compiled(&[ORIGIN]).unwrap_err().to_string();
    assert!(said.contains("tensor `gamma`") && said.contains("which has 4100"), "{said}");
}

/// What a model of few bytes could ask for.
#[test]
fn requests_for_more_than_there_is_are_refused() {
    let of = |nodes, constants: &[(&str, lockstep_graph::HostTensor)]| {
        let model = model(13, vec![port("x", F32, &[4])], constants, nodes, &["y"]);
        Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).map(|_| ()).unwrap_err().to_string()
    };
    let most = [("n", numbers(&[3], &[i64::MAX, i64::MAX, 4])), ("t", numbers(&[2], &[1 << 40, 4]))];
    let expanded = |shape: &str| {
        vec![node("wide", "Expand", &["x", shape], vec![]), node("y", "Neg", &["wide"], vec![])]
    };
    assert!(of(expanded("n"), &most).contains("node `wide`"));
    assert!(of(expanded("t"), &most).contains("does not fit a device"));
    // A view that repeats takes no memory, and has an end as well.
    let summed = vec![node("wide", "Expand", &["x", "t"], vec![]), node("y", "ReduceSum", &["wide"], vec![])];
    assert!(of(summed, &most).contains("node `wide`"));
    let filled = vec![node("wide", "ConstantOfShape", &["n"], vec![]), node("y", "Neg", &["wide"], vec![])];
    assert!(of(filled, &most).contains("node `wide`"));
    let range = |limit: &str| vec![node("y", "Range", &["zero", limit, "one"], vec![])];
    let ends = [
        ("zero", numbers(&[], &[0])),
        ("one", numbers(&[], &[1])),
        ("most", numbers(&[], &[i64::MAX])),
        ("stop", numbers(&[], &[0])),
    ];
    assert!(of(range("most"), &ends).contains("more numbers than atc-sim lists"));
    let endless = vec![node("y", "Range", &["zero", "most", "stop"], vec![])];
    assert!(of(endless, &ends).contains("has no end"));
    let floats_of = [
        ("zero", floats(&[], &[0.0])),
        ("one", floats(&[], &[1e-30])),
        ("most", floats(&[], &[f32::INFINITY])),
    ];
    assert!(of(range("most"), &floats_of).contains("has no end"));
    let axes = vec![ints("axes", &[0; 9])];
    assert!(of(vec![node("y", "Unsqueeze", &["x"], axes)], &[]).contains("gives 10 axes"));
    let twice = vec![ints("axes", &[0, 0])];
    assert!(of(vec![node("y", "Unsqueeze", &["x"], twice)], &[]).contains("axis twice"));
    let wide = vec![node("y", "Unsqueeze", &["x"], vec![ints("axes", &[0, 1, 2, 3, 4, 5, 6, 7, 8])])];
    assert!(of(wide, &[]).contains("gives 10 axes"));
    let overflow = vec![node("y", "Mul", &["most", "most"], vec![])];
    assert!(of(overflow, &ends).contains("no result in 64 bits"));
    let backwards = vec![node("y", "Slice", &["x", "end", "start", "axis", "back"], vec![])];
    let ends = [
        ("end", numbers(&[1], &[i64::MAX])),
        ("start", numbers(&[1], &[i64::MIN])),
        ("axis", numbers(&[1], &[0])),
        ("back", numbers(&[1], &[-1])),
    ];
    assert!(of(backwards, &ends).contains("backwards"));
}

/// What has more axes than are taken is refused before anything is done for each of them.
#[test]
fn axes_are_counted_before_they_are_walked() {
    let of = |nodes: Vec<NodeProto>, constants: &[(&str, HostTensor)]| {
        let model = model(13, vec![port("x", F32, &[4])], constants, nodes, &["y"]);
        Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).map(|_| ()).unwrap_err().to_string()
    };
    // Known indices into themselves: of r axes they make 2 r - 1, of few bytes.
    let mut nodes = vec![node("g0", "Gather", &["square", "square"], vec![])];
    for at in 1..40 {
        let before = format!("g{}", at - 1);
        nodes.push(node(&format!("g{at}"), "Gather", &[&before, &before], vec![]));
    }
    nodes.push(node("y", "Neg", &["g39"], vec![]));
    let said = of(nodes, &[("square", numbers(&[1, 1, 1], &[0]))]);
    assert!(said.starts_with("node `g1` (Gather): gives 9 axes"), "{said}");
    // Lists that a file of a megabyte may hold; walked once for each axis they take minutes.
    let many: Vec<i64> = (0..1 << 18).collect();
    let ones = numbers(&[1 << 18], &vec![1; 1 << 18]);
    let wide = of(vec![node("y", "Unsqueeze", &["x"], vec![ints("axes", &many)])], &[]);
    assert!(wide.contains("gives 262145 axes"), "{wide}");
    for (op_type, operands) in
        [("Reshape", &["x", "ones"][..]), ("Expand", &["x", "ones"]), ("ConstantOfShape", &["ones"])]
    {
        let said = of(vec![node("y", op_type, operands, vec![])], &[("ones", ones.clone())]);
        assert!(said.contains("gives 262144 axes"), "{said}");
    }
}

/// An extent of 0 beside a huge one: there is no element, and nothing may be counted up to the other.
#[test]
fn huge_extents_beside_an_extent_of_0_cost_nothing() {
    let huge = |extents: &[usize]| HostTensor::from_slice::<i64>(extents, &[]).unwrap();
    let constants = [
        ("none", huge(&[1 << 40, 0])),
        ("deep", huge(&[1 << 40, 3, 0])),
        ("no", numbers(&[0], &[])),
        ("last", numbers(&[1], &[(1 << 40) - 1])),
        ("most", numbers(&[1], &[i64::MAX])),
        ("zero", numbers(&[1], &[0])),
        ("shape", numbers(&[2], &[1 << 40, 0])),
        ("turned", numbers(&[3], &[0, 1 << 40, 1 << 40])),
        ("repeats", numbers(&[2], &[1 << 38, 4])),
    ];
    let of = |nodes: Vec<NodeProto>| {
        let model = model(13, vec![port("x", I64, &[4])], &constants, nodes, &["y"]);
        Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).map(|compiled| {
            container::read(&compiled.bytes().unwrap()).unwrap();
        })
    };
    let neg = |of: &str| node("y", "Neg", &[of], vec![]);
    let along = |axis: i64| vec![int("axis", axis)];
    let keep = || vec![int("allowzero", 1)];
    for nodes in [
        vec![neg("none")],
        vec![node("y", "Add", &["none", "none"], vec![])],
        vec![node("turn", "Transpose", &["none"], vec![]), neg("turn")],
        vec![node("rows", "Gather", &["none", "no"], along(1)), neg("rows")],
        vec![node("rows", "Gather", &["deep", "zero"], along(1)), neg("rows")],
        vec![node("part", "Slice", &["none", "last", "most", "zero"], vec![]), neg("part")],
        vec![node("filled", "ConstantOfShape", &["shape"], vec![]), neg("filled")],
        vec![
            node("part", "Slice", &["none", "last", "most", "zero"], vec![]),
            node("again", "Reshape", &["part", "shape"], keep()),
            node("more", "Slice", &["again", "last", "most", "zero"], vec![]),
            neg("more"),
        ],
    ] {
        let named: Vec<String> = nodes.iter().map(|node| node.op_type.clone()).collect();
        let ended = of(nodes).map_err(|error| error.to_string());
        // Compiled or refused: that there is an answer at all is the point.
        assert!(
            ended.is_ok()
                || ended
                    .as_ref()
                    .is_err_and(|said| said.contains("device") || said.contains("gathers along axis 1")),
            "{named:?}: {ended:?}"
        );
    }
    let beyond = of(vec![node("wide", "ConstantOfShape", &["turned"], vec![]), neg("wide")]);
    assert!(beyond.unwrap_err().to_string().contains("node `wide`"));
    // An output that is a view alone is copied, which takes room.
    let output = of(vec![node("y", "Expand", &["x", "repeats"], vec![])]);
    assert!(output.unwrap_err().to_string().contains("tensor `y`: a value of the extents"));
}

#[test]
fn many_lists_that_are_computed_at_compile_time_end_in_an_error() {
    let mut nodes = Vec::new();
    let mut ends = vec![("one".to_owned(), numbers(&[], &[1]))];
    for at in 0..2200i64 {
        ends.push((format!("start{at}"), numbers(&[], &[at])));
        ends.push((format!("limit{at}"), numbers(&[], &[at + (1 << 14)])));
        let operands = [format!("start{at}"), format!("limit{at}"), "one".to_owned()];
        nodes.push(node(&format!("r{at}"), "Range", &operands.each_ref().map(String::as_str), vec![]));
    }
    let ends: Vec<_> = ends.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let model = model(13, vec![port("x", F32, &[4])], &ends, nodes, &["r0"]);
    let said = Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap_err().to_string();
    assert!(said.contains("takes more than 256 MiB"), "{said}");
}

#[test]
fn one_node_of_many_operands_makes_values_up_to_a_limit() {
    let of = |count: usize| {
        let nodes = vec![node("y", "Max", &vec!["x"; count], vec![])];
        let model = model(13, vec![port("x", F32, &[4])], &[], nodes, &["y"]);
        Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).map(|_| ())
    };
    // x, and a value for each operand but the first.
    assert!(of(1 << 15).is_ok());
    let said = of((1 << 15) + 1).unwrap_err().to_string();
    assert!(said.contains("node `y` (Max): takes the model beyond the 32768 values"), "{said}");
}

#[test]
fn a_doubling_chain_ends_in_an_error() {
    let mut nodes = vec![node("x0", "Concat", &["x", "x"], vec![int("axis", 0)])];
    for at in 1..60 {
        let (name, before) = (format!("x{at}"), format!("x{}", at - 1));
        nodes.push(node(&name, "Concat", &[&before, &before], vec![int("axis", 0)]));
    }
    let model = model(13, vec![port("x", F32, &[4])], &[], nodes, &["x59"]);
    let said = Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap_err().to_string();
    assert!(said.contains("does not fit a device"), "{said}");
    // Folded, it ends where folding does.
    let mut nodes = vec![node("x0", "Shape", &["x"], vec![])];
    for at in 1..60 {
        let (name, before) = (format!("x{at}"), format!("x{}", at - 1));
        nodes.push(node(&name, "Concat", &[&before, &before], vec![int("axis", 0)]));
    }
    let model = crate::models::model(13, vec![port("x", I64, &[4])], &[], nodes, &["x59"]);
    assert!(Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).is_err());
}
