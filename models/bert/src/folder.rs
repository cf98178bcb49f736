//! The files of a model folder, in either of the two layouts that are in use.
//!
//! A transformers folder has everything at its top. A sentence-transformers folder has a `modules.json` there, which
//! lists modules with a folder each; the transformer is at the top or in a folder of its own. Weights and tokenizer
//! are looked up when asked for, so that a folder without a tokenizer can still be inspected and measured.

use crate::error::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::{Component, Path, PathBuf};

/// A model folder whose `config.json` was found.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    root: PathBuf,
    transformer: PathBuf,
    modules: Option<Vec<Module>>,
}

/// One entry of `modules.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// The Python class without its package: `Transformer`, `Pooling`, `Normalize`, ...
    pub(crate) kind: String,
    /// The module's folder.
    pub(crate) folder: PathBuf,
}

/// Where the weights are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightFiles {
    /// One `model.safetensors`.
    Single(PathBuf),
    /// A `model.safetensors.index.json`, which names the shards beside it.
    Sharded(PathBuf),
}

/// Where the tokenizer is; at least one of `tokenizer_json` and `vocab` is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`: the whole tokenizer.
    pub tokenizer_json: Option<PathBuf>,
    /// `vocab.txt`: one WordPiece token per line.
    pub vocab: Option<PathBuf>,
    /// `tokenizer_config.json`: casing, special tokens, the length that the model was trained for.
    pub config: Option<PathBuf>,
    /// `special_tokens_map.json`: the special tokens of older folders.
    pub special_tokens_map: Option<PathBuf>,
    /// `added_tokens.json`: tokens beyond `vocab.txt`, in older folders.
    pub added_tokens: Option<PathBuf>,
    /// `sentence_bert_config.json`: what sentence-transformers sets on top.
    pub sentence_config: Option<PathBuf>,
}

#[derive(Deserialize)]
struct RawModule {
    #[serde(rename = "type")]
    class: String,
    #[serde(default)]
    path: String,
}

impl ModelFolder {
    /// Looks at a folder: finds `modules.json`, if there is one, and `config.json`, which must be there.
    ///
    /// # Errors
    /// [`Error::FolderMissing`], [`Error::NotAFolder`]; [`Error::FileMissing`] without a `config.json`;
    /// [`Error::Json`] or [`Error::Config`] for a `modules.json` that is corrupt or leads out of the folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if root.is_file() {
            return Err(Error::NotAFolder { path: root });
        }
        if !root.is_dir() {
            return Err(Error::FolderMissing { path: root });
        }
        let modules_path = root.join("modules.json");
        let modules = if modules_path.is_file() { Some(read_modules(&root, &modules_path)?) } else { None };
        let transformer = modules
            .iter()
            .flatten()
            .find(|module| module.is_transformer())
            .map_or_else(|| root.clone(), |module| module.folder.clone());
        if !transformer.join("config.json").is_file() {
            return Err(Error::FileMissing {
                folder: transformer,
                what: "model config",
                tried: vec!["config.json".to_owned()],
                hint: "Is this a Hugging Face model folder, downloaded completely?",
            });
        }
        Ok(Self { root, transformer, modules })
    }

    /// The folder that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The encoder's `config.json`.
    pub fn config_path(&self) -> PathBuf {
        self.transformer.join("config.json")
    }

    /// The modules of a sentence-transformers folder in order; `None` for a transformers folder.
    pub(crate) fn modules(&self) -> Option<&[Module]> {
        self.modules.as_deref()
    }

    /// The weights.
    ///
    /// # Errors
    /// [`Error::FileMissing`] says which names were tried, and what to do with a `pytorch_model.bin`.
    pub fn weights(&self) -> Result<WeightFiles> {
        let single = self.transformer.join("model.safetensors");
        if single.is_file() {
            return Ok(WeightFiles::Single(single));
        }
        let index = self.transformer.join("model.safetensors.index.json");
        if index.is_file() {
            return Ok(WeightFiles::Sharded(index));
        }
        let hint = if self.transformer.join("pytorch_model.bin").is_file() {
            "pytorch_model.bin is there, but is not read yet: convert it to safetensors \
             (transformers: from_pretrained, then save_pretrained)"
        } else {
            "Is the folder downloaded completely? (pytorch_model.bin is not read yet: convert it to safetensors)"
        };
        Err(Error::FileMissing {
            folder: self.transformer.clone(),
            what: "weights",
            tried: ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"]
                .map(String::from)
                .to_vec(),
            hint,
        })
    }

    /// The tokenizer's files, beside the encoder or else at the top of the folder.
    ///
    /// # Errors
    /// [`Error::FileMissing`] when there is neither a `tokenizer.json` nor a `vocab.txt`.
    pub fn tokenizer_files(&self) -> Result<TokenizerFiles> {
        let has_tokenizer =
            |folder: &Path| ["tokenizer.json", "vocab.txt"].iter().any(|name| folder.join(name).is_file());
        let folder = [&self.transformer, &self.root].into_iter().find(|folder| has_tokenizer(folder));
        let Some(folder) = folder else {
            return Err(Error::FileMissing {
                folder: self.transformer.clone(),
                what: "tokenizer",
                tried: ["tokenizer.json", "vocab.txt"].map(String::from).to_vec(),
                hint: "Copy the tokenizer of the model that this one was trained from into the folder",
            });
        };
        let existing = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        Ok(TokenizerFiles {
            tokenizer_json: existing("tokenizer.json"),
            vocab: existing("vocab.txt"),
            config: existing("tokenizer_config.json"),
            special_tokens_map: existing("special_tokens_map.json"),
            added_tokens: existing("added_tokens.json"),
            sentence_config: self
                .modules
                .as_ref()
                .map(|_| self.transformer.join("sentence_bert_config.json"))
                .filter(|path| path.is_file()),
        })
    }
}

impl Module {
    /// Whether this module is the encoder; the first release of sentence-transformers called it `BERT`.
    pub(crate) fn is_transformer(&self) -> bool {
        matches!(self.kind.as_str(), "Transformer" | "BERT")
    }
}

fn read_modules(root: &Path, path: &Path) -> Result<Vec<Module>> {
    let raw: Vec<RawModule> = read_json(path)?;
    raw.into_iter()
        .map(|module| {
            // A downloaded file must not lead the reader out of its folder.
            let inside =
                Path::new(&module.path).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside {
                let found = format!("{:?}", module.path);
                return Err(Error::config(path, "path", found, "a folder inside the model folder"));
            }
            let kind = module.class.rsplit('.').next().unwrap_or_default().to_owned();
            Ok(Module { kind, folder: root.join(&module.path) })
        })
        .collect()
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid_up_to = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid_up_to].iter().filter(|byte| **byte == b'\n').count();
        Error::Encoding { path: path.to_owned(), valid_up_to, line }
    })
}

/// A file's JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read_text(path)?).map_err(|source| Error::Json { path: path.to_owned(), source })
}
