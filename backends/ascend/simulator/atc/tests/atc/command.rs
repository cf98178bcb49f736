//! `atc-sim` as a shell and a script meet it.

use crate::models::{Exported, F32, model, node, port};
use lockstep_onnx::messages::ModelProto;
use std::fs;
use std::process::{Command, Output};

fn negation() -> ModelProto {
    let nodes = vec![node("y", "Neg", &["x"], vec![])];
    model(13, vec![port("x", F32, &[-1, 3])], &[], nodes, &["y"])
}

/// As atc.sh calls it: from the model's folder.
fn atc(exported: &Exported, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atc-sim"))
        .current_dir(exported.path(""))
        .args(["--mode=0", "--framework=5", "--model=model.onnx", "--output=model_origin"])
        .args(["--soc_version=Ascend910B3", "--input_format=ND"])
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const ORIGIN: [&str; 2] = ["--precision_mode_v2=origin", "--deterministic=1"];

#[test]
fn a_model_is_written_and_everything_says_that_it_is_simulated() {
    let exported = Exported::bytes(&negation().bytes());
    let flags = ["--input_shape", "x:-1,3", "--dynamic_batch_size=1,8"];
    let ran = atc(&exported, &[&flags[..], &ORIGIN].concat());
    assert_eq!((ran.status.code(), text(&ran.stderr)), (Some(0), ""));
    let said = text(&ran.stdout);
    for part in [
        "model.onnx (1 nodes, opset 13)",
        "Ascend910B3, simulated",
        "origin: every operator",
        "0 LayerNorm, 0 GELU",
        "batch 8: 1 steps",
        "model_origin.om, a SIMULATED model",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let bytes = fs::read(exported.path("model_origin.om")).unwrap();
    let (model, _) = lockstep_ascend_container::read(&bytes).unwrap();
    assert!(model.producer.contains("simulated"));
    assert_eq!(model.soc_version, "Ascend910B3");
    assert!(!bytes.starts_with(b"IMOD"));
    let left: Vec<_> =
        exported.path("").read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn refusals_have_codes_and_nothing_is_written() {
    let exported = Exported::bytes(&negation().bytes());
    let fixed = "--input_shape=x:2,3";
    for (more, code, says) in [
        (vec!["--input_shape=x:-1,3", ORIGIN[0]], 2, "no gear says what it is"),
        (vec![fixed, "--precision_mode_v2=mixed_bfloat16"], 2, "does not compute bf16"),
        (vec![fixed, "--input_fp16_nodes=x"], 2, "unexpected argument"),
        (vec![fixed, ORIGIN[0], "--op_precision_mode=none.ini"], 1, "none.ini"),
        (vec![fixed, ORIGIN[0], "--dynamic_dims=2;3"], 2, "has 1 number, and --input_shape leaves 0 extents"),
    ] {
        let ran = atc(&exported, &more);
        assert_eq!(ran.status.code(), Some(code), "{more:?}");
        assert!(text(&ran.stderr).contains(says), "{} in {}", says, text(&ran.stderr));
        assert_eq!(text(&ran.stdout), "");
    }
    fs::write(exported.path("model.onnx"), b"no model").unwrap();
    let ran = atc(&exported, &[fixed, ORIGIN[0]]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("model.onnx"));
    assert!(!exported.path("model_origin.om").exists());
}

#[test]
fn atcs_own_precision_is_taken_and_said() {
    let exported = Exported::bytes(&negation().bytes());
    let ran = atc(&exported, &["--input_shape=x:2,3"]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(text(&ran.stderr).contains("warning: --precision_mode_v2 is not given"));
    assert!(text(&ran.stdout).contains("fp16: every operator in f16"));
}

#[test]
fn a_real_om_is_never_overwritten() {
    let exported = Exported::bytes(&negation().bytes());
    let path = exported.path("model_origin.om");
    fs::write(&path, b"IMOD and more").unwrap();
    let ran = atc(&exported, &["--input_shape=x:2,3", ORIGIN[0]]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("is a real .om"));
    assert_eq!(fs::read(&path).unwrap(), b"IMOD and more");
    // One of ours is.
    fs::write(&path, b"LOCKSIM\x01").unwrap();
    assert!(atc(&exported, &["--input_shape=x:2,3", ORIGIN[0]]).status.success());
}
