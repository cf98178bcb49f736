//! What a comparison runs on: texts, or random tokens.

use crate::arguments;
use crate::failure::{Failure, Outcome};
use crate::run::warn;
use crate::tokens::{SplitMix64, TokenBatch};
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions, TextModel, TextOptions};
use lockstep_runtime::Device;
use lockstep_runtime::graph::Graph;
use lockstep_runtime::tensor::{DType, HostTensor};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lengths of the random sequences: two, so that a batch is ragged.
const LENGTHS: [usize; 2] = [24, 17];
const SEED: u64 = 1;

/// Texts to run, if any.
#[derive(Debug, Args)]
pub(crate) struct TextArguments {
    /// A text; may be given several times [default: random tokens, the same in every run]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    text: Vec<String>,
    /// A file of texts: one per line (.txt), or objects with a "text" (.jsonl)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How many texts of the file to take, from its start
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = arguments::texts)]
    texts: usize,
}

/// A graph with its inputs.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) graph: Graph,
    /// The dtype that the graph computes in.
    pub(crate) dtype: DType,
    pub(crate) described: String,
    tensors: Vec<(&'static str, HostTensor)>,
}

impl Given {
    /// A model's graph in a dtype, by default the device's own, with texts or, without any, random tokens.
    pub(crate) fn load(
        folder: &Path,
        dtype: Option<DType>,
        device: Arc<dyn Device>,
        arguments: &TextArguments,
    ) -> Outcome<Self> {
        let info = device.info();
        let dtype = dtype.unwrap_or(info.default_dtype);
        if !info.dtypes.contains(&dtype) {
            let known: Vec<String> = info.dtypes.iter().map(DType::to_string).collect();
            let what = format!("{} does not compute in {dtype}; it does in {}", info.id, known.join(", "));
            return Err(Failure::Usage(what));
        }
        let texts = match &arguments.file {
            Some(file) => read_texts(file, arguments.texts)?,
            None => arguments.text.clone(),
        };
        if texts.is_empty() {
            return Self::random(folder, dtype);
        }
        let options = TextOptions { dtype: Some(dtype), ..TextOptions::default() };
        let model = TextModel::open(folder, device, options).map_err(|error| match error {
            lockstep_bert::Error::Session(error) => Failure::of_compared(error),
            other => other.into(),
        })?;
        let encoded = texts.iter().map(|text| model.encode(text.as_str()).map_err(Failure::from));
        let encoded = encoded.collect::<Outcome<Vec<_>>>()?;
        let longest = encoded.iter().map(|text| text.encoding().len()).max().unwrap_or(0);
        warn(folder, model.model().warnings());
        Ok(Self {
            graph: model.model().graph().clone(),
            dtype,
            described: format!("{} text(s) of at most {longest} tokens", texts.len()),
            tensors: model.inputs(&encoded)?.to_vec(),
        })
    }

    /// Random tokens, the same in every run, for a model in a dtype.
    pub(crate) fn random(folder: &Path, dtype: DType) -> Outcome<Self> {
        let model = BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() })?;
        warn(folder, model.warnings());
        let lengths = LENGTHS.map(|length| length.min(model.config().max_position_embeddings));
        let batch = TokenBatch::new(&lengths, model.config(), &mut SplitMix64::new(SEED))?;
        Ok(Self {
            graph: model.graph().clone(),
            dtype,
            described: format!("{} sequences of {lengths:?} random tokens, seed {SEED}", lengths.len()),
            tensors: batch.inputs().map(|(name, tensor)| (name, tensor.clone())).to_vec(),
        })
    }

    /// The inputs by name.
    pub(crate) fn inputs(&self) -> Vec<(&str, &HostTensor)> {
        self.tensors.iter().map(|(name, tensor)| (*name, tensor)).collect()
    }
}

#[derive(Deserialize)]
struct Line {
    text: String,
}

/// The first texts of a file, blank lines left out.
fn read_texts(path: &Path, most: usize) -> Outcome<Vec<String>> {
    let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let is_jsonl = path.extension().is_some_and(|extension| extension == "jsonl");
    let mut texts = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| failed(format!("line {}: {error}", at + 1)))?;
        if line.trim().is_empty() {
            continue;
        }
        texts.push(if is_jsonl {
            let parsed = serde_json::from_str(&line);
            let Line { text } = parsed.map_err(|error| failed(format!("line {}: {error}", at + 1)))?;
            text
        } else {
            line
        });
        if texts.len() == most {
            break;
        }
    }
    if texts.is_empty() {
        return Err(failed("has no text; write one per line".to_owned()));
    }
    Ok(texts)
}
