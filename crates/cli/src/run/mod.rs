//! `lockstep run`: texts in, answers out.

mod lines;
mod progress;
mod record;
mod stream;
mod tensors;
mod texts;

use crate::arguments::{self, DeviceArguments};
use crate::backends;
use crate::failure::{Failure, Outcome, say};
use crate::output::Output;
use clap::{Args, ValueEnum};
use lockstep_bert::{Aggregation, EntityOptions, Error, TextModel, TextOptions};
use std::path::{Path, PathBuf};
use tensors::TensorArguments;

/// A model, where it runs, and texts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep run models/bert-small/field-extractor --text \"借款人李娜，借款金额人民币500000.00元\"
  lockstep run MODEL --text \"a question\" --pair \"its paragraph\" --device candle
  lockstep run MODEL --file documents.jsonl > answers.jsonl
  cat documents.txt | lockstep run MODEL -
  lockstep run MODEL --inputs batch --save outputs --repeat 100

A file has one text per line (.txt), or one object per line (.jsonl): {\"text\": .., \"text_pair\": .., \"id\": ..}, of \
which only \"text\" must be there and \"id\" is handed on. Answers are JSON Lines, in the order of the file, each with \
its line number. A line that is no text is reported with its number and left out; the exit code is then 1. With --inputs the \
model runs on tensors, without its tokenizer, and --save keeps the outputs as they are.")]
pub(crate) struct RunArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// `-` to read texts from standard input, or a file as with --file
    #[arg(value_name = "INPUT", conflicts_with_all = ["text", "file"])]
    input: Option<PathBuf>,
    /// A text; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file")]
    text: Vec<String>,
    /// The second text of a pair; once for each --text, in order
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, requires = "text")]
    pair: Vec<String>,
    /// A file of texts, of any length; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How a file holds its texts [default: by its name; of standard input, by its first character]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    device: DeviceArguments,
    /// How many texts run at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = arguments::texts)]
    batch: usize,
    /// The most tokens of a text, special ones included; longer texts are cut, and said to be [default: the model's]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// How token labels become entities: none, simple, first, average or max [default: simple]
    #[arg(long, value_name = "HOW", value_parser = aggregation)]
    aggregation: Option<Aggregation>,
    #[command(flatten)]
    tensors: TensorArguments,
}

/// How a file holds its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One text per line
    Txt,
    /// One JSON object per line, its text under "text"
    Jsonl,
}

fn aggregation(name: &str) -> Result<Aggregation, String> {
    name.parse().map_err(|error: Error| error.to_string())
}

/// Answers the texts of the command line, or of a file.
pub(crate) fn run(arguments: &RunArguments, output: &mut Output) -> Outcome {
    if !arguments.tensors.inputs.is_empty() {
        return tensors::run(&arguments.model, &arguments.device, &arguments.tensors, output);
    }
    let file = arguments.file.as_deref().or(arguments.input.as_deref());
    if file.is_none() && arguments.text.is_empty() {
        let what = "nothing to run; give --text TEXT, --file FILE, or - to read standard input";
        return Err(Failure::Usage(what.to_owned()));
    }
    let (texts, pairs) = (arguments.text.len(), arguments.pair.len());
    if pairs != 0 && pairs != texts {
        let what = format!("{texts} --text and {pairs} --pair; give one --pair for each --text, or none");
        return Err(Failure::Usage(what));
    }
    // The input first: a file that is not there should not wait for a model to load.
    let source = file.map(|path| stream::Source::open(path, arguments.format)).transpose()?;
    let model = open(arguments)?;
    match source {
        Some(source) => stream::run(&model, source, arguments.batch, output),
        None => texts::run(&model, &arguments.text, &arguments.pair, arguments.batch, output),
    }
}

fn open(arguments: &RunArguments) -> Outcome<TextModel> {
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    let device = backends::open(device, *threads)?;
    let mut options =
        TextOptions { dtype: *dtype, max_length: arguments.max_length, ..TextOptions::default() };
    if let Some(aggregation) = arguments.aggregation {
        options.entities = EntityOptions { aggregation, ..options.entities };
    }
    let model = TextModel::open(&arguments.model, device, options).map_err(|error| match error {
        Error::MaxLength { .. } if arguments.max_length.is_some() => Failure::Usage(format!("--{error}")),
        error => error.into(),
    })?;
    warn(&arguments.model, model.model().warnings());
    Ok(model)
}

/// What is odd about a folder, on standard error.
pub(crate) fn warn(folder: &Path, warnings: &[String]) {
    for warning in warnings {
        say("warning", format_args!("{}: {warning}", folder.display()));
    }
}
