//! What a comparison runs on: texts, recorded inputs or random tokens; or a repro pack.

use crate::arguments;
use crate::failure::{Failure, Outcome, say};
use crate::run::warn;
use crate::tokens::{SplitMix64, TokenBatch};
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions, TextModel, TextOptions};
use lockstep_conformance::inputs::{self, Inputs};
use lockstep_conformance::repro::{Finding, Pack};
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
    /// A folder with the model's inputs: NAME.npy, NAME.pb or ONNX's input_0.pb, .. for each, or an inputs.safetensors
    #[arg(long, value_name = "DIR", conflicts_with_all = ["text", "file"])]
    inputs: Option<PathBuf>,
    /// A file of texts: one per line (.txt), or objects with a "text" (.jsonl)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How many texts of the file to take, from its start
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = arguments::texts)]
    texts: usize,
}

impl TextArguments {
    /// Whether nothing was given.
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.file.is_none() && self.inputs.is_none()
    }
}

/// A graph with its inputs.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) graph: Graph,
    /// The dtype that the graph computes in.
    pub(crate) dtype: DType,
    pub(crate) described: String,
    tensors: Vec<(String, HostTensor)>,
    /// The pack that all this is from, where it is from one.
    pub(crate) pack: Option<Pack>,
}

impl Given {
    /// A model's graph in a dtype, by default the device's own, with inputs from files, texts or, without any, random tokens; or
    /// a repro pack's graph with its own.
    pub(crate) fn load(
        folder: &Path,
        dtype: Option<DType>,
        device: Arc<dyn Device>,
        arguments: &TextArguments,
    ) -> Outcome<Self> {
        if Pack::is_at(folder) {
            return Self::pack(folder, dtype, arguments);
        }
        let info = device.info();
        let dtype = dtype.unwrap_or(info.default_dtype);
        if !info.dtypes.contains(&dtype) {
            let known: Vec<String> = info.dtypes.iter().map(DType::to_string).collect();
            let what = format!("{} does not compute in {dtype}; it does in {}", info.id, known.join(", "));
            return Err(Failure::Usage(what));
        }
        if let Some(inputs) = &arguments.inputs {
            return Self::files(folder, dtype, inputs);
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
            tensors: model.inputs(&encoded)?.map(|(name, tensor)| (name.to_owned(), tensor)).to_vec(),
            pack: None,
        })
    }

    /// Inputs that someone has recorded.
    fn files(folder: &Path, dtype: DType, inputs: &Path) -> Outcome<Self> {
        let model = BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() })?;
        warn(folder, model.warnings());
        let Inputs { tensors, remarks } =
            inputs::read(inputs, model.graph()).map_err(|error| Failure::of(&error))?;
        remarks.iter().for_each(|remark| say("note", remark));
        let graph = model.graph().clone();
        Ok(Self { graph, dtype, described: format!("inputs from {}", inputs.display()), tensors, pack: None })
    }

    /// One op with its operands, as a pack has them.
    fn pack(folder: &Path, dtype: Option<DType>, arguments: &TextArguments) -> Outcome<Self> {
        if dtype.is_some() || !arguments.is_empty() {
            let what =
                "a repro pack has its own inputs and dtypes; leave --dtype, --text, --file and --inputs out";
            return Err(Failure::Usage(what.to_owned()));
        }
        let pack = Pack::open(folder)?;
        pack.remarks().iter().for_each(|remark| say("note", remark));
        let described = pack.finding().map_or_else(|| "the inputs of the pack".to_owned(), Finding::in_words);
        let (graph, tensors) = (pack.graph().clone(), pack.inputs().to_vec());
        Ok(Self { graph, dtype: pack.dtype(), described, tensors, pack: Some(pack) })
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
            tensors: batch.inputs().map(|(name, tensor)| (name.to_owned(), tensor.clone())).to_vec(),
            pack: None,
        })
    }

    /// The inputs by name.
    pub(crate) fn inputs(&self) -> Vec<(&str, &HostTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
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
