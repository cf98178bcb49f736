//! A guilty op leaves a pack, and the pack shows its guilt again: on the device that is guilty and on no other.

use crate::models;
use lockstep_conformance::cases;
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::one_op::Argument;
use lockstep_conformance::oracle::{Oracle, Terms};
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::replay::{Modes, Replay, Replayed};
use lockstep_conformance::repro::{Finder, MOST_KEPT, Offender, Pack, folder_name, write};
use lockstep_conformance::verdict::Verdict;
use lockstep_onnx::{graph_bytes, read_graph};
use lockstep_runtime::graph::{Constant, Dim, Graph, GraphBuilder, Op, TensorType, UnaryOp};
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Packing, Session};
use models::{cpu, reference};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const FAULT: Fault = Fault::VarianceOverNMinus1;

fn floats(shape: &[usize]) -> HostTensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 16.0).collect();
    HostTensor::from_slice(shape, &values).expect("as many as the shape says")
}

/// So many LayerNorms one after another, with weights that are constants.
fn norms(count: usize) -> Graph {
    let mut b = GraphBuilder::new();
    let mut x = b.input("x", TensorType::fixed(DType::F32, &[3, 8])).expect("an input");
    let (gamma, beta) = (b.constant("gamma", floats(&[8])), b.constant("beta", floats(&[8])));
    for at in 0..count {
        x = b.layer_norm(&format!("norm.{at}"), x, gamma, beta, 1e-5).expect("a norm");
    }
    b.output("y", x).expect("an output");
    b.finish().expect("a graph")
}

fn faulty() -> Arc<dyn Device> {
    Mutant::device(cpu(), Recipe::faulty(FAULT), None)
}

fn replayed(count: usize) -> Replayed {
    let session = Session::builder(norms(count)).device(faulty()).build().expect("a session");
    let modes = Modes { isolated: true, cumulative: true };
    let x = floats(&[3, 8]);
    let replay = Replay::new(reference(), session).expect("a replay");
    replay.run(&[("x", &x)], modes, &|_, _| {}).expect("inputs that fit")
}

fn written(offender: &Offender, device: &Arc<dyn Device>, folder: &Path) -> Pack {
    let finder = Finder { model: "norms", device: device.info(), trusted: "reference", command: "a test" };
    write(offender, finder, folder).expect("a folder to write");
    Pack::open(folder).expect("what was just written")
}

/// The pack of the one guilty norm.
fn pack(folder: &Path) -> Pack {
    let replayed = replayed(1);
    let offender = replayed.steps[0].offender.as_ref().expect("evidence");
    written(offender, &faulty(), folder)
}

#[test]
fn a_guilty_op_is_wrong_again_on_the_guilty_device_and_holds_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = pack(&folder.path().join("norm"));
    let finding = pack.finding().expect("a pack of ours");
    assert_eq!((finding.node.as_str(), finding.verdict.as_str()), ("norm.0", "WRONG"));
    assert!(finding.fits.as_ref().is_some_and(|fits| fits == FAULT.describe()), "{:?}", finding.fits);
    assert!(finding.device.simulated);
    let again = pack.again(&faulty()).expect("a judgement").expect("one node");
    assert_eq!((&again.verdict, again.as_found), (&Verdict::Wrong, Some(true)));
    assert_eq!(again.of_worst_case, finding.of_worst_case);
    let elsewhere = pack.again(&cpu()).expect("a judgement").expect("one node");
    assert!(elsewhere.verdict.holds(), "{elsewhere:?}");
    assert_eq!(elsewhere.as_found, Some(false));
}

/// What was a constant is one again: a fault in preparing weights would be gone otherwise.
#[test]
fn a_pack_replays_as_a_graph_with_its_constants() {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = pack(&folder.path().join("norm"));
    let node = &pack.graph().nodes()[0];
    let constants: Vec<bool> = node.inputs.iter().map(|&id| pack.graph().constant(id).is_some()).collect();
    assert_eq!(constants, [false, true, true]);
    let session = Session::builder(pack.graph().clone()).device(faulty()).packing(Packing::Off);
    let replay = Replay::new(reference(), session.build().expect("a session")).expect("a replay");
    let inputs: Vec<(&str, &HostTensor)> =
        pack.inputs().iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let modes = Modes { isolated: true, cumulative: false };
    let replayed = replay.run(&inputs, modes, &|_, _| {}).expect("inputs that fit");
    let guilty: Vec<&str> = replayed.guilty().iter().map(|step| step.node.as_str()).collect();
    assert_eq!(guilty, ["norm.0"]);
}

