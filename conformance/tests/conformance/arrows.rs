//! Which crate may import which: the house's map, held by `cargo metadata`.

use serde_json::Value;
use std::process::Command;

/// Allowed direct imports among our crates, as in ARCHITECTURE.md. `*` is anything below.
const ARROWS: &[(&str, &[&str])] = &[
    ("lockstep-tensor", &[]),
    ("lockstep-kernels", &["lockstep-tensor"]),
    ("lockstep-graph", &["lockstep-tensor"]),
    ("lockstep-hal", &["lockstep-graph"]),
    ("lockstep-plan", &["lockstep-hal"]),
    ("lockstep-runtime", &["lockstep-plan"]),
    ("lockstep-onnx", &["lockstep-graph"]),
    ("lockstep-reference", &["lockstep-hal", "lockstep-kernels"]),
    ("lockstep-cpu", &["lockstep-hal", "lockstep-kernels"]),
    ("lockstep-cuda", &["lockstep-hal", "lockstep-kernels"]),
    // The same launch lists on another engine.
    ("lockstep-cuda-emulated", &["lockstep-hal", "lockstep-cuda"]),
    // Declarations alone, for the backend and for the simulator of the vendor's libraries.
    ("lockstep-ascend-abi", &[]),
    ("lockstep-ascend", &["lockstep-hal", "lockstep-ascend-abi"]),
    // It stands in for the vendor's libraries, and knows as little of us as they do.
    ("lockstep-ascend-simulator", &["lockstep-ascend-abi", "lockstep-ascend-container", "lockstep-kernels"]),
    ("lockstep-ascend-container", &[]),
    // It stands in for the vendor's compiler, which knows ONNX.
    ("lockstep-atc-simulator", &["lockstep-ascend-container", "lockstep-graph", "lockstep-onnx"]),
    ("lockstep-candle", &["lockstep-hal", "lockstep-kernels"]),
    ("lockstep-template", &["lockstep-hal", "lockstep-kernels"]),
    ("lockstep-bert", &["lockstep-graph", "lockstep-runtime"]),
    ("lockstep-model-template", &["lockstep-graph", "lockstep-runtime"]),
    ("lockstep-conformance", &["*"]),
    ("lockstep-benches", &["*"]),
    ("lockstep-examples", &["*"]),
    ("lockstep-cli", &["*"]),
    ("lockstep-xtask", &[]),
];

/// Crates that the core (the runtime with the CPU backend) may not pull in, however indirectly.
const HEAVY: &[&str] = &["candle-core", "tokenizers", "clap", "indicatif", "comfy-table", "prost"];

/// The most crates that the core may consist of, ours included.
const CORE_LIMIT: usize = 60;

/// What cargo knows of this workspace on this machine's platform; other platforms' crates need not be at hand.
fn metadata() -> Value {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs").stdout;
    let version = String::from_utf8(version).expect("rustc speaks UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host triple");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn crates_import_only_along_the_arrows() {
    let metadata = metadata();
    let members: Vec<&str> = list(&metadata["workspace_members"]).filter_map(Value::as_str).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for package in list(&metadata["packages"]).filter(|p| members.contains(&text(p, "id"))) {
        let name = text(package, "name");
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            wrong.push(format!("{name} has no line in ARROWS"));
            continue;
        };
        seen += 1;
        // Tests may look anywhere; what ships may not.
        for dependency in list(&package["dependencies"]).filter(|d| d["kind"] != "dev") {
            let to = text(dependency, "name");
            if to.starts_with("lockstep-") && !allowed.contains(&to) && !allowed.contains(&"*") {
                wrong.push(format!("{name} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed: {wrong:?}");
    assert_eq!(seen, ARROWS.len(), "ARROWS names crates that are gone");
}

#[test]
fn the_core_stays_small() {
    let metadata = metadata();
    let nodes: Vec<&Value> = list(&metadata["resolve"]["nodes"]).collect();
    let name_of = |id: &str| {
        list(&metadata["packages"])
            .find(|p| text(p, "id") == id)
            .map(|p| text(p, "name").to_owned())
            .unwrap_or_default()
    };
    let mut reached: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = (nodes.iter())
        .map(|node| text(node, "id"))
        .filter(|id| ["lockstep-runtime", "lockstep-cpu"].contains(&name_of(id).as_str()))
        .collect();
    assert_eq!(open.len(), 2);
    while let Some(id) = open.pop() {
        if reached.contains(&id) {
            continue;
        }
        reached.push(id);
        let node = nodes.iter().find(|node| text(node, "id") == id).expect("a resolved package");
        let normal = |d: &&Value| list(&d["dep_kinds"]).any(|k| k["kind"].is_null());
        open.extend(list(&node["deps"]).filter(normal).map(|d| text(d, "pkg")));
    }
    let names: Vec<String> = reached.iter().map(|id| name_of(id)).collect();
    for heavy in HEAVY {
        assert!(!names.iter().any(|name| name == heavy), "the core pulls in {heavy}");
    }
    assert!(names.len() <= CORE_LIMIT, "the core is {} crates: {names:?}", names.len());
}
