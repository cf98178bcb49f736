//! What the command prints when all is well.

mod command;

use command::{file, folder_with, lockstep, path_text, run, run_reading, trained};
use lockstep_bert::Pooling;
use lockstep_bert::fixtures::{FixtureHead, vocabulary};
use lockstep_runtime::tensor::{HostTensor, TensorSource, write_safetensors};
use serde_json::{Value, json};
use std::io::Read;
use std::process::Stdio;

const REFERENCE: [&str; 2] = ["--device", "reference"];

fn excerpt() -> Vec<Value> {
    let text = std::fs::read_to_string(trained("excerpt") + "/documents.jsonl").unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_document_gets_the_label_that_pytorch_gave_it() {
    for device in ["cpu", "candle"] {
        let model = trained("document-classifier");
        let documents = model.clone() + "/../excerpt/documents.jsonl";
        let answers = run(&["run", &model, "--file", &documents, "--device", device, "--batch", "7"]).json();
        let expected = excerpt();
        assert_eq!(answers.len(), expected.len());
        for (at, (answer, document)) in answers.iter().zip(&expected).enumerate() {
            assert_eq!(answer["line"], json!(at + 1), "{device}");
            assert_eq!(answer["label"], document["predicted_label"], "{device}, line {}", at + 1);
        }
    }
}

#[test]
fn fields_come_with_their_spans() {
    let text = "借款人李娜，借款金额人民币500000.00元，年利率4.35%";
    let answers = run(&["run", &trained("field-extractor"), "--text", text, "--json"]).json();
    let entities = answers[0]["entities"].as_array().unwrap();
    assert!(!entities.is_empty());
    for entity in entities {
        let span = |key: &str| entity[key].as_u64().unwrap() as usize;
        let covered: String = text.chars().skip(span("start")).take(span("end") - span("start")).collect();
        assert_eq!(entity["text"], json!(covered));
    }
    assert!(
        entities.iter().any(|entity| entity["text"] == "李娜" && entity["label"] == "PER"),
        "{entities:?}"
    );
    let table = run(&["run", &trained("field-extractor"), "--text", text]);
    assert!(table.stdout.contains("李娜") && table.stdout.contains("3..5"), "{table:?}");
}

#[test]
fn a_label_is_printed_with_its_scores() {
    let ran = run(&[
        "run",
        &trained("document-classifier"),
        "--text",
        "兹证明王伟系我单位员工，月均收入12,000.00元",
    ]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("收入证明  0.9"), "{ran:?}");
    assert!(ran.stdout.matches("0.").count() > 3, "{ran:?}");
}

#[test]
fn an_embedding_is_printed_with_size_and_norm() {
    let folder = folder_with(FixtureHead::NormalizedEmbedding(Pooling::Mean));
    let model = path_text(folder.path());
    let text = run(&[&["run", &model, "--text", "a b"], &REFERENCE[..]].concat());
    assert_eq!(text.stdout, "embedding of 32 components, norm 1.000000 (mean pooling, normalised)\n");
    let json = run(&[&["run", &model, "--text", "a b", "--json"], &REFERENCE[..]].concat()).json();
    assert_eq!(
        (&json[0]["size"], &json[0]["pooling"], &json[0]["tokens"]),
        (&json!(32), &json!("mean"), &json!(4))
    );
    assert_eq!(json[0]["embedding"].as_array().unwrap().len(), 32);
}

#[test]
fn pairs_run_and_the_second_text_counts() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let texts = ["--text", "a", "--pair", "b", "--text", "a", "--pair", "c", "--json"];
    let answers = run(&[&["run", &model], &texts[..], &REFERENCE[..]].concat()).json();
    assert_eq!((&answers[0]["text_pair"], &answers[1]["text_pair"]), (&json!("b"), &json!("c")));
    assert_ne!(answers[0]["scores"], answers[1]["scores"]);
}

