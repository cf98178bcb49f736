//! `config.json`: the sizes of a BERT encoder, and every setting that changes what it computes.
//!
//! Defaults are those of transformers' `BertConfig`. A setting that this crate cannot honour is refused by name
//! rather than ignored: a model that silently computes something else is worse than one that does not load. Settings
//! that do not change the result of inference (dropout, caching, initialisation) are not read.

use crate::error::{Error, Result};
use crate::folder::read_text;
use crate::labels::Labels;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// More layers than any published BERT by a factor of ten; bounds the graph before any weight is looked at.
const MAX_LAYERS: usize = 1024;
/// Bounds products of two sizes to what `usize` and `i64` hold.
const MAX_SIZE: usize = 1 << 28;
/// Each label gets a name, so a count alone must not ask for gigabytes.
const MAX_LABELS: usize = 1 << 20;

/// The form of GELU that a feed-forward block uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GeluForm {
    /// `x / 2 * (1 + erf(x / sqrt 2))`: `gelu`, `gelu_python`.
    Erf,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: `gelu_new`, `gelu_pytorch_tanh`, `gelu_fast`,
    /// `gelu_accurate`.
    Tanh,
}

/// What a classifier's outputs mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// One label of many.
    SingleLabelClassification,
    /// Any number of labels.
    MultiLabelClassification,
    /// A number per output.
    Regression,
}

/// The settings of a BERT encoder and its head.
///
/// Read from a file it satisfies the checks of [`BertConfig::from_json`]; built by hand, it is for the caller to keep
/// them.
#[derive(Debug, Clone, PartialEq)]
pub struct BertConfig {
    /// The file that this was read from; errors name it.
    pub source: PathBuf,
    /// Classes named by `architectures`, such as `BertForTokenClassification`; empty when the file names none.
    pub architectures: Vec<String>,
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the encoder; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads of each layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward blocks.
    pub intermediate_size: usize,
    /// `hidden_act`.
    pub gelu: GeluForm,
    /// Rows of the position embedding: the longest sequence, special tokens included.
    pub max_position_embeddings: usize,
    /// Rows of the segment embedding.
    pub type_vocab_size: usize,
    /// What LayerNorm adds to the variance.
    pub layer_norm_eps: f64,
    /// The id of the padding token.
    pub pad_token_id: Option<u32>,
    /// The names of the head's outputs; meaningless for a bare encoder.
    pub labels: Labels,
    /// What a sequence classifier's outputs mean, when the file says so.
    pub problem_type: Option<ProblemType>,
}

impl Default for BertConfig {
    /// The settings of BERT base, with two labels: transformers' defaults.
    fn default() -> Self {
        Self {
            source: PathBuf::from("config.json"),
            architectures: Vec::new(),
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            gelu: GeluForm::Erf,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            labels: Labels::numbered(2),
            problem_type: None,
        }
    }
}

/// The file as it is written; unknown fields are ignored, `null` is the same as absent.
#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    intermediate_size: Option<usize>,
    hidden_act: Option<String>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    pad_token_id: Option<i64>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
    add_cross_attention: Option<bool>,
    is_encoder_decoder: Option<bool>,
    pruned_heads: Option<HashMap<String, serde::de::IgnoredAny>>,
    quantization_config: Option<serde::de::IgnoredAny>,
    id2label: Option<BTreeMap<String, String>>,
    num_labels: Option<usize>,
    problem_type: Option<String>,
}

