//! Bad input: each gives one clear error and the right exit code, never a panic, and spoils nothing already printed.

mod command;

use command::{Ran, file, folder, folder_with, path_text, run, run_reading};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_runtime::tensor::HostTensor;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn classify(model: &Path, arguments: &[&str]) -> Ran {
    run(&[&["run", &path_text(model), "--device", "reference"], arguments].concat())
}

fn classify_a(model: &Path) -> Ran {
    classify(model, &["--text", "a"])
}

fn classifier() -> tempfile::TempDir {
    folder_with(FixtureHead::SequenceClassification(3))
}

fn with_config(changes: Value) -> tempfile::TempDir {
    let fixture = Fixture::default();
    let folder = folder(&fixture);
    let mut config = fixture.config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    file(folder.path(), "config.json", config.to_string());
    folder
}

#[test]
fn a_command_line_that_asks_for_what_there_is_not_is_code_2() {
    let folder = classifier();
    let model = path_text(folder.path());
    let text = |more: &[&str]| run(&[&["run", &model, "--text", "a"], more].concat());
    text(&["--device", "tpu"])
        .fails_with(2, &["`tpu`", "cpu, cuda, ascend, candle, reference, ascend-sim, ascend-sim-naive"]);
    text(&["--device", "cpu:x"]).fails_with(2, &["cpu:x", "device number"]);
    text(&["--device", "reference:3"]).fails_with(2, &["reference:3", "1 device"]);
    text(&["--device", "reference", "--dtype", "bf16"]).fails_with(2, &["reference:0", "bf16", "f64"]);
    text(&["--device", "reference", "--max-length", "65"]).fails_with(2, &["65", "2", "64"]);
    text(&["--device", "reference", "--pair", "b", "--pair", "c"]).fails_with(2, &["1 --text", "2 --pair"]);
    run(&["run", &model]).fails_with(2, &["--text", "--file"]);
    run(&["bench", &model, "--shape", "1x65"]).fails_with(2, &["1x65", "at most 64"]);
    run(&["bench", &model, "--beside", "cpu"]).fails_with(2, &["--beside cpu"]);
    run(&["run", &model, "--inputs", "a/x", "--inputs", "b/x", "--save", "out"])
        .fails_with(2, &["b/x", "another"]);
    run(&["run", &model, "--inputs", "..", "--save", "out"]).fails_with(2, &["--inputs ..", "no name"]);
    let entities = folder_with(FixtureHead::TokenClassification(3));
    classify(entities.path(), &["--text", "a", "--pair", "b"]).fails_with(2, &["pair"]);
}

#[test]
fn a_flag_that_makes_no_sense_is_code_2_with_what_would() {
    let cases: [(&[&str], &str); 13] = [
        (&["run", "m", "--text", "a", "--threads", "0"], "1 to 4096"),
        (&["run", "m", "--text", "a", "--threads", "two"], "1 to 4096"),
        (&["run", "m", "--text", "a", "--batch", "0"], "1 to 4096"),
        (&["run", "m", "--text", "a", "--dtype", "i64"], "f32, f16, bf16 or f64"),
        (&["run", "m", "--text", "a", "--aggregation", "some"], "none, simple, first, average, max"),
        (&["run", "m", "--text", "a", "--file", "b"], "cannot be used with"),
        (&["bench", "m", "--shape", "8"], "such as 8x128"),
        (&["bench", "m", "--lengths", "f"], "--mixed"),
        (&["bench", "m", "--roofline", "maybe"], "auto, always, never"),
        (&["run", "m", "--inputs", "d", "--text", "a"], "cannot be used with"),
        (&["run", "m", "--save", "d"], "--inputs"),
        (&["nonsense"], "nonsense"),
        (&[], "Usage"),
    ];
    for (arguments, part) in cases {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        assert!(ran.stderr.contains(part), "`{part}` is not in {}", ran.stderr);
    }
}

#[test]
fn a_folder_that_is_not_there_or_holds_no_model_is_named() {
    let folder = classifier();
    classify_a(&folder.path().join("none")).fails_with(1, &["none", "no such folder"]);
    classify_a(&folder.path().join("config.json")).fails_with(1, &["is a file"]);
    let empty = tempfile::tempdir().unwrap();
    classify_a(empty.path()).fails_with(1, &["config.json"]);
    fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    classify_a(folder.path()).fails_with(1, &["tokenizer.json", "vocab.txt"]);
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    classify_a(folder.path()).fails_with(1, &["model.safetensors"]);
}

#[test]
fn weights_that_are_corrupt_are_refused() {
    let folder = classifier();
    let weights = folder.path().join("model.safetensors");
    let good = fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    // A header that points beyond the file's end.
    let text = String::from_utf8(good[8..8 + header].to_vec()).unwrap();
    let start = text.find("\"data_offsets\":[").unwrap() + "\"data_offsets\":[".len();
    let lying = format!("{}9{}", &text[..start], &text[start..]);
    let lying = [&(lying.len() as u64).to_le_bytes()[..], lying.as_bytes(), &good[8 + header..]].concat();
    let cases: [(&str, &[u8]); 6] = [
        ("empty", &[]),
        ("a few bytes", &good[..5]),
        ("half a header", &good[..8 + header / 2]),
        ("half of the data", &good[..8 + header + (good.len() - header) / 2]),
        ("an endless header", &[0xff; 64]),
        ("offsets that lie", &lying),
    ];
    for (what, bytes) in cases {
        fs::write(&weights, bytes).unwrap();
        let ran = classify_a(folder.path());
        assert_ne!(ran.code, Some(0), "{what}");
        ran.fails_with(1, &["model.safetensors"]);
    }
}