#[test]
fn only_the_first_guilty_ops_keep_their_tensors() {
    let replayed = replayed(MOST_KEPT + 3);
    assert_eq!(replayed.guilty().len(), MOST_KEPT + 3);
    let kept: Vec<bool> = replayed.steps.iter().map(|step| step.offender.is_some()).collect();
    assert_eq!(kept, [[true; MOST_KEPT].as_slice(), &[false; 3]].concat());
}

/// Every case of the suite: the very op, its types and its constants, through the bytes of a model.
#[test]
fn every_case_comes_back_from_its_model() {
    for dtype in [DType::F32, DType::F16, DType::Bf16, DType::F64] {
        for case in cases::all() {
            let case = case.in_dtype(dtype);
            let graph = graph_of(&case.op, &case.arguments());
            let back = graph_bytes(&graph).and_then(|bytes| read_graph(&bytes));
            let back = back.unwrap_or_else(|error| panic!("{}: {error}", case.describe()));
            // JSON holds ops, types and digests of constants; a NaN fill it cannot say.
            match (graph.to_json(), back.to_json()) {
                (Ok(graph), Ok(back)) => assert_eq!(graph, back, "{}", case.describe()),
                (graph, back) => panic!("{}: {graph:?} {back:?}", case.describe()),
            }
        }
    }
}

fn graph_of(op: &Op, arguments: &[Argument]) -> Graph {
    let mut b = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, argument) in arguments.iter().enumerate() {
        let name = format!("in{at}");
        ids.push(match argument {
            Argument::Given(x) => b.input(&name, TensorType::fixed(x.dtype(), x.shape())).expect("a name"),
            Argument::Constant(constant) => b.shared_constant(&name, constant.clone()),
        });
    }
    let y = b.node("node", op.clone(), &ids).expect("a case of ours");
    b.output("out0", y[0]).expect("a name");
    b.finish().expect("a graph")
}

/// An op with its truth, accused without a cause.
fn accused(op: Op, arguments: Vec<Argument>) -> Offender {
    let oracle = Oracle::new().expect("the reference");
    let truth = oracle.truth("node", &op, &arguments).expect("values that fit").swap_remove(0);
    let profile = cpu().info().numerics.clone();
    let terms = Terms { accumulate: DType::F32, profile: &profile };
    let limits = oracle.limits(&op, &arguments, &truth, DType::F32, terms).expect("limits");
    Offender {
        node: "node".to_owned(),
        op,
        arguments,
        truth,
        worst_case: limits.worst_case,
        found: None,
        storage: DType::F32,
        accumulate: DType::F32,
        verdict: Verdict::Crash("the device said so".to_owned()),
        of_worst_case: None,
        fits: None,
    }
}

#[test]
fn a_crash_leaves_a_pack_without_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let offender = accused(Op::Unary(UnaryOp::Tanh), vec![Argument::Given(floats(&[5]))]);
    let pack = written(&offender, &cpu(), &folder.path().join("node"));
    assert!(!folder.path().join("node/found_0.pb").exists());
    let finding = pack.finding().expect("a pack of ours");
    assert_eq!((finding.verdict.as_str(), finding.reason.as_deref()), ("CRASH", Some("the device said so")));
    let again = pack.again(&cpu()).expect("a judgement").expect("one node");
    assert!(again.verdict.holds() && again.as_found.is_none(), "{again:?}");
}