#[test]
fn standard_input_is_read_in_either_format() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let lines = b"{\"text\": \"a b\", \"id\": \"first\"}\n{\"text\": \"c\"}\n";
    let objects = run_reading(&[&["run", &model, "-"], &REFERENCE[..]].concat(), lines).json();
    assert_eq!(
        (&objects[0]["id"], &objects[0]["line"], &objects[1]["line"]),
        (&json!("first"), &json!(1), &json!(2))
    );
    assert!(objects[1].get("id").is_none());
    let plain = run_reading(&[&["run", &model, "--file", "-"], &REFERENCE[..]].concat(), b"a b\r\nc").json();
    assert_eq!(plain[0]["scores"], objects[0]["scores"]);
    assert_eq!(plain[1]["scores"], objects[1]["scores"]);
}

#[test]
fn an_empty_file_gives_no_answers() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let texts = file(folder.path(), "none.txt", "");
    let answers =
        run(&[&["run", &path_text(folder.path()), "--file", &texts], &REFERENCE[..]].concat()).json();
    assert_eq!(answers, [] as [Value; 0]);
}

#[test]
fn a_long_text_is_cut_and_said_to_be() {
    let text = "收入".repeat(50_000);
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let texts = file(folder.path(), "long.txt", &text);
    let ran = run(&[&["run", &path_text(folder.path()), "--file", &texts], &REFERENCE[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer = &ran.json_lines()[0];
    assert_eq!(
        (&answer["tokens"], &answer["truncated"]),
        (&json!(64), &json!({ "tokens": 100_002, "limit": 64 }))
    );
    assert!(ran.stderr.starts_with("note: ") && ran.stderr.contains("1 texts were cut"), "{ran:?}");

    let short = "a ".repeat(100);
    let ran = run(&[&["run", &path_text(folder.path()), "--text", &short], &REFERENCE[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "note: the text has 102 tokens; the model read the first 64\n");
}

#[test]
fn a_reader_who_leaves_ends_the_run_in_peace() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let texts = file(folder.path(), "many.txt", "a b c\n".repeat(20_000));
    let mut command = lockstep();
    command.args(["run", &path_text(folder.path()), "--file", &texts, "--batch", "1"]).args(REFERENCE);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    assert_eq!(&first, b"{");
}

#[test]
fn devices_lists_every_backend_with_its_numerics() {
    let listed = run(&["devices", "--json"]).json();
    let backends = listed[0].as_array().unwrap();
    let names: Vec<&str> = backends.iter().map(|backend| backend["backend"].as_str().unwrap()).collect();
    assert_eq!(names, ["cpu", "cuda", "ascend", "candle", "reference"]);
    // Whether there is a GPU or an NPU is the machine's affair.
    let is_hardware = |backend: &&Value| {
        ["cuda", "ascend"].iter().any(|kind| backend["backend"].as_str().unwrap().starts_with(kind))
    };
    for backend in backends.iter().filter(|backend| !is_hardware(backend)) {
        let device = &backend["devices"][0];
        assert_eq!(device["id"], json!(format!("{}:0", backend["backend"].as_str().unwrap())));
        assert!(device["dtypes"].as_array().unwrap().contains(&device["default_dtype"]), "{device}");
        assert!(device["numerics"]["exp_ulp"].as_f64().unwrap() > 0.0, "{device}");
    }
    let text = run(&["devices"]).stdout;
    for part in ["cpu:0", "reference:0", "batch invariant", "f32 f16 bf16 in f32"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn inspect_counts_what_the_config_implies() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let dot = path_text(&folder.path().join("graph.dot"));
    let arguments = ["inspect", &model, "--device", "reference", "--shape", "2x10", "--dot", &dot, "--json"];
    let report = run(&arguments).json().remove(0);
    // Two layers of width 32 and 48: four square products, two of the feed-forward block, and attention; then the
    // pooler and the classifier on one row.
    let (hidden, inner, seq) = (32, 48, 10);
    let layer = 2 * seq * (4 * hidden * hidden + 2 * hidden * inner) + 4 * seq * seq * hidden;
    let head = 2 * (hidden * hidden + hidden * 3);
    assert_eq!(report["per_sequence"]["product_flops"], json!(2 * layer + head));
    assert_eq!(report["runs"], json!(true));
    assert_eq!(report["inputs"].as_array().unwrap().len(), 3);
    assert_eq!(report["outputs"][0], json!({ "name": "logits", "type": "f64[batch, 3]" }));
    assert!(report["rewritten"].as_u64().unwrap() > 0 && report["refused"] == json!([]), "{report}");
    assert!(std::fs::read_to_string(&dot).unwrap().starts_with("digraph"));
    let text = run(&["inspect", &model, "--device", "reference"]).stdout;
    for part in ["parameters", "by decomposition", "sequences stay padded"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_dtype_asked_for_is_the_one_computed_in() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    for dtype in ["f32", "f16", "bf16"] {
        let report = run(&["inspect", &model, "--dtype", dtype, "--json"]).json().remove(0);
        assert_eq!((&report["dtype"], &report["device"]), (&json!(dtype), &json!("cpu:0")));
        let scores = run(&["run", &model, "--text", "a b c", "--dtype", dtype, "--json"]).json().remove(0);
        let truth =
            run(&[&["run", &model, "--text", "a b c", "--json"], &REFERENCE[..]].concat()).json().remove(0);
        let difference = (scores["score"].as_f64().unwrap() - truth["score"].as_f64().unwrap()).abs();
        // The formats' units are 2^-24, 2^-11 and 2^-8; a score moves by a few of them.
        let bound =
            [("f32", 1e-5), ("f16", 1e-2), ("bf16", 5e-2)].iter().find(|(name, _)| *name == dtype).unwrap().1;
        assert!(difference < bound, "{dtype}: {difference}");
        assert!(dtype == "f32" || difference > 1e-9, "{dtype} computes as f32: {difference}");
    }
}

#[test]
fn bench_measures_shapes_beside_another_device() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let shared = ["--seconds", "0.02", "--threads", "1", "--json"];
    let arguments = ["bench", &model, "--shape", "2x8", "3x16", "--beside", "reference"];
    let report = run(&[&arguments[..], &shared].concat()).json().remove(0);
    let results = report["results"].as_array().unwrap();
    let places: Vec<_> =
        results.iter().map(|r| (r["seq"].as_u64().unwrap(), r["device"].as_str().unwrap())).collect();
    assert_eq!(places, [(8, "cpu:0"), (8, "reference:0"), (16, "cpu:0"), (16, "reference:0")]);
    for result in results {
        let time = |key: &str| result[key].as_f64().unwrap();
        assert!(
            0.0 < time("p10_ms")
                && time("p10_ms") <= time("median_ms")
                && time("median_ms") <= time("p90_ms")
        );
        let batch = time("batch");
        assert!((time("sequences_per_second") * time("median_ms") / 1e3 - batch).abs() < 1e-6 * batch);
        let share = time("gflops") / report["machine"]["fma_peak_gflops"].as_f64().unwrap();
        let halves = if result["dtype"] == "f64" { 2.0 } else { 1.0 };
        assert!((time("share_of_peak") - share * halves).abs() < 1e-12);
    }
    assert_eq!(report["machine"]["threads"], json!(1));
}

#[test]
fn bench_measures_packing_on_mixed_lengths() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let report =
        run(&["bench", &path_text(folder.path()), "--mixed", "--seconds", "0.02", "--json"]).json().remove(0);
    let time = |way: &str| report[way]["median_ms"].as_f64().unwrap();
    let ratio = report["packed_is_faster_by"].as_f64().unwrap();
    assert!((ratio - time("padded") / time("packed")).abs() < 1e-9);
    assert_eq!(report["texts"], json!(256));
}

#[test]
fn each_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}");
        assert!(ran.stdout.contains("lockstep") && ran.stdout.contains("aggregation"), "{shell}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"], &["bench", "--version"]] {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(ran.stdout.contains("lockstep"), "{arguments:?}");
    }
}

#[test]
fn two_devices_are_compared_op_by_op() {
    let model = trained("document-classifier");
    let text = "兹证明王伟系我单位员工，月均收入12,000.00元";
    let compared = run(&["compare", &model, "--devices", "reference,cpu", "--text", text, "--json"]).json();
    let report = &compared[0];
    assert_eq!(report["schema"], "lockstep-compare/2");
    let steps = report["steps"].as_array().unwrap();
    assert!(
        steps.len() > 30
            && steps.iter().all(|step| step["isolated"]["of_worst_case"].as_f64().unwrap() < 1.0)
    );
    assert!(steps.iter().any(|step| step["checkpoint"] == "encoder.2.attention.output"));
    assert_eq!(report["outputs"][0]["whole_run_equals_steps"], true);
    let table = run(&["compare", &model, "--devices", "candle,cpu", "--checkpoints"]);
    assert!(table.stdout.contains("PASS cpu:0 computes what candle:0 does"), "{table:?}");
    assert!(table.stdout.contains("encoder.3.output") && !table.stdout.contains("embeddings.add_position"));
}

#[test]
fn a_comparison_leaves_a_page_and_a_junit_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| path_text(&folder.path().join(name));
    let (page, junit) = (file("page.html"), file("junit.xml"));
    let model = trained("document-classifier");
    let devices = ["compare", &model, "--devices", "reference,cpu"];
    let ran = run(&[&devices[..], &["--html", &page, "--junit", &junit]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("PASS cpu:0 computes") && page.contains("compare ") && page.contains("--junit"));
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("classname=\"Attention.f32\"") && junit.contains("failures=\"0\""), "{junit}");
    let nowhere = file("no/such/folder.html");
    run(&[&devices[..], &["--html", &nowhere]].concat()).fails_with(3, &["folder.html"]);
}

