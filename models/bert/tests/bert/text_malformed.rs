//! Files of a model folder are untrusted: whatever they say, loading ends in a value or an error, never in a panic.

use crate::text_folders;
use lockstep_bert::{Error, Head, ModelFolder, Result};
use serde_json::{Value, json};
use std::path::Path;
use text_folders::{config_with, folder_of, tokenizer_in, trained, vocab_of, write};

/// Loads everything that the text side loads, and tokenizes a little.
fn load(folder: &Path) -> Result<Head> {
    let (tokenizer, config) = tokenizer_in(folder)?;
    for text in ["", "a B1 中[SEP]", "\u{301}\u{0}😀"] {
        tokenizer.encode(text, None)?;
        tokenizer.encode((text, "b c"), Some(4))?;
    }
    tokenizer.join_tokens(vec!["a".into(), "##b".into()])?;
    Head::of_folder(&ModelFolder::open(folder)?, &config)
}

/// The trained tokenizer with a vocabulary of a few tokens.
fn small_tokenizer() -> Value {
    let path = trained("field-extractor").join("tokenizer.json");
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##1", "中"];
    file["model"]["vocab"] =
        tokens.iter().enumerate().map(|(id, token)| (token.to_string(), json!(id))).collect();
    file
}

/// Every way to put something else in the place of one value, or to leave it out.
fn mutations(value: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!(true),
        json!(""),
        json!("B"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"a": 1}),
    ];
    let mut mutated: Vec<Value> = others.to_vec();
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let mut without = fields.clone();
                without.remove(key);
                mutated.push(Value::Object(without));
                for other in mutations(field) {
                    let mut with = fields.clone();
                    with.insert(key.clone(), other);
                    mutated.push(Value::Object(with));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                mutated.push(Value::Array(without));
                for other in mutations(item) {
                    let mut with = items.clone();
                    with[index] = other;
                    mutated.push(Value::Array(with));
                }
                let mut twice = items.clone();
                twice.push(item.clone());
                mutated.push(Value::Array(twice));
            }
        }
        _ => {}
    }
    mutated
}

/// Loads a folder with each mutation of one of its files; returns how many loaded and how many were refused.
fn load_mutations(folder: &Path, name: &str, original: &Value) -> (usize, usize) {
    write(folder, name, &original.to_string());
    load(folder).unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for mutated in mutations(original) {
        write(folder, name, &mutated.to_string());
        match load(folder) {
            Ok(_) => loaded += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    write(folder, name, &original.to_string());
    (loaded, refused)
}

#[test]
fn no_change_of_a_tokenizer_json_panics() {
    let folder = folder_of(&[("config.json", &config_with(json!({})))]);
    let (loaded, refused) = load_mutations(folder.path(), "tokenizer.json", &small_tokenizer());
    assert!(loaded > 100 && refused > 500, "{loaded} loaded, {refused} refused");
}

#[test]
fn no_change_of_a_settings_file_panics() {
    let folder =
        folder_of(&[("config.json", &config_with(json!({}))), ("vocab.txt", &vocab_of(&["a", "##b"]))]);
    let settings = json!({
        "tokenizer_class": "BertTokenizer", "model_max_length": 30, "do_lower_case": true, "strip_accents": null,
        "tokenize_chinese_chars": true, "truncation_side": "right", "cls_token": {"content": "[CLS]"},
        "sep_token": "[SEP]", "added_tokens_decoder": {"7": {"content": "<x>", "lstrip": true, "special": false}},
    });
    let (loaded, refused) = load_mutations(folder.path(), "tokenizer_config.json", &settings);
    assert!(loaded > 20 && refused > 100, "{loaded} loaded, {refused} refused");
    let config: Value = serde_json::from_str(&config_with(json!({
        "id2label": {"0": "a", "1": "b"}, "problem_type": "regression", "hidden_act": "gelu", "layer_norm_eps": 1e-5,
        "pad_token_id": 0, "architectures": ["BertForSequenceClassification"],
    })))
    .unwrap();
    let (loaded, refused) = load_mutations(folder.path(), "config.json", &config);
    assert!(loaded > 20 && refused > 100, "{loaded} loaded, {refused} refused");
    let modules = json!([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]);
    write(folder.path(), "1_Pooling/config.json", "{}");
    let (loaded, refused) = load_mutations(folder.path(), "modules.json", &modules);
    assert!(loaded > 10 && refused > 50, "{loaded} loaded, {refused} refused");
    let pooling = json!({"word_embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": true});
    let (loaded, refused) = load_mutations(folder.path(), "1_Pooling/config.json", &pooling);
    assert!(loaded > 5 && refused > 10, "{loaded} loaded, {refused} refused");
}

/// The `tokenizers` crate panics on such a character map; the panic's message still goes to stderr.
#[test]
fn a_panic_of_the_tokenizers_library_is_an_error() {
    let mut file = small_tokenizer();
    file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"});
    let folder =
        folder_of(&[("config.json", &config_with(json!({}))), ("tokenizer.json", &file.to_string())]);
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Tokenizer { reason, .. } if reason.contains("panicked")), "{error}");
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn truncated_and_garbled_files_are_errors_that_name_them() {
    let folder = folder_of(&[("config.json", &config_with(json!({})))]);
    let whole = small_tokenizer().to_string();
    for length in (0..whole.len()).step_by(37) {
        if !whole.is_char_boundary(length) {
            continue;
        }
        write(folder.path(), "tokenizer.json", &whole[..length]);
        let error = load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("tokenizer.json"), "cut at {length}: {error}");
    }
    write(folder.path(), "tokenizer.json", &whole);
    let config = config_with(json!({}));
    for length in 0..config.len() {
        write(folder.path(), "config.json", &config[..length]);
        let error = load(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Json { .. }), "cut at {length}: {error}");
    }
    std::fs::write(folder.path().join("config.json"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(load(folder.path()), Err(Error::Encoding { valid_up_to: 0, line: 1, .. })));
    let nested = "[".repeat(100_000);
    for name in ["config.json", "tokenizer_config.json", "modules.json", "tokenizer.json"] {
        let files = [("config.json", &*config), ("tokenizer.json", &*whole)];
        let folder = folder_of(&files);
        write(folder.path(), name, &nested);
        assert!(load(folder.path()).unwrap_err().to_string().contains(name));
    }
}
