//! Which model a folder holds: its head, and how the head's output becomes an answer.

use crate::config::{BertConfig, ProblemType};
use crate::error::{Error, Result};
use crate::folder::{ModelFolder, Module, read_json};
use crate::labels::Activation;
use crate::pooling::{Pooling, PoolingConfig};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The part of a model that follows the encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// `BertModel`: the encoder's last hidden state and its pooled `[CLS]`.
    Encoder,
    /// `BertForSequenceClassification`: one row of logits per text.
    SequenceClassification {
        /// How the logits become scores.
        activation: Activation,
    },
    /// `BertForTokenClassification`: one row of logits per token.
    TokenClassification,
    /// A sentence-transformers folder: one vector per text.
    Embedding(EmbeddingHead),
}

/// How a sentence-transformers folder makes a text's vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingHead {
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether the vector is divided by its Euclidean norm.
    pub normalize: bool,
    /// What is put before each text, when the folder sets a prompt by default.
    pub prompt: Option<String>,
}

const CLASSES: &str = "BertForSequenceClassification, BertForTokenClassification, BertModel, \
                       and sentence-transformers folders of a Transformer, a Pooling and at most one Normalize";

impl Head {
    /// The graph's one output that the answer is read from.
    pub fn output(&self) -> &'static str {
        match self {
            Self::SequenceClassification { .. } | Self::TokenClassification => "logits",
            Self::Encoder => "last_hidden_state",
            Self::Embedding(_) => "embedding",
        }
    }

    /// Reads what follows the encoder from `modules.json` if there is one, else from `architectures` in `config.json`.
    /// A config that names no architecture is a bare encoder, as transformers' `AutoModel` has it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names the architecture, module or pooling mode that this crate does not run.
    pub fn of_folder(folder: &ModelFolder, config: &BertConfig) -> Result<Self> {
        if let Some(modules) = folder.modules() {
            return embedding_head(folder, modules, config).map(Self::Embedding);
        }
        match config.architectures.first().map(String::as_str) {
            None | Some("BertModel") => Ok(Self::Encoder),
            Some("BertForSequenceClassification") => {
                Ok(Self::SequenceClassification { activation: class_activation(config) })
            }
            Some("BertForTokenClassification") => Ok(Self::TokenClassification),
            Some(other) => {
                Err(Error::unsupported(&config.source, format!("the architecture {other}"), CLASSES))
            }
        }
    }
}

/// What transformers' text-classification pipeline applies: by `problem_type`, else sigmoid for a single output and
/// softmax for several.
fn class_activation(config: &BertConfig) -> Activation {
    match config.problem_type {
        Some(ProblemType::Regression) => Activation::Identity,
        Some(ProblemType::MultiLabelClassification) => Activation::Sigmoid,
        _ if config.labels.len() == 1 => Activation::Sigmoid,
        _ => Activation::Softmax,
    }
}

fn embedding_head(folder: &ModelFolder, modules: &[Module], config: &BertConfig) -> Result<EmbeddingHead> {
    let path = folder.root().join("modules.json");
    let known =
        |module: &&Module| module.is_transformer() || matches!(module.kind.as_str(), "Pooling" | "Normalize");
    if let Some(module) = modules.iter().find(|module| !known(module)) {
        return Err(Error::unsupported(&path, format!("the module {}", module.kind), CLASSES));
    }
    let (pooling, normalize) = match modules {
        [first, pooling] if first.is_transformer() && pooling.kind == "Pooling" => (pooling, None),
        [first, pooling, last]
            if first.is_transformer() && pooling.kind == "Pooling" && last.kind == "Normalize" =>
        {
            (pooling, Some(last))
        }
        _ => {
            let kinds: Vec<&str> = modules.iter().map(|module| module.kind.as_str()).collect();
            let feature = format!("the sequence of modules [{}]", kinds.join(", "));
            return Err(Error::unsupported(&path, feature, CLASSES));
        }
    };
    let pooling = PoolingConfig::from_file(&pooling.folder.join("config.json"), config.hidden_size)?;
    if let Some(module) = normalize {
        check_normalize(module)?;
    }
    let prompt = default_prompt(folder)?;
    if prompt.is_some() && !pooling.include_prompt {
        let feature = "include_prompt = false with a default prompt";
        return Err(Error::unsupported(&path, feature, "prompts that are pooled with the text"));
    }
    Ok(EmbeddingHead { pooling: pooling.pooling, normalize: normalize.is_some(), prompt })
}

/// A Normalize module may say what it normalises; only the pooled vector is meant here.
fn check_normalize(module: &Module) -> Result<()> {
    #[derive(Deserialize)]
    struct RawNormalize {
        module_input_name: Option<String>,
        module_output_name: Option<String>,
    }
    let path = module.folder.join("config.json");
    if !path.is_file() {
        return Ok(());
    }
    let raw: RawNormalize = read_json(&path)?;
    match raw
        .module_input_name
        .iter()
        .chain(&raw.module_output_name)
        .find(|name| *name != "sentence_embedding")
    {
        Some(name) => {
            Err(Error::unsupported(&path, format!("normalising {name}"), "normalising sentence_embedding"))
        }
        None => Ok(()),
    }
}

/// The prompt that `config_sentence_transformers.json` sets for every text, if any.
fn default_prompt(folder: &ModelFolder) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct RawSettings {
        #[serde(default)]
        prompts: Option<BTreeMap<String, String>>,
        default_prompt_name: Option<String>,
    }
    let path = folder.root().join("config_sentence_transformers.json");
    if !path.is_file() {
        return Ok(None);
    }
    let settings: RawSettings = read_json(&path)?;
    let Some(name) = settings.default_prompt_name else { return Ok(None) };
    let mut prompts = settings.prompts.unwrap_or_default();
    match prompts.remove(&name) {
        Some(prompt) => Ok(Some(prompt).filter(|text| !text.is_empty())),
        None => {
            let known = prompts.into_keys().collect::<Vec<_>>().join(", ");
            let found = format!("{name:?}");
            Err(Error::config(&path, "default_prompt_name", found, format!("one of the prompts: {known}")))
        }
    }
}