#[test]
fn a_pack_recorded_on_one_device_is_checked_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let pack = path_text(&folder.path().join("pack"));
    let model = trained("document-classifier");
    let recorded =
        run(&["golden", "record", &model, "--device", "cpu", "--text", "营业执照", "-o", &pack, "--json"]);
    assert_eq!(recorded.json()[0]["schema"], "lockstep-golden/1");
    let again = run(&["golden", "check", &pack, "--device", "cpu", "--json"]).json();
    let values = again[0]["values"].as_array().unwrap();
    assert!(values.len() > 15 && values.iter().all(|value| value["verdict"] == "EXACT"), "{values:?}");
    let page = path_text(&folder.path().join("page.html"));
    let other = run(&["golden", "check", &pack, "--device", "candle", "--html", &page]);
    assert!(other.stdout.contains("PASS candle:0 against cpu:0"), "{other:?}");
    assert!(std::fs::read_to_string(page).unwrap().contains("against what cpu:0"));
    let wrong = ["golden", "check", &pack, "--device", "cpu", "--model", &trained("field-extractor")];
    run(&wrong).fails_with(5, &["graph.json", "recorded of another graph"]);
    run(&["golden", "record", &model, "-o", &pack]).fails_with(3, &["exists already"]);
    run(&["golden", "check", &pack, "--dtype", "bf16"]).fails_with(2, &["recorded in f32"]);
    run(&["golden", "check", &path_text(folder.path())]).fails_with(3, &["pack.json"]);
}

