//! Exported models, as a user and a shell meet them.

mod command;

use command::{Ran, file, folder, folder_with, lockstep, path_text, run};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A small random classifier of 64 positions, and a folder to export to.
fn classifier() -> (TempDir, String, PathBuf) {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let (model, out) = (path_text(folder.path()), folder.path().join("out"));
    (folder, model, out)
}

fn export(model: &str, out: &Path, more: &[&str]) -> Ran {
    run(&[&["export", model, "-o", &path_text(out)], more].concat())
}

const ASCEND: [&str; 2] = ["--for", "ascend"];
const ONNX: [&str; 2] = ["--for", "onnx"];

fn manifest(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn an_export_for_ascend_says_what_it_is() {
    let (_folder, model, out) = classifier();
    let ran =
        export(&model, &out, &[&ASCEND[..], &["--seq", "32", "--cut", "encoder.1.output,logits"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for part in
        ["opset 13, in f32", "logits f32[batch, 3]", "batches of 1, 8, 16, 32, of 32 tokens", "`bash atc.sh`"]
    {
        assert!(ran.stdout.contains(part), "{part} in {}", ran.stdout);
    }
    assert_eq!(names(&out), ["atc.sh", "manifest.json", "model.onnx", "op_precision.ini"]);
    let manifest = manifest(&out);
    assert_eq!(manifest["schema"], "lockstep-export/1");
    assert_eq!((&manifest["dtype"], &manifest["opset"]), (&json!("f32"), &json!(13)));
    let ids = |name: &str| json!({ "name": name, "dtype": "i64", "dims": ["batch", "seq"] });
    assert_eq!(manifest["inputs"], json!(["input_ids", "token_type_ids", "attention_mask"].map(ids)));
    let logits = json!({ "name": "logits", "dtype": "f32", "dims": ["batch", 3] });
    let layer = json!({ "name": "encoder.1.output", "dtype": "f32", "dims": ["batch", "seq", 32] });
    assert_eq!(manifest["outputs"], json!([logits, layer]));
    assert_eq!(
        manifest["checkpoints"],
        json!({ "encoder.1.output": "encoder.1.output", "logits": "logits" })
    );
    assert_eq!(manifest["ascend"]["soc"], "Ascend910B3");
    assert_eq!(manifest["ascend"]["gears"], json!({ "batches": [1, 8, 16, 32], "seqs": [32] }));
    for (name, digest) in manifest["files"].as_object().unwrap() {
        let hash = Sha256::digest(fs::read(out.join(name)).unwrap());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, &json!(hash), "{name}");
    }
    assert_eq!(manifest["files"].as_object().unwrap().len(), 3);
    let ini = fs::read_to_string(out.join("op_precision.ini")).unwrap();
    let settings: Vec<&str> = ini.lines().filter(|line| !line.starts_with('#')).collect();
    let modes = ["LayerNorm", "SoftmaxV2", "Gelu", "GeluV2"].map(|op| format!("{op}=high_precision"));
    assert_eq!(settings, [&["[ByOpType]".to_owned()][..], &modes].concat());
    assert!(ini.lines().filter(|line| line.starts_with('#')).all(|line| !line.contains('=')), "{ini}");
}

#[test]
fn json_is_the_manifest() {
    let (_folder, model, out) = classifier();
    let ran = export(&model, &out, &[&ASCEND[..], &["--json", "--cut", "all"]].concat());
    let printed = ran.json();
    assert_eq!(printed, [manifest(&out)]);
    // Embeddings, four of each of two layers, the pooler, and the logits, which are an output anyway.
    assert_eq!(printed[0]["checkpoints"].as_object().unwrap().len(), 1 + 2 * 4 + 2);
    assert_eq!(printed[0]["outputs"].as_array().unwrap().len(), 1 + 2 * 4 + 2);
}

#[test]
fn an_export_for_onnx_is_the_model_and_its_manifest() {
    let (_folder, model, out) = classifier();
    let ran = export(&model, &out, &[&ONNX[..], &["--dtype", "f16"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(names(&out), ["manifest.json", "model.onnx"]);
    let manifest = manifest(&out);
    assert_eq!((&manifest["dtype"], manifest.get("ascend")), (&json!("f16"), None));
    // The head computes in f32.
    assert_eq!(manifest["outputs"][0]["dtype"], "f32");
}

#[test]
fn exports_of_one_model_are_the_same_bytes() {
    let (_folder, model, out) = classifier();
    let again = out.with_file_name("again");
    assert_eq!(export(&model, &out, &ASCEND).code, Some(0));
    assert_eq!(export(&model, &again, &ASCEND).code, Some(0));
    for name in names(&out) {
        assert!(fs::read(out.join(&name)).unwrap() == fs::read(again.join(&name)).unwrap(), "{name}");
    }
}

/// The script with a compiler in front of it that says what it was called with.
#[cfg(unix)]
fn compile(out: &Path, arguments: &[&str]) -> (Option<i32>, Vec<Vec<String>>, String) {
    use std::os::unix::fs::PermissionsExt;
    let tools = tempfile::tempdir().unwrap();
    let atc = file(tools.path(), "atc", "#!/bin/sh\nfor word; do echo \"$word\"; done\necho .\n");
    fs::set_permissions(&atc, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let ran =
        std::process::Command::new(out.join("atc.sh")).args(arguments).env("PATH", path).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let calls = said.split_terminator(".\n").map(|call| call.lines().map(str::to_owned).collect());
    (ran.status.code(), calls.collect(), String::from_utf8(ran.stderr).unwrap())
}

#[cfg(unix)]
#[test]
fn the_script_calls_atc_with_the_words_of_the_manifest() {
    let folder = folder_with(FixtureHead::TokenClassification(3));
    let out = folder.path().join("an export's folder");
    let more = ["--batches", "1,4", "--seq", "16,64", "--soc", "Ascend910B2"];
    assert_eq!(export(&path_text(folder.path()), &out, &[&ASCEND[..], &more].concat()).code, Some(0));
    let (code, calls, errors) = compile(&out, &[]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let precisions = manifest(&out)["ascend"]["precisions"].clone();
    let commands: Vec<Value> =
        precisions.as_array().unwrap().iter().map(|precision| precision["command"].clone()).collect();
    let called: Vec<Value> =
        calls.iter().map(|call| json!([&["atc".to_owned()][..], call].concat())).collect();
    assert_eq!(called, commands);
    let origin = [
        "--mode=0",
        "--framework=5",
        "--model=model.onnx",
        "--output=model_origin",
        "--soc_version=Ascend910B2",
        "--input_format=ND",
        "--input_shape=input_ids:-1,-1;token_type_ids:-1,-1;attention_mask:-1,-1",
        "--dynamic_dims=1,16,1,16,1,16;1,64,1,64,1,64;4,16,4,16,4,16;4,64,4,64,4,64",
        "--precision_mode_v2=origin",
        "--op_precision_mode=op_precision.ini",
        "--deterministic=1",
    ];
    assert_eq!(calls[0], origin);
    assert!(calls[1].contains(&"--precision_mode_v2=mixed_float16".to_owned()));
    let (code, calls, _) = compile(&out, &["mixed_float16"]);
    assert_eq!((code, calls.len()), (Some(0), 1));
    assert!(calls[0].contains(&"--output=model_mixed_float16".to_owned()));
    let (code, calls, errors) = compile(&out, &["fp16"]);
    assert_eq!((code, calls.len()), (Some(2), 0));
    assert!(errors.contains("usage: bash atc.sh [origin|mixed_float16]"), "{errors}");
}

#[cfg(unix)]
#[test]
fn the_script_takes_another_compiler_also_by_a_relative_path() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, model, out) = classifier();
    assert_eq!(export(&model, &out, &ASCEND).code, Some(0));
    let tools = tempfile::tempdir().unwrap();
    let other = file(tools.path(), "other", "#!/bin/sh\necho other $1\n");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let mut script = std::process::Command::new(out.join("atc.sh"));
    let ran = script.arg("origin").env("ATC", "./other").current_dir(tools.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "other --mode=0\n", "{:?}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn without_atc_the_script_says_what_to_source() {
    let (_folder, model, out) = classifier();
    assert_eq!(export(&model, &out, &ASCEND).code, Some(0));
    // A path with what the script itself needs, and no compiler.
    let tools = tempfile::tempdir().unwrap();
    for tool in ["bash", "dirname"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(tool))
            .find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap(), tools.path().join(tool)).unwrap();
    }
    let ran = std::process::Command::new(out.join("atc.sh")).env("PATH", tools.path()).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("set_env.sh"), "{said}");
}

#[test]
fn a_folder_that_holds_something_is_not_overwritten() {
    let (_folder, model, out) = classifier();
    fs::create_dir(&out).unwrap();
    assert_eq!(export(&model, &out, &ONNX).code, Some(0), "an empty folder is as good as a new one");
    let first = fs::read(out.join("manifest.json")).unwrap();
    export(&model, &out, &ASCEND).fails_with(2, &["out", "not empty", "--force"]);
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), first);
    assert_eq!(export(&model, &out, &[&ASCEND[..], &["--force"]].concat()).code, Some(0));
    assert_eq!(names(&out), ["atc.sh", "manifest.json", "model.onnx", "op_precision.ini"]);
    assert_eq!(export(&model, &out, &[&ONNX[..], &["--force"]].concat()).code, Some(0));
    assert_eq!(names(&out), ["manifest.json", "model.onnx"], "nothing of the earlier export is left");
}

#[test]
fn force_replaces_exports_and_nothing_else() {
    let (folder, model, out) = classifier();
    let forced = |out: &Path| export(&model, out, &[&ONNX[..], &["--force"]].concat());
    fs::create_dir(&out).unwrap();
    file(&out, "thesis.txt", "years of work");
    forced(&out).fails_with(2, &["holds thesis.txt"]);
    fs::remove_file(out.join("thesis.txt")).unwrap();
    file(&out, "model.onnx", "someone else's");
    forced(&out).fails_with(2, &["no manifest.json of an export"]);
    assert_eq!(fs::read(out.join("model.onnx")).unwrap(), b"someone else's");
    let taken = file(folder.path(), "taken", "a file");
    forced(Path::new(&taken)).fails_with(2, &["taken", "is a file"]);
    let here =
        lockstep().args(["export", &model, "--for", "onnx", "-o", "."]).current_dir(folder.path()).output();
    let here = here.unwrap();
    assert_eq!(here.status.code(), Some(2));
    assert!(String::from_utf8(here.stderr).unwrap().contains("current folder"));
}

#[test]
fn what_there_is_not_is_refused_and_nothing_is_written() {
    let (folder, model, out) = classifier();
    let ascend = |more: &[&str]| export(&model, &out, &[&ASCEND[..], more].concat());
    ascend(&["--cut", "encoder.1.atention.output"])
        .fails_with(2, &["encoder.1.atention.output", "near it are encoder.1.attention.output", "`all`"]);
    ascend(&["--seq", "65"]).fails_with(2, &["--seq 65", "at most 64"]);
    let many: Vec<String> = (1..=51).map(|batch| batch.to_string()).collect();
    ascend(&["--batches", &many.join(","), "--seq", "16,32"]).fails_with(2, &["102 gears", "at most 100"]);
    export(&model, &out, &[&ONNX[..], &["--soc", "Ascend910B3"]].concat())
        .fails_with(2, &["--soc", "ascend"]);
    let nowhere = path_text(&folder.path().join("nowhere"));
    export(&nowhere, &out, &ONNX).fails_with(1, &["nowhere", "no such folder"]);
    for (flags, part) in [
        (&["--for", "tpu"][..], "ascend, onnx"),
        (&["--for", "ascend", "--dtype", "f64"], "f32 or f16"),
        (&["--for", "ascend", "--soc", "910B3"], "such as Ascend910B3"),
        (&["--for", "ascend", "--batches", "0"], "1 to 4096"),
        (&[], "--for"),
    ] {
        let ran = export(&model, &out, flags);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert!(!out.exists());
}

#[test]
fn a_model_of_fewer_positions_is_compiled_for_as_many() {
    let folder = folder(&Fixture { max_position_embeddings: 16, ..Fixture::default() });
    let out = folder.path().join("out");
    assert_eq!(export(&path_text(folder.path()), &out, &ASCEND).code, Some(0));
    assert_eq!(manifest(&out)["ascend"]["gears"]["seqs"], json!([16]));
}

/// A limit on files' sizes stands for a disk that is full: the write fails half way.
#[cfg(unix)]
#[test]
fn of_a_disk_that_is_full_nothing_stays_behind() {
    let (folder, model, out) = classifier();
    let before = names(folder.path());
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    let ran = std::process::Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_lockstep"), "export", &model, "--for", "onnx", "-o"])
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: ") && said.contains("model.onnx"), "{said}");
    assert_eq!(names(folder.path()), before);
}
