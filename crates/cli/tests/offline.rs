//! The offline route as a user meets it: exported, compiled for the simulator, held to a pack, and asked for answers.

mod command;

use clap::Parser;
use command::{file, folder_with, path_text, run};
use lockstep_atc_simulator::{Flags, compile};
use lockstep_bert::fixtures::FixtureHead;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TEXTS: [&str; 3] = ["the loan", "a loan of the bank is a loan", "bank"];

/// A small random classifier, exported with every checkpoint for two batches of two lengths, and compiled in a precision.
struct Route {
    folder: TempDir,
    model: String,
}

impl Route {
    fn new() -> Self {
        let folder = folder_with(FixtureHead::SequenceClassification(3));
        let model = path_text(folder.path());
        let route = Self { folder, model };
        let exported = route.path("exported");
        let cut = ["--for", "ascend", "-o", &exported, "--cut", "all", "--batches", "1,4", "--seq", "16,32"];
        let ran = run(&[&["export", &route.model], &cut[..]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        route
    }

    fn path(&self, name: &str) -> String {
        path_text(&self.folder.path().join(name))
    }

    /// The device with the model as the export's own command line compiles it.
    fn device(&self, precision: &str) -> String {
        let exported = self.folder.path().join("exported");
        let manifest: Value =
            serde_json::from_slice(&fs::read(exported.join("manifest.json")).unwrap()).unwrap();
        let compiled = manifest["ascend"]["precisions"].as_array().unwrap().iter();
        let command = compiled.map(|compiled| &compiled["command"]).find(|command| {
            let wanted = format!("--precision_mode_v2={precision}");
            command.as_array().unwrap().iter().any(|word| *word == wanted.as_str())
        });
        let words = command
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .map(|word| in_folder(word.as_str().unwrap(), &exported));
        let options = Flags::parse_from(words).checked().unwrap();
        compile(&options).unwrap().save(options.output()).unwrap();
        format!("ascend-sim:0@{}", options.output().display())
    }

    /// A pack of the processor's in a dtype.
    fn pack(&self, dtype: &str) -> String {
        let pack = self.path(&format!("pack-{dtype}"));
        let ran = run(&["golden", "record", &self.model, "--device", "cpu", "--dtype", dtype, "-o", &pack]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        pack
    }
}

/// The script runs ATC in the export's folder; a test does not change its own.
fn in_folder(word: &str, folder: &Path) -> String {
    for flag in ["--model=", "--output=", "--op_precision_mode="] {
        if let Some(name) = word.strip_prefix(flag) {
            return format!("{flag}{}", path_text(&folder.join(name)));
        }
    }
    word.to_owned()
}

#[test]
fn a_compiled_model_is_held_to_a_pack_at_every_checkpoint() {
    let route = Route::new();
    let device = route.device("origin");
    let ran = run(&["golden", "check", &route.pack("f32"), "--device", &device, "--json"]);
    let report = &ran.json()[0];
    let values = report["values"].as_array().unwrap();
    assert!(
        values.len() > 8 && report.get("not_given").is_none() && report.get("steps").is_none(),
        "{report}"
    );
    assert!(
        values.iter().all(|value| value["verdict"] == "AS-ACCURATE" || value["verdict"] == "EXACT"),
        "{report}"
    );
    assert_eq!(report["tested"]["simulated"], true);
    let said = report["headline"].to_string();
    assert!(
        said.contains("NOT-RUN one by one") && said.contains("PASS ascend-sim:0@model_origin.om (simulated)"),
        "{said}"
    );
}

#[test]
fn lower_precision_passes_as_what_it_is_and_fails_as_what_it_is_not() {
    let route = Route::new();
    let device = route.device("mixed_float16");
    let ran = run(&["golden", "check", &route.pack("f16"), "--device", &device]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let html = route.path("page.html");
    let ran = run(&["golden", "check", &route.pack("f32"), "--device", &device, "--html", &html]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("SUSPECT") && ran.stdout.contains("FAIL ascend-sim:0@"), "{ran:?}");
    assert!(ran.stdout.contains("--dtype f16"), "{ran:?}");
    assert!(fs::read_to_string(html).unwrap().contains("model_mixed_float16.om"));
}

#[test]
fn texts_of_any_number_and_length_are_filled_up_to_a_gear() {
    let route = Route::new();
    let texts = file(route.folder.path(), "texts.txt", TEXTS.join("\n"));
    let answers = |device: &str| {
        let ran = run(&["run", &route.model, "--device", device, "--file", &texts, "--json"]);
        let scores = |line: &Value| -> Vec<f64> {
            line["scores"].as_array().unwrap().iter().map(|score| score["score"].as_f64().unwrap()).collect()
        };
        ran.json().iter().map(scores).collect::<Vec<_>>()
    };
    let (compiled, cpu) = (answers(&route.device("origin")), answers("cpu"));
    assert_eq!((compiled.len(), cpu.len()), (3, 3));
    for (found, expected) in compiled.iter().flatten().zip(cpu.iter().flatten()) {
        assert!((found - expected).abs() < 1e-5, "{compiled:?} {cpu:?}");
    }
    // More than any gear holds.
    let long = "loan ".repeat(40);
    let ran = run(&["run", &route.model, "--device", &route.device("origin"), "--text", &long]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("[4, 32]") && ran.stderr.contains("--seq"), "{ran:?}");
}

#[test]
fn what_looks_into_a_model_does_not_take_a_compiled_one() {
    let route = Route::new();
    let device = route.device("origin");
    let devices = format!("cpu,{device}");
    run(&["compare", &route.model, "--devices", &devices]).fails_with(3, &["one by one", "golden record"]);
    run(&["conform", "--device", &device]).fails_with(2, &["no other op"]);
    let ran = run(&["inspect", &route.model, "--device", &device]);
    assert!(ran.stdout.contains("compiled whole") && ran.stdout.contains("[4, 32]"), "{ran:?}");
    assert!(!ran.stdout.contains("native"), "{ran:?}");
    run(&["run", &route.model, "--device", "cpu@model.om", "--text", "x"])
        .fails_with(1, &["cpu runs no compiled models"]);
    let missing = format!("ascend-sim:0@{}", route.path("nowhere.om"));
    run(&["run", &route.model, "--device", &missing, "--text", "x"]).fails_with(1, &["nowhere.om"]);
    let real = file(route.folder.path(), "real.om", b"IMOD and so on");
    let real = format!("ascend-sim:0@{real}");
    run(&["run", &route.model, "--device", &real, "--text", "x"]).fails_with(1, &["real .om", "atc-sim"]);
}
