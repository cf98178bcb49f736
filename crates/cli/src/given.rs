//! What a comparison runs on: a model with texts, tensors from files or random tokens; or a repro pack, which brings its own.

use crate::arguments;
use crate::failure::{Failure, Outcome, say};
use crate::run::warn;
use crate::tokens::{SplitMix64, TokenBatch};
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions, TextModel, TextOptions};
use lockstep_conformance::inputs;
use lockstep_conformance::repro::Pack;
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

/// What to run a model on.
#[derive(Debug, Args)]
pub(crate) struct InputArguments {
    /// A text; may be given several times [default: random tokens, the same in every run]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    text: Vec<String>,
    /// A file of texts: one per line (.txt), or objects with a "text" (.jsonl)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A folder with a file for each input of the graph: NAME.npy, NAME.pb, ONNX's input_0.pb, .. or an inputs.safetensors
    #[arg(long, value_name = "DIR", conflicts_with_all = ["text", "file"])]
    inputs: Option<PathBuf>,
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
    /// The pack that it is from, if it is from one.
    pub(crate) pack: Option<Pack>,
    tensors: Vec<(String, HostTensor)>,
}

impl Given {
    /// A model's graph in a dtype, by default the device's own, with texts, inputs from files or, without any, random tokens.
    /// Of a repro pack the graph and the inputs that it holds.
    pub(crate) fn load(
        folder: &Path,
        dtype: Option<DType>,
        device: Arc<dyn Device>,
        arguments: &InputArguments,
    ) -> Outcome<Self> {
        if Pack::is_at(folder) {
            return Self::of_pack(folder, dtype, arguments);
        }
        let info = device.info();
        let dtype = dtype.unwrap_or(info.default_dtype);
        if !info.dtypes.contains(&dtype) {
            let known: Vec<String> = info.dtypes.iter().map(DType::to_string).collect();
            let what = format!("{} does not compute in {dtype}; it does in {}", info.id, known.join(", "));
            return Err(Failure::Usage(what));
        }
        if let Some(inputs) = &arguments.inputs {
            return Self::from_files(folder, dtype, inputs);
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
            pack: None,
            tensors: named(model.inputs(&encoded)?),
        })
    }

    /// The graph and the inputs of a pack, as they are.
    fn of_pack(folder: &Path, dtype: Option<DType>, arguments: &InputArguments) -> Outcome<Self> {
        if dtype.is_some() || arguments.are_given() {
            let what = format!(
                "{} is a repro pack and brings its inputs, in the dtype in which the op was guilty; leave --dtype, \
                 --text, --file and --inputs out",
                folder.display()
            );
            return Err(Failure::Usage(what));
        }
        let pack = Pack::open(folder)?;
        pack.remarks().iter().for_each(|remark| say("note", remark));
        let described = match pack.finding() {
            Some(finding) => format!("{} of {}: {}", finding.node, finding.model, finding.in_words()),
            None => "the inputs beside the model".to_owned(),
        };
        let (graph, tensors) = (pack.graph().clone(), pack.inputs().to_vec());
        Ok(Self { graph, dtype: pack.dtype(), described, pack: Some(pack), tensors })
    }

    /// A model's graph on tensors that someone recorded.
    fn from_files(folder: &Path, dtype: DType, files: &Path) -> Outcome<Self> {
        let model = BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() })?;
        warn(folder, model.warnings());
        let read = inputs::read(files, model.graph()).map_err(|error| Failure::of(&error))?;
        read.remarks.iter().for_each(|remark| say("note", remark));
        Ok(Self {
            graph: model.graph().clone(),
            dtype,
            described: format!("{} inputs from {}", read.tensors.len(), files.display()),
            pack: None,
            tensors: read.tensors,
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
            pack: None,
            tensors: named(batch.inputs().map(|(name, tensor)| (name, tensor.clone()))),
        })
    }

    /// The inputs by name.
    pub(crate) fn inputs(&self) -> Vec<(&str, &HostTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
    }
}

impl InputArguments {
    /// Whether anything is asked for.
    fn are_given(&self) -> bool {
        !self.text.is_empty() || self.file.is_some() || self.inputs.is_some()
    }
}

fn named<const N: usize>(tensors: [(&str, HostTensor); N]) -> Vec<(String, HostTensor)> {
    tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
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