#[test]
fn tensors_that_do_not_fit_the_config_are_listed() {
    let fixture = Fixture::default();
    let folder = folder(&fixture);
    let mut tensors = fixture.tensors();
    let at = tensors.iter().position(|(name, _)| name.contains("query.weight")).unwrap();
    let missing = tensors.remove(at).0;
    let wrong = tensors.iter().position(|(name, _)| name == "classifier.bias").unwrap();
    tensors[wrong].1 = HostTensor::from_slice(&[7], &[0f32; 7]).unwrap();
    fixture.write_weights(folder.path(), &tensors).unwrap();
    let ran = classify_a(folder.path());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    for part in [missing.as_str(), "classifier (Linear): bias is [7], expected [3]"] {
        assert!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
}

#[test]
fn a_tensor_that_nothing_uses_is_a_warning() {
    let fixture = Fixture::default();
    let folder = folder(&fixture);
    let mut tensors = fixture.tensors();
    tensors.push(("adapter.weight".to_owned(), HostTensor::from_slice(&[1], &[0f32]).unwrap()));
    fixture.write_weights(folder.path(), &tensors).unwrap();
    let ran = classify_a(folder.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("adapter.weight"), "{ran:?}");
    assert!(!ran.stdout.is_empty());
}

#[test]
fn a_config_that_asks_for_what_is_not_done_is_refused() {
    for (changes, part) in [
        (json!({ "position_embedding_type": "relative_key" }), "relative_key"),
        (json!({ "hidden_act": "relu" }), "relu"),
        (json!({ "is_decoder": true }), "is_decoder"),
        (json!({ "add_cross_attention": true }), "add_cross_attention"),
        (json!({ "num_attention_heads": 5 }), "num_attention_heads"),
        (json!({ "hidden_size": 0 }), "hidden_size"),
        (json!({ "model_type": "gpt2" }), "gpt2"),
    ] {
        classify_a(with_config(changes).path()).fails_with(1, &["config.json", part]);
    }
    let folder = classifier();
    file(folder.path(), "config.json", "{\"model_type\": ");
    classify_a(folder.path()).fails_with(1, &["config.json", "column"]);
}

#[test]
fn a_tokenizer_of_another_model_is_found_out() {
    let folder = with_config(json!({}));
    let vocabulary = fs::read_to_string(folder.path().join("vocab.txt")).unwrap();
    file(folder.path(), "vocab.txt", vocabulary + "\nbeyond\n");
    classify(folder.path(), &["--text", "beyond"]).fails_with(1, &["beyond", "vocab_size"]);
}

#[test]
fn an_empty_text_is_no_text() {
    let folder = classifier();
    for empty in ["", "   ", "\u{1}"] {
        classify(folder.path(), &["--text", empty]).fails_with(1, &["the text is empty"]);
    }
    // The texts around it have their answers.
    let ran = classify(folder.path(), &["--text", "a", "--text", "", "--text", "b", "--json"]);
    assert_eq!((ran.code, ran.json_lines().len()), (Some(1), 2), "{ran:?}");
    assert!(ran.stderr.starts_with("error: text 2: the text is empty"), "{ran:?}");
}

#[test]
fn a_bad_line_is_reported_by_number_and_the_rest_is_answered() {
    let folder = classifier();
    let lines: [&[u8]; 9] = [
        br#"{"text": "a"}"#,
        br#"{"text": "#,
        br#"{"words": "a"}"#,
        b"{\"text\": \"\xff\"}",
        br#"{"text": ""}"#,
        br#"{"text": 5}"#,
        br#"["a"]"#,
        b"",
        br#"{"text": "b", "id": 9}"#,
    ];
    let texts = file(folder.path(), "texts.jsonl", lines.join(&b'\n'));
    for batch in ["1", "4", "32"] {
        let ran = classify(folder.path(), &["--file", &texts, "--batch", batch]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let answered: Vec<_> =
            ran.json_lines().iter().map(|answer| answer["line"].as_u64().unwrap()).collect();
        assert_eq!(answered, [1, 9]);
        for (number, part) in [
            (2, "EOF"),
            (3, "no \"text\""),
            (4, "not UTF-8 at byte 11"),
            (5, "the text is empty"),
            (6, "expected a string"),
            (7, "no JSON object"),
            (8, "no JSON object"),
        ] {
            let start = format!("error: {texts}:{number}: ");
            let said: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with(&start)).collect();
            assert!(matches!(said.as_slice(), [line] if line.contains(part)), "{number}: {ran:?}");
        }
        assert!(ran.stderr.ends_with("7 of 9 lines have no answer\n"), "{ran:?}");
    }
}

#[test]
fn a_line_without_end_is_skipped_in_constant_memory() {
    let folder = classifier();
    let texts = file(folder.path(), "texts.txt", ["a\n".as_bytes(), &[b'x'; 3 << 19], b"\nb\n"].concat());
    let ran = classify(folder.path(), &["--file", &texts]);
    assert_eq!((ran.code, ran.json_lines().len()), (Some(1), 2), "{:?}", ran.stderr);
    assert!(ran.stderr.contains("texts.txt:2: longer than 1 MiB"), "{}", ran.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = classifier();
    let missing = path_text(&folder.path().join("none.txt"));
    classify(folder.path(), &["--file", &missing]).fails_with(1, &["none.txt", "cannot be read"]);
    let itself = path_text(folder.path());
    classify(folder.path(), &["--file", &itself]).fails_with(1, &["is a folder"]);
}

#[test]
fn bytes_that_are_no_text_are_reported_from_standard_input_too() {
    let folder = classifier();
    let arguments = ["run", &path_text(folder.path()), "--device", "reference", "-"];
    let ran = run_reading(&arguments, b"a\n\xc3\x28\nb\n");
    assert_eq!((ran.code, ran.json_lines().len()), (Some(1), 2), "{ran:?}");
    assert!(ran.stderr.starts_with("error: standard input:2: not UTF-8 at byte 1"), "{ran:?}");
}

#[test]
fn weights_that_overflow_give_an_error_and_no_label() {
    let fixture = Fixture::default();
    let folder = folder(&fixture);
    let mut tensors = fixture.tensors();
    let bias = tensors.iter_mut().find(|(name, _)| name == "classifier.bias").unwrap();
    bias.1 = HostTensor::from_slice(&[3], &[0.0f32, f32::NAN, 0.0]).unwrap();
    fixture.write_weights(folder.path(), &tensors).unwrap();
    classify_a(folder.path()).fails_with(1, &["label 1", "NaN"]);
}

#[test]
fn a_picture_that_cannot_be_written_is_an_error() {
    let folder = classifier();
    let nowhere = path_text(&folder.path().join("none/graph.dot"));
    let arguments = ["inspect", &path_text(folder.path()), "--device", "reference", "--dot", &nowhere];
    run(&arguments).fails_with(1, &["graph.dot", "cannot be written"]);
}

#[test]
fn a_missing_tokenizer_does_not_keep_a_model_from_being_inspected() {
    let folder = classifier();
    fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    let report = run(&["inspect", &path_text(folder.path()), "--device", "reference", "--json"]).json();
    assert_eq!(report[0]["runs"], json!(true));
}

#[test]
fn a_comparison_that_cannot_be_made_says_why() {
    let folder = classifier();
    let model = path_text(folder.path());
    let compare = |more: &[&str]| run(&[&["compare", &model], more].concat());
    compare(&["--devices", "cpu"]).fails_with(2, &["1 device", "reference,cpu"]);
    compare(&["--devices", "reference,tpu"]).fails_with(2, &["`tpu`"]);
    compare(&["--devices", "cpu,candle", "--dtype", "bf16"]).fails_with(2, &["candle:0", "bf16", "f32, f64"]);
    let files = tempfile::tempdir().unwrap();
    let given = |name: &str, text: &str| file(files.path(), name, text);
    let on = |path: &str| compare(&["--devices", "reference,cpu", "--file", path]);
    on(&given("empty.txt", "\n \n")).fails_with(3, &["empty.txt", "no text"]);
    on(&given("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": 1}\n")).fails_with(3, &["bad.jsonl", "line 2"]);
    on("nowhere.txt").fails_with(3, &["nowhere.txt"]);
}

#[test]
fn a_test_that_cannot_be_made_says_why() {
    run(&["conform", "--op", "Layernrom"]).fails_with(2, &["Layernrom", "LayerNorm"]);
    run(&["conform", "--device", "tpu"]).fails_with(2, &["`tpu`"]);
    let absent = run(&["conform", "--op", "Not", "--require", "tpu", "--dtype", "f32"]);
    assert_eq!(absent.code, Some(3), "{absent:?}");
    assert!(
        absent.stdout.contains("tpu: NOT-RUN") && absent.stderr.contains("tpu is required"),
        "{absent:?}"
    );
    let files = tempfile::tempdir().unwrap();
    let bad = file(files.path(), "known.toml", "[[unsupported]]\ndevice = \"cpu\"\n");
    run(&["conform", "--expectations", &bad]).fails_with(3, &["known.toml", "line 1"]);
    // Nothing is explained by an empty file: what the processor refuses is then a failure of its own kind.
    let empty = file(files.path(), "empty.toml", "");
    let bare = run(&["conform", "--device", "cpu", "--op", "IndexAdd", "--expectations", &empty]);
    assert_eq!(bare.code, Some(4), "{bare:?}");
    assert!(bare.stdout.contains("INCOMPLETE cpu:0"), "{bare:?}");
}
