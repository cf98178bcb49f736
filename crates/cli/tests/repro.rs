//! Packs of guilty ops and inputs from files, as a user meets them.

mod command;

use command::{file, path_text, run, trained};
use lockstep_conformance::one_op::Argument;
use lockstep_conformance::repro::{Finder, Offender, write};
use lockstep_conformance::verdict::Verdict;
use lockstep_cpu::CpuBackend;
use lockstep_runtime::Backend;
use lockstep_runtime::graph::{Op, UnaryOp};
use lockstep_runtime::tensor::{DType, HostTensor, write_safetensors};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

const DEVICES: [&str; 2] = ["--devices", "reference,cpu"];

fn floats(values: &[f32]) -> HostTensor {
    HostTensor::from_slice(&[values.len()], values).unwrap()
}

/// The pack of an absolute value that came out with its sign.
fn pack() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abs");
    let offender = Offender {
        node: "abs".to_owned(),
        op: Op::Unary(UnaryOp::Abs),
        arguments: vec![Argument::Given(floats(&[1.0, -2.0]))],
        truth: HostTensor::from_slice(&[2], &[1.0f64, 2.0]).unwrap(),
        worst_case: vec![1e-7, 2e-7],
        found: Some(floats(&[1.0, -2.0])),
        storage: DType::F32,
        accumulate: DType::F32,
        verdict: Verdict::Wrong,
        of_worst_case: Some(2e7),
        fits: None,
    };
    let device = CpuBackend::default().open(0).unwrap();
    let finder = Finder { model: "a model", device: device.info(), trusted: "reference", command: "found" };
    write(&offender, finder, &path).unwrap();
    let path = path_text(&path);
    (folder, path)
}

#[test]
fn a_pack_runs_again_and_says_whether_it_is_as_it_was() {
    let (_folder, pack) = pack();
    let text = run(&[&["compare", &pack], &DEVICES[..]].concat());
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""), "{text:?}");
    assert!(text.stdout.contains("abs of a model: cpu:0 was WRONG"), "{text:?}");
    assert!(text.stdout.contains("AGAIN other than found then: cpu:0 is EXACT"), "{text:?}");
    let report = run(&[&["compare", &pack, "--json"], &DEVICES[..]].concat()).json();
    assert_eq!(report[0]["again"]["verdict"], "EXACT");
    assert_eq!(report[0]["again"]["as_found"], json!(false));
    assert_eq!(report[0]["steps"][0]["node"], "abs");
}

#[test]
fn a_pack_that_was_edited_or_is_asked_for_other_inputs_is_refused() {
    let (_folder, pack) = pack();
    let compare = |more: &[&str]| run(&[&["compare", &pack], &DEVICES[..], more].concat());
    compare(&["--dtype", "f16"]).fails_with(2, &["is a repro pack", "leave --dtype"]);
    compare(&["--text", "a"]).fails_with(2, &["is a repro pack"]);
    run(&["golden", "record", &pack, "-o", "nowhere"]).fails_with(2, &["is a repro pack", "are of models"]);
    let model = Path::new(&pack).join("model.onnx");
    let bytes = std::fs::read(&model).unwrap();
    std::fs::write(&model, &bytes[..bytes.len() - 1]).unwrap();
    compare(&[]).fails_with(3, &["model.onnx", "edited or cut short"]);
}

#[test]
fn a_folder_that_holds_something_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "mine", "");
    let repro = path_text(folder.path());
    let model = trained("document-classifier");
    let compare = ["compare", &model, "--repro", &repro];
    run(&[&compare[..], &DEVICES[..]].concat()).fails_with(2, &["--repro", "choose another"]);
    run(&["conform", "--device", "cpu", "--repro", &repro]).fails_with(2, &["--repro", "choose another"]);
}

/// A pass leaves nothing and says nothing.
#[test]
fn nothing_is_kept_of_what_holds() {
    let folder = tempfile::tempdir().unwrap();
    let repro = path_text(&folder.path().join("packs"));
    let ran = run(&["conform", "--device", "cpu", "--op", "Softmax", "--dtype", "f32", "--repro", &repro]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(!Path::new(&repro).exists());
}

#[test]
fn a_model_runs_on_tensors_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inputs.safetensors");
    let tensor = |values: &[i64]| HostTensor::from_slice(&[1, 4], values).unwrap();
    let (ids, types, mask) = (tensor(&[101, 200, 300, 102]), tensor(&[0; 4]), tensor(&[1; 4]));
    let inputs = [("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)];
    write_safetensors(&path, inputs).unwrap();
    let (model, inputs) = (trained("document-classifier"), path_text(folder.path()));
    let compare = |inputs: &str| run(&[&["compare", &model, "--inputs", inputs], &DEVICES[..]].concat());
    let ran = compare(&inputs);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert!(ran.stdout.contains("3 inputs from") && ran.stdout.contains("PASS cpu:0"), "{ran:?}");
    let beyond = tensor(&[101, 200, 1 << 40, 102]);
    write_safetensors(&path, [("input_ids", &beyond), ("token_type_ids", &types), ("attention_mask", &mask)])
        .unwrap();
    compare(&inputs).fails_with(3, &["inputs.safetensors", "`input_ids` holds 1099511627776"]);
    write_safetensors(&path, [("input_ids", &ids), ("attention_mask", &mask)]).unwrap();
    compare(&inputs).fails_with(3, &["no file for the input `token_type_ids`"]);
    compare("nowhere").fails_with(3, &["nowhere"]);
}

/// Only a build that can plant a fault has a guilty op to keep.
#[cfg(feature = "mutants")]
#[test]
fn a_planted_fault_is_kept_and_guilty_again() {
    let folder = tempfile::tempdir().unwrap();
    let (model, repro) = (trained("document-classifier"), path_text(&folder.path().join("packs")));
    let plant = ["--plant", "encoder.2.output.LayerNorm=variance-over-n-minus1"];
    let found = run(&[&["compare", &model, "--repro", &repro], &DEVICES[..], &plant[..]].concat());
    let pack = format!("{repro}/encoder.2.output.LayerNorm");
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stderr.contains(&format!("note: {pack}: lockstep compare {pack}")), "{found:?}");
    let again = run(&[&["compare", &pack], &DEVICES[..], &plant[..]].concat());
    assert_eq!((again.code, again.stderr.as_str()), (Some(1), ""), "{again:?}");
    assert!(
        again.stdout.contains("AGAIN the same bits as found then: mutant:0 (simulated) is WRONG"),
        "{again:?}"
    );
    assert_eq!(run(&[&["compare", &pack], &DEVICES[..]].concat()).code, Some(0));
    let untold = run(&[&["compare", &model], &DEVICES[..], &plant[..]].concat());
    assert!(untold.stderr.contains("add --repro DIR"), "{untold:?}");
}
