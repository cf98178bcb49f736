//! A model folder as a graph: the one entry point of this crate for a program that runs models.

use crate::architecture::Head;
use crate::config::BertConfig;
use crate::embeddings::embeddings;
use crate::encoder::encoder;
use crate::error::{Error, Result};
use crate::folder::{ModelFolder, WeightFiles};
use crate::heads::head;
use crate::tokenizer::{Encoding, Text, Tokenizer};
use crate::weights::Weights;
use lockstep_graph::tensor::TensorSource;
use lockstep_graph::{CompareOp, DType, Dim, Graph, GraphBuilder, TensorType, ValueId};
use std::path::Path;
use std::sync::OnceLock;

/// The tokens that every text has: `[CLS]` and `[SEP]`.
const SPECIAL_TOKENS: usize = 2;

/// How a folder is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The dtype that the model computes in: f64, f32, f16 or bf16. By default f32.
    pub dtype: DType,
    /// The most tokens of a text, special tokens included; by default what the tokenizer's files say, at most
    /// `max_position_embeddings`.
    pub max_length: Option<usize>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { dtype: DType::F32, max_length: None }
    }
}

/// A BERT from a Hugging Face or sentence-transformers folder: its graph with the weights in it, its settings, and its
/// tokenizer.
///
/// The graph takes `input_ids`, `token_type_ids` and `attention_mask`, each i64 `[batch, seq]`; a token of a mask other
/// than 0 counts. Its outputs follow from the head, in the dtype that the model computes in, but logits, poolings and
/// embeddings in f32 at least:
///
/// * [`Head::SequenceClassification`]: `logits` `[batch, labels]`;
/// * [`Head::TokenClassification`]: `logits` `[batch, seq, labels]`;
/// * [`Head::Encoder`]: `last_hidden_state` `[batch, seq, hidden]`, and `pooler_output` `[batch, hidden]` where the
///   folder has a pooler;
/// * [`Head::Embedding`]: `embedding` `[batch, hidden]`.
///
/// Its checkpoints are `embeddings`; of each layer `encoder.{i}.attention.self`, `encoder.{i}.attention.output`,
/// `encoder.{i}.intermediate` and `encoder.{i}.output`; `pooler` where there is one; and each output under its name.
#[derive(Debug)]
pub struct BertModel {
    folder: ModelFolder,
    config: BertConfig,
    head: Head,
    graph: Graph,
    warnings: Vec<String>,
    max_length: Option<usize>,
    tokenizer: OnceLock<Tokenizer>,
}

impl BertModel {
    /// Loads a folder and builds its graph.
    ///
    /// Weights stay in the memory-mapped file, whatever dtype they are stored in; where `options.dtype` is f16 or bf16, the
    /// matrices of products are converted to it once. The tokenizer is left for [`BertModel::tokenizer`] to load, so that a
    /// folder without one can be inspected and measured.
    ///
    /// # Errors
    /// * those of [`ModelFolder::open`], [`BertConfig::from_file`], [`Head::of_folder`] and [`ModelFolder::weights`];
    /// * [`Error::Tensor`]: a weight file that is truncated or corrupt;
    /// * [`Error::Weights`]: every tensor that is missing, of another shape than the config's, or not of floats;
    /// * [`Error::UnknownName`]: a dtype that is no float;
    /// * [`Error::MaxLength`]: a `max_length` beyond the model's positions, or too short for the special tokens.
    pub fn load(folder: &Path, options: LoadOptions) -> Result<Self> {
        if !options.dtype.is_float() {
            return Err(Error::UnknownName {
                what: "dtype to compute in",
                found: options.dtype.to_string(),
                expected: "f64, f32, f16, bf16",
            });
        }
        let folder = ModelFolder::open(folder)?;
        let config = BertConfig::from_file(&folder.config_path())?;
        let head = Head::of_folder(&folder, &config)?;
        check_max_length(options.max_length, &config)?;
        let source = match folder.weights()? {
            WeightFiles::Single(file) => TensorSource::open(&file)?,
            WeightFiles::Sharded(index) => TensorSource::open(index.parent().unwrap_or(&index))?,
        };
        let (graph, warnings) = build(&source, &config, &head, options.dtype)?;
        Ok(Self {
            folder,
            config,
            head,
            graph,
            warnings,
            max_length: options.max_length,
            tokenizer: OnceLock::new(),
        })
    }