#[test]
fn a_device_is_tested_op_by_op() {
    let report = tempfile::tempdir().unwrap();
    let path = path_text(&report.path().join("junit.xml"));
    let only = ["conform", "--device", "cpu", "--op", "Softmax", "--dtype", "bf16", "--junit", &path];
    let table = run(&only);
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.stdout.contains("CONFORMS cpu:0") && table.stdout.contains("softmax shift"), "{table:?}");
    let junit = std::fs::read_to_string(&path).unwrap();
    assert!(junit.contains("<testsuite name=\"cpu:0\"") && junit.contains("failures=\"0\""), "{junit}");
    let found = run(&[&only[..5], &["--json"]].concat()).json();
    assert_eq!(found[0]["schema"], "lockstep-conform/2");
    let cases = found[0]["devices"][0]["cases"].as_array().unwrap();
    assert!(cases.iter().all(|case| case["op"] == "Softmax"));
}

/// A simulator's times are no share of anything; a processor has a roofline when it is asked for one.
#[test]
fn bench_gives_a_roofline_where_it_is_asked_for() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let arguments = ["bench", &model, "--shape", "2x8", "--seconds", "0.02", "--threads", "1", "--json"];
    let report = run(&[&arguments[..], &["--roofline", "always"]].concat()).json().remove(0);
    assert_eq!(report["schema"], "lockstep-bench/1");
    let (rates, result) = (&report["devices"][0]["rates"], &report["results"][0]);
    let number = |value: &Value| value.as_f64().unwrap();
    let traffic = number(&result["bytes"]) / (number(&rates["copy_gb_per_second"]) * 1e6);
    // Products take the rest, and what they take at the rate is what was counted: GFLOP/s times the median.
    let products =
        number(&result["gflops"]) * number(&result["median_ms"]) / number(&rates["product_gflops"]);
    let roofline = number(&result["roofline_ms"]);
    assert!((roofline - traffic - products).abs() < 1e-9 * roofline, "{report}");
    let share = roofline / number(&result["median_ms"]);
    assert!((number(&result["share_of_roofline"]) - share).abs() < 1e-12 * share, "{report}");
    assert!(number(&result["p95_ms"]) <= number(&result["p99_ms"]) && result.get("on_device").is_none());
    let plain = run(&arguments).json().remove(0);
    assert!(plain["results"][0].get("roofline_ms").is_none() && plain["devices"][0].get("rates").is_none());
}