/// A plan computes what has no operands, or constants alone, before it runs; the pack's op is judged all the same.
#[test]
fn an_op_that_a_plan_would_fold_is_still_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let fill = Op::Fill { dtype: DType::F32, value: 0.1, shape: vec![Dim::from(3)] };
    let constant = Argument::Constant(Constant::new(floats(&[5])));
    for (name, op, arguments) in [("fill", fill, vec![]), ("tanh", Op::Unary(UnaryOp::Tanh), vec![constant])]
    {
        let pack = written(&accused(op, arguments), &cpu(), &folder.path().join(name));
        let again = pack.again(&cpu()).expect("a judgement").expect("one node");
        assert!(again.verdict.holds() && again.of_worst_case.is_some(), "{name}: {again:?}");
        assert_eq!(pack.inputs().len(), usize::from(name == "tanh"));
    }
}

#[test]
fn a_pack_that_was_changed_is_refused_by_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = folder.path().join("good");
    pack(&good);
    let files = [
        "model.onnx",
        "found_0.pb",
        "bound_0.pb",
        "test_data_set_0/input_0.pb",
        "test_data_set_0/output_0.pb",
    ];
    for (at, file) in files.into_iter().enumerate() {
        let bytes = fs::read(good.join(file)).expect("a file of the pack");
        let mut edited = bytes.clone();
        *edited.last_mut().expect("not empty") ^= 1;
        for (kind, bytes) in [("cut", &bytes[..bytes.len() / 2]), ("edited", &edited)] {
            let bad = folder.path().join(format!("{kind}{at}"));
            copy(&good, &bad);
            fs::write(bad.join(file), bytes).expect("a file to write");
            let said = Pack::open(&bad).expect_err("a changed file").to_string();
            assert!(said.contains(file) && said.contains("edited or cut short"), "{said}");
        }
        let bad = folder.path().join(format!("gone{at}"));
        copy(&good, &bad);
        fs::remove_file(bad.join(file)).expect("a file to remove");
        assert!(Pack::open(&bad).expect_err("a file that is gone").to_string().contains(file));
    }
}

#[test]
fn a_manifest_of_another_version_or_that_leads_outside_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = folder.path().join("good");
    pack(&good);
    let text = fs::read_to_string(good.join("repro.json")).expect("a manifest");
    for (from, to, says) in [
        ("lockstep-repro/1", "lockstep-repro/9", "reads `lockstep-repro/1`"),
        ("\"bound_0.pb\"", "\"../../bound_0.pb\"", "no file of the pack"),
        ("\"node\"", "\"knot\"", "cannot be read"),
    ] {
        fs::write(good.join("repro.json"), text.replacen(from, to, 1)).expect("a file to write");
        let said = Pack::open(&good).expect_err("a manifest that is wrong").to_string();
        assert!(said.contains(says) && said.contains("repro.json"), "{said}");
    }
}

/// Whoever made it: a model, inputs, and no word of what is wrong with it.
#[test]
fn a_folder_in_the_layout_of_onnx_tests_needs_nothing_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("norm");
    pack(&path);
    for file in ["repro.json", "found_0.pb", "bound_0.pb"] {
        fs::remove_file(path.join(file)).expect("a file to remove");
    }
    let pack = Pack::open(&path).expect("a folder of that layout");
    let again = pack.again(&cpu()).expect("a judgement").expect("one node");
    assert!(again.verdict.holds() && again.then.is_none() && again.as_found.is_none(), "{again:?}");
}

#[test]
fn a_folder_that_exists_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let offender = accused(Op::Unary(UnaryOp::Tanh), vec![Argument::Given(floats(&[5]))]);
    let device = cpu();
    let finder = Finder { model: "m", device: device.info(), trusted: "reference", command: "c" };
    let error = write(&offender, finder, folder.path()).expect_err("it is there");
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn any_node_name_makes_a_plain_folder_name() {
    for (node, folder) in [
        ("encoder.2.output.LayerNorm", "encoder.2.output.LayerNorm"),
        ("/model/layer_0/Add:0", "_model_layer_0_Add_0"),
        ("..", "_."),
        ("-rf", "_rf"),
        ("层", "_"),
        ("", "node"),
    ] {
        assert_eq!(folder_name(node), folder);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder to make");
    for entry in fs::read_dir(from).expect("a folder to read") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file to copy");
        }
    }
}
