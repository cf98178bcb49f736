//! Model folders for the tests: the trained ones, and temporary ones made of text files.

use lockstep_bert::{BertConfig, ModelFolder, Result, Tokenizer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of the trained models: `document-classifier`, `field-extractor`, `excerpt`.
pub(crate) fn trained(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert-small").join(name)
}

/// The tokenizer of a trained model.
pub(crate) fn trained_tokenizer() -> (Tokenizer, BertConfig) {
    tokenizer_in(&trained("field-extractor")).unwrap()
}

/// Opens a folder and loads its tokenizer.
pub(crate) fn tokenizer_in(folder: &Path) -> Result<(Tokenizer, BertConfig)> {
    let folder = ModelFolder::open(folder)?;
    let config = BertConfig::from_file(&folder.config_path())?;
    Ok((Tokenizer::load(&folder.tokenizer_files()?, &config)?, config))
}

/// A line of the excerpt.
pub(crate) fn excerpt() -> Vec<Value> {
    let path = trained("excerpt").join("documents.jsonl");
    let documents = std::fs::read_to_string(path).unwrap();
    let documents: Vec<Value> = documents.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), 64);
    documents
}

/// A JSON file beside the tests.
pub(crate) fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A temporary folder with these files; a name may contain folders.
pub(crate) fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

/// Writes one file of a folder.
pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A small config with these fields changed; `null` stays in the text.
pub(crate) fn config_with(changes: Value) -> String {
    let mut config = json!({
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": 64, "hidden_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32,
        "max_position_embeddings": 32,
    });
    for (field, value) in changes.as_object().unwrap() {
        config[field] = value.clone();
    }
    config.to_string()
}

/// A vocabulary with the special tokens of BERT at 0 to 4, then these.
pub(crate) fn vocab_of(tokens: &[&str]) -> String {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    special.iter().chain(tokens).flat_map(|token| [token, "\n"]).collect()
}

/// The strings, numbers or lists under a key.
pub(crate) fn list<T: serde::de::DeserializeOwned>(value: &Value, key: &str) -> Vec<T> {
    serde_json::from_value(value[key].clone()).unwrap()
}