impl BertConfig {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Encoding`], and those of [`BertConfig::from_json`].
    pub fn from_file(path: &Path) -> Result<Self> {
        Self::from_json(&read_text(path)?, path)
    }

    /// Parses and checks the text of a `config.json`; `path` is what errors call it.
    ///
    /// # Errors
    /// * [`Error::Json`]: not JSON, or a field of another type;
    /// * [`Error::Config`]: sizes that are zero, absurd or do not fit each other, labels with gaps;
    /// * [`Error::Unsupported`]: another model type or activation, relative positions, a decoder, cross-attention,
    ///   pruned heads, quantised weights.
    pub fn from_json(text: &str, path: &Path) -> Result<Self> {
        let raw: RawConfig =
            serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_owned(), source })?;
        refuse_other_computations(&raw, path)?;
        let base = Self::default();
        let labels = labels(raw.id2label, raw.num_labels, path)?;
        let config = Self {
            source: path.to_owned(),
            architectures: raw.architectures.unwrap_or_default(),
            vocab_size: raw.vocab_size.unwrap_or(base.vocab_size),
            hidden_size: raw.hidden_size.unwrap_or(base.hidden_size),
            num_hidden_layers: raw.num_hidden_layers.unwrap_or(base.num_hidden_layers),
            num_attention_heads: raw.num_attention_heads.unwrap_or(base.num_attention_heads),
            intermediate_size: raw.intermediate_size.unwrap_or(base.intermediate_size),
            gelu: gelu_form(raw.hidden_act.as_deref().unwrap_or("gelu"), path)?,
            max_position_embeddings: raw.max_position_embeddings.unwrap_or(base.max_position_embeddings),
            type_vocab_size: raw.type_vocab_size.unwrap_or(base.type_vocab_size),
            layer_norm_eps: raw.layer_norm_eps.unwrap_or(base.layer_norm_eps),
            // Old configs write -1 for "none".
            pad_token_id: raw.pad_token_id.map_or(base.pad_token_id, |id| u32::try_from(id).ok()),
            labels,
            problem_type: raw.problem_type.map(|name| problem_type(&name, path)).transpose()?,
        };
        config.check_sizes(path)?;
        Ok(config)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }

    fn check_sizes(&self, path: &Path) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, MAX_SIZE),
            ("hidden_size", self.hidden_size, MAX_SIZE),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MAX_SIZE),
            ("intermediate_size", self.intermediate_size, MAX_SIZE),
            ("max_position_embeddings", self.max_position_embeddings, MAX_SIZE),
            ("type_vocab_size", self.type_vocab_size, MAX_SIZE),
        ];
        for (field, size, largest) in sizes {
            if size == 0 || size > largest {
                return Err(Error::config(path, field, size, format!("1 to {largest}")));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let expected = format!("a multiple of num_attention_heads = {}", self.num_attention_heads);
            return Err(Error::config(path, "hidden_size", self.hidden_size, expected));
        }
        if !self.layer_norm_eps.is_finite() || self.layer_norm_eps < 0.0 {
            return Err(Error::config(
                path,
                "layer_norm_eps",
                self.layer_norm_eps,
                "a number not below zero",
            ));
        }
        Ok(())
    }
}

/// Refuses what would make the encoder compute something else.
fn refuse_other_computations(raw: &RawConfig, path: &Path) -> Result<()> {
    let named_bert = || raw.architectures.iter().flatten().any(|name| name.starts_with("Bert"));
    match raw.model_type.as_deref() {
        Some("bert") => {}
        Some(other) => return Err(Error::unsupported(path, format!("model_type {other:?}"), "\"bert\"")),
        None if named_bert() => {}
        None => {
            return Err(Error::config(
                path,
                "model_type",
                "absent",
                "\"bert\"; is this a BERT model's config.json?",
            ));
        }
    }
    if let Some(kind) = raw.position_embedding_type.as_deref()
        && kind != "absolute"
    {
        return Err(Error::unsupported(path, format!("position_embedding_type {kind:?}"), "\"absolute\""));
    }
    let pruned = raw.pruned_heads.as_ref().is_some_and(|heads| !heads.is_empty());
    let refused = [
        (raw.is_decoder == Some(true), "is_decoder = true", "encoders"),
        (
            raw.add_cross_attention == Some(true),
            "add_cross_attention = true",
            "encoders without cross-attention",
        ),
        (raw.is_encoder_decoder == Some(true), "is_encoder_decoder = true", "encoders"),
        (pruned, "a model with pruned_heads", "layers with all their heads"),
        (
            raw.quantization_config.is_some(),
            "a model with a quantization_config",
            "weights stored as f32, f16 or bf16; take the unquantised model",
        ),
    ];
    match refused.into_iter().find(|(asked, ..)| *asked) {
        Some((_, feature, supported)) => Err(Error::unsupported(path, feature, supported)),
        None => Ok(()),
    }
}

fn gelu_form(name: &str, path: &Path) -> Result<GeluForm> {
    match name {
        "gelu" | "gelu_python" => Ok(GeluForm::Erf),
        // transformers writes these four differently; all are the tanh form.
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" => Ok(GeluForm::Tanh),
        other => Err(Error::unsupported(
            path,
            format!("hidden_act {other:?}"),
            "gelu, gelu_python (erf form); gelu_new, gelu_pytorch_tanh, gelu_fast, gelu_accurate (tanh form)",
        )),
    }
}

fn problem_type(name: &str, path: &Path) -> Result<ProblemType> {
    match name {
        "single_label_classification" => Ok(ProblemType::SingleLabelClassification),
        "multi_label_classification" => Ok(ProblemType::MultiLabelClassification),
        "regression" => Ok(ProblemType::Regression),
        other => Err(Error::unsupported(
            path,
            format!("problem_type {other:?}"),
            "single_label_classification, multi_label_classification, regression",
        )),
    }
}

/// `id2label` when there is one, else `num_labels` unnamed labels, else two.
fn labels(id2label: Option<BTreeMap<String, String>>, count: Option<usize>, path: &Path) -> Result<Labels> {
    let Some(id2label) = id2label else {
        let count = count.unwrap_or(2);
        if count == 0 || count > MAX_LABELS {
            return Err(Error::config(path, "num_labels", count, format!("1 to {MAX_LABELS}")));
        }
        return Ok(Labels::numbered(count));
    };
    let count = id2label.len();
    if count == 0 {
        return Err(Error::config(path, "id2label", "empty", "one name per output, or no id2label at all"));
    }
    let mut names = vec![None; count];
    for (key, name) in id2label {
        match key.trim().parse::<usize>().ok().and_then(|index| names.get_mut(index)) {
            Some(slot @ None) => *slot = Some(name),
            _ => {
                let expected = format!("each of 0 to {} once, as there are {count} labels", count - 1);
                return Err(Error::config(path, "id2label", format!("naming output {key:?}"), expected));
            }
        }
    }
    // Every slot is filled: `count` distinct indices below `count` were taken.
    Ok(Labels::new(names.into_iter().flatten().collect()))
}