    /// The folder that was loaded.
    pub fn path(&self) -> &Path {
        self.folder.root()
    }

    /// The settings of its encoder and head.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// What follows the encoder, and how its output becomes an answer.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What the model computes, weights included; a clone shares their bytes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What is odd about the folder and does not keep it from running: tensors that nothing uses.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How many weights the model uses.
    pub fn parameter_count(&self) -> usize {
        self.graph.parameter_count()
    }

    /// The folder's tokenizer, loaded at the first call.
    ///
    /// # Errors
    /// Those of [`ModelFolder::tokenizer_files`] and [`Tokenizer::load`].
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        if let Some(tokenizer) = self.tokenizer.get() {
            return Ok(tokenizer);
        }
        let loaded = Tokenizer::load(&self.folder.tokenizer_files()?, &self.config)?;
        Ok(self.tokenizer.get_or_init(|| loaded))
    }

    /// The tokens of a text, with the folder's prompt before it if it has one, cut to [`LoadOptions::max_length`].
    ///
    /// # Errors
    /// Those of [`BertModel::tokenizer`] and [`Tokenizer::encode`].
    pub fn encode<'a>(&self, text: impl Into<Text<'a>>) -> Result<Encoding> {
        let tokenizer = self.tokenizer()?;
        let text = text.into();
        let prompt = match &self.head {
            Head::Embedding(settings) => settings.prompt.as_deref(),
            _ => None,
        };
        match (prompt, text) {
            (None, text) => tokenizer.encode(text, self.max_length),
            (Some(prompt), Text::Single(text)) => {
                tokenizer.encode(&format!("{prompt}{text}"), self.max_length)
            }
            (Some(prompt), Text::Pair(first, second)) => {
                let first = format!("{prompt}{first}");
                tokenizer.encode((first.as_str(), second), self.max_length)
            }
        }
    }
}

fn check_max_length(requested: Option<usize>, config: &BertConfig) -> Result<()> {
    match requested {
        Some(length) if !(SPECIAL_TOKENS..=config.max_position_embeddings).contains(&length) => {
            Err(Error::MaxLength {
                requested: length,
                smallest: SPECIAL_TOKENS,
                largest: config.max_position_embeddings,
                config: config.source.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// The graph of a model, and warnings about its weights.
fn build(
    source: &TensorSource,
    config: &BertConfig,
    kind: &Head,
    compute: DType,
) -> Result<(Graph, Vec<String>)> {
    let mut b = GraphBuilder::new();
    let mut weights = Weights::new(source, config, compute);
    let ids = TensorType::new(DType::I64, [Dim::symbol("batch"), Dim::symbol("seq")]);
    let input_ids = b.input("input_ids", ids.clone())?;
    let token_type_ids = b.input("token_type_ids", ids.clone())?;
    let attention_mask = b.input("attention_mask", ids)?;
    let mask = truth(&mut b, attention_mask)?;
    let x = embeddings(&mut b, &mut weights, config, input_ids, token_type_ids)?;
    let x = encoder(&mut b, &mut weights, config, x, mask)?;
    head(&mut b, &mut weights, config, kind, x, mask)?;
    // First, because a graph with placeholders in it is not to be used.
    let warnings = weights.finish()?;
    Ok((b.finish()?, warnings))
}

/// i64 to bool, of the same shape: whether it is not 0.
fn truth(b: &mut GraphBuilder, attention_mask: ValueId) -> Result<ValueId> {
    let zero = b.scalar("attention_mask.zero", DType::I64, 0.0)?;
    Ok(b.compare("attention_mask.kept", CompareOp::Ne, attention_mask, zero)?)
}
