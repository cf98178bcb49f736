//! `lockstep accept` as a user meets it. Speed is never asserted.

mod command;

use command::{Ran, file, folder_with, path_text, run};
use lockstep_bert::fixtures::FixtureHead;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// Answers alone, and a loss that a few documents can exclude.
const POLICY: &str = "throughput_percent = \"off\"\np99_latency_percent = \"off\"\ntask_loss_points = 40\n";

/// A model, a folder for files, and its documents.
struct Setting {
    model: TempDir,
    files: TempDir,
    data: String,
    policy: String,
}

impl Setting {
    fn new(documents: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        Self {
            model: folder_with(FixtureHead::SequenceClassification(3)),
            data: file(files.path(), "test.jsonl", documents.join("\n")),
            policy: file(files.path(), "policy.toml", POLICY),
            files,
        }
    }

    fn labelled() -> Self {
        Self::new(&[r#"{"text": "a b", "label": "label 0"}"#; 20])
    }

    fn path(&self, name: &str) -> String {
        path_text(&self.files.path().join(name))
    }

    fn accept(&self, more: &[&str]) -> Ran {
        let model = path_text(self.model.path());
        run(&[&["accept", &model, "--device", "cpu", "--data", &self.data], more].concat())
    }

    fn judged(&self, more: &[&str]) -> Ran {
        self.accept(&[&["--against", "reference", "--policy", &self.policy], more].concat())
    }

    fn record(&self, pack: &str, more: &[&str]) -> Ran {
        let model = path_text(self.model.path());
        run(&[&["golden", "record", &model, "--device", "cpu", "-o", pack], more].concat())
    }
}

#[test]
fn an_accepted_device_ends_with_the_line_for_a_manager() {
    let setting = Setting::labelled();
    let junit = setting.path("report.xml");
    let ran = setting.judged(&["--junit", &junit]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let last = ran.stdout.lines().last().unwrap();
    assert_eq!(last, "ACCEPTED cpu:0 in f32 may replace reference:0 in f64: 3 of 3 goals met");
    assert!(ran.stdout.contains("again: lockstep accept "), "{}", ran.stdout);
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("tests=\"3\" errors=\"0\" failures=\"0\" skipped=\"0\""), "{junit}");
}

#[test]
fn the_report_holds_all_that_was_asked_and_found() {
    let setting = Setting::labelled();
    let report: Value = setting.judged(&["--limit", "12", "--json"]).json().remove(0);
    assert_eq!(report["schema"], "lockstep-accept/1");
    assert_eq!((&report["outcome"], &report["kind"]), (&"ACCEPTED".into(), &"class".into()));
    assert_eq!((&report["data"]["compared"], &report["data"]["is_cut"]), (&12.into(), &true.into()));
    assert_eq!(report["policy"]["task_loss_points"], 40.0);
    assert_eq!(report["trusted"]["numerics"]["accumulate"]["f64"], "f64");
    assert_eq!(report["goals"][0]["status"], "MET");
    assert!(report["speeds"].is_null());
}

#[test]
fn a_missed_goal_is_code_1_and_named() {
    let mut setting = Setting::labelled();
    setting.policy = file(setting.files.path(), "strict.toml", format!("{POLICY}largest_error = 0\n"));
    let ran = setting.judged(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let last = ran.stdout.lines().last().unwrap();
    assert!(last.starts_with("REJECTED cpu:0") && last.contains("missed largest error ("), "{last}");
}

#[test]
fn unlabelled_documents_are_not_enough_to_be_accepted() {
    let setting = Setting::new(&[r#"{"text": "a b"}"#, r#"{"text": "c"}"#]);
    let ran = setting.judged(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("INCOMPLETE cpu:0") && ran.stdout.contains("NOT-RUN (unlabelled)"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("give each line a \"label\""), "{ran:?}");
}

#[test]
fn a_pack_takes_the_place_of_a_device() {
    let setting = Setting::labelled();
    let pack = setting.path("pack");
    let recorded = setting.record(&pack, &["--data", &setting.data, "--seconds", "0.01"]);
    assert!(recorded.stdout.contains("20 documents at "), "{recorded:?}");
    let against =
        |more: &[&str]| setting.accept(&[&["--against", &pack, "--policy", &setting.policy], more].concat());
    let report = against(&["--dtype", "bf16", "--json"]).json().remove(0);
    assert_eq!((&report["outcome"], &report["trusted"]["dtype"]), (&"ACCEPTED".into(), &"f32".into()));
    against(&["--against-dtype", "bf16"]).fails_with(2, &["recorded in f32"]);

    let other = file(setting.files.path(), "other.jsonl", "{\"text\": \"b\"}\n");
    let model = path_text(setting.model.path());
    run(&["accept", &model, "--against", &pack, "--data", &other]).fails_with(5, &["SHA-256", "other.jsonl"]);
    let another = folder_with(FixtureHead::SequenceClassification(2));
    let another = path_text(another.path());
    run(&["accept", &another, "--against", &pack, "--data", &setting.data]).fails_with(5, &["another graph"]);

    let report = setting.accept(&["--against", &pack, "--limit", "5", "--json"]).json_lines().remove(0);
    let throughput = report["goals"].as_array().unwrap().iter().find(|goal| goal["name"] == "throughput");
    assert_eq!(throughput.unwrap()["status"], "NOT-RUN", "{report}");
}

#[test]
fn a_pack_without_documents_says_how_to_record_them() {
    let setting = Setting::labelled();
    let pack = setting.path("pack");
    assert_eq!(setting.record(&pack, &[]).code, Some(0));
    setting.accept(&["--against", &pack]).fails_with(5, &["golden record", "--data"]);
}

#[test]
fn what_cannot_be_judged_says_why() {
    let setting = Setting::labelled();
    setting.accept(&["--against", "cpu"]).fails_with(2, &["the device itself"]);
    setting.accept(&["--against", "tpu"]).fails_with(2, &["`tpu`"]);
    setting.accept(&["--against", "no/pack"]).fails_with(3, &["no/pack", "no such folder"]);
    setting.accept(&["--against", "reference", "--dtype", "f64"]).fails_with(2, &["cpu:0", "f64"]);
    let given = |name: &str, text: &str| file(setting.files.path(), name, text);
    let policy = |text: &str| setting.accept(&["--against", "reference", "--policy", &given("p.toml", text)]);
    policy("\nthroughput = 80\n").fails_with(3, &["p.toml", "line 2", "throughput_percent"]);
    policy("similarity_percent = 200\n").fails_with(3, &["p.toml", "0 to 100"]);
    let model = path_text(setting.model.path());
    let on = |data: &str| run(&["accept", &model, "--against", "reference", "--data", data]);
    on(&given("empty.jsonl", "\n")).fails_with(3, &["empty.jsonl", "no document"]);
    on(&given("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": 1}\n"))
        .fails_with(3, &["bad.jsonl, line 2", "`text`"]);
    on(&path_text(Path::new("nowhere.jsonl"))).fails_with(3, &["nowhere.jsonl"]);
}