#[test]
fn bench_measures_the_lengths_of_a_file() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let lengths = file(folder.path(), "lengths.txt", "8\n2\n5\n");
    let model = path_text(folder.path());
    let report =
        run(&["bench", &model, "--mixed", "--lengths", &lengths, "--seconds", "0.02", "--json"]).json();
    assert_eq!((&report[0]["texts"], &report[0]["mean_tokens"]), (&json!(3), &json!(5.0)));
    assert_eq!(report[0]["padding_share"].as_f64(), Some(1.0 - 15.0 / 24.0));
}

/// The tokens that the tokenizer makes of a text, given as tensors, give the logits behind the label that the text gets.
#[test]
fn tensors_give_what_texts_give() {
    let folder = folder_with(FixtureHead::SequenceClassification(3));
    let model = path_text(folder.path());
    let inputs = folder.path().join("batch");
    std::fs::create_dir(&inputs).unwrap();
    let ids = HostTensor::from_slice(&[1, 4], &[2i64, 5, 6, 3]).unwrap();
    let types = HostTensor::from_slice(&[1, 4], &[0i64; 4]).unwrap();
    let mask = HostTensor::from_slice(&[1, 4], &[1i64; 4]).unwrap();
    let tensors = [("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)];
    write_safetensors(&inputs.join("inputs.safetensors"), tensors).unwrap();
    let (inputs, saved) = (path_text(&inputs), folder.path().join("outputs"));
    let arguments = ["run", &model, "--inputs", &inputs, "--save", saved.to_str().unwrap(), "--repeat", "3"];
    let record = run(&[&arguments[..], &["--json"]].concat()).json().remove(0);
    assert_eq!(record["schema"], "lockstep-run-tensors/1");
    assert_eq!((&record["runs"], &record["same_bits"]), (&json!(3), &json!(true)));
    assert_eq!(record["outputs"], json!([{ "name": "logits", "dtype": "f32", "shape": [1, 3] }]));
    let logits = TensorSource::open(&saved.join("batch.safetensors")).unwrap().tensor("logits").unwrap();
    let logits = logits.to_f64();
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    let words = vocabulary();
    let text = format!("{} {}", words[5], words[6]);
    let answer = run(&["run", &model, "--text", &text, "--json"]).json().remove(0);
    assert_eq!(answer["tokens"], json!(4));
    for score in answer["scores"].as_array().unwrap() {
        let at: usize = score["label"].as_str().unwrap().trim_start_matches("label ").parse().unwrap();
        let expected = logits[at].exp() / sum;
        assert!((score["score"].as_f64().unwrap() - expected).abs() < 1e-6, "{answer} {logits:?}");
    }
    run(&arguments).fails_with(2, &["batch.safetensors", "is there already"]);
}
