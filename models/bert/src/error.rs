//! What can go wrong between a model folder and a readable answer.
//!
//! Every message says what was being read, in which file, what was expected there and what to try, because the
//! reader of it usually did not write the folder.

use crate::weights::WeightProblems;
use std::path::{Path, PathBuf};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model folder is not there.
    #[error(
        "{path}: no such folder. A model is a folder with config.json, weights and a tokenizer; is the path right?"
    )]
    FolderMissing {
        /// The folder asked for.
        path: PathBuf,
    },

    /// The model path names a file.
    #[error("{path} is a file, a model is a folder: give the folder that holds config.json")]
    NotAFolder {
        /// The path asked for.
        path: PathBuf,
    },

    /// A file that the folder must have is not in it.
    #[error("{folder}: no {what}: looked for {}. {hint}", .tried.join(", "))]
    FileMissing {
        /// The folder searched.
        folder: PathBuf,
        /// What the file would hold.
        what: &'static str,
        /// The names looked for, in order.
        tried: Vec<String>,
        /// What to try.
        hint: &'static str,
    },

    /// A file is there and cannot be read.
    #[error("{path}: cannot be read: {source}. Check that it is a file and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A file is not UTF-8.
    #[error(
        "{path}: not UTF-8: invalid bytes at byte {valid_up_to} (line {line}). Is the file truncated, or saved in another encoding?"
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The first invalid byte.
        valid_up_to: usize,
        /// The line of that byte, from 1.
        line: usize,
    },

    /// A JSON file does not parse, or a field has another type than it must.
    #[error("{path}: {source}. Is the file complete? Fetch it again from where the model came")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },

    /// A setting that no BERT model can have.
    #[error("{path}: {field} is {found}, expected {expected}")]
    Config {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What the file says.
        found: String,
        /// What it must be.
        expected: String,
    },

    /// A setting that other software runs and this crate does not.
    #[error("{path}: {feature} is not supported; supported: {supported}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the file asks for.
        feature: String,
        /// What this crate does.
        supported: String,
    },

    /// A tokenizer file parses as text and describes no tokenizer.
    #[error("{path}: no tokenizer can be built from it: {reason}. {hint}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to try.
        hint: &'static str,
    },

    /// The tokenizer failed on a text.
    #[error("{path}: the tokenizer failed on a text of {bytes} bytes: {reason}")]
    Tokenize {
        /// The tokenizer's file.
        path: PathBuf,
        /// The length of the text.
        bytes: usize,
        /// What the tokenizer said.
        reason: String,
    },

    /// The tokenizer knows tokens that the model has no embedding for.
    #[error(
        "{tokenizer} gives token {token:?} the id {id}, and {config} says vocab_size = {vocab_size}: \
         is the tokenizer of another model?"
    )]
    TokenOutOfRange {
        /// The token.
        token: String,
        /// Its id.
        id: u32,
        /// The number of rows of the model's embedding.
        vocab_size: usize,
        /// The tokenizer's file.
        tokenizer: PathBuf,
        /// The model's config.
        config: PathBuf,
    },

    /// The tokenizer numbers more segments than the model has embeddings for.
    #[error(
        "{tokenizer} gives a token the segment {type_id}, and {config} says type_vocab_size = {type_vocab_size}: \
         this model does not take pairs of texts; give one text"
    )]
    SegmentOutOfRange {
        /// The segment.
        type_id: u32,
        /// The number of segments that the model knows.
        type_vocab_size: usize,
        /// The tokenizer's file.
        tokenizer: PathBuf,
        /// The model's config.
        config: PathBuf,
    },

    /// A maximal length outside what the model and its special tokens allow.
    #[error(
        "max_length is {requested}, expected {smallest} (the special tokens) to {largest} \
         (max_position_embeddings of {config})"
    )]
    MaxLength {
        /// The length asked for.
        requested: usize,
        /// The least that holds the special tokens.
        smallest: usize,
        /// The most that the model has positions for.
        largest: usize,
        /// The model's config.
        config: PathBuf,
    },

    /// Logits of another shape than the labels and tokens ask for.
    #[error(
        "{found} logits for {rows} rows of {labels} labels, expected {}: are these the logits of this model and text?",
        .rows.saturating_mul(*.labels)
    )]
    LogitsLength {
        /// The number of logits given.
        found: usize,
        /// The rows expected: tokens, or 1 for a text's class.
        rows: usize,
        /// The labels of the model.
        labels: usize,
    },

    /// A logit that is not a number, or plus infinity: no score follows from it.
    #[error(
        "the logit of {label:?} in row {row} is {value}: the weights or the computation overflowed; \
         try --dtype f32, and compare with the reference backend"
    )]
    NotFinite {
        /// The row: the token, or 0 for a text's class.
        row: usize,
        /// The label.
        label: String,
        /// The logit.
        value: f64,
    },

    /// Entities asked of an encoding of another text.
    #[error(
        "token {token} covers characters {start}..{end} of a text of {characters} characters: \
         is this the text that was encoded?"
    )]
    OffsetsOutsideText {
        /// The token.
        token: usize,
        /// Its first character.
        start: usize,
        /// One past its last character.
        end: usize,
        /// The length of the text.
        characters: usize,
    },

    /// Entities asked of a pair of texts.
    #[error("entities are extracted from one text, and this encoding is of a pair: encode each text alone")]
    EntitiesOfPair,

    /// A name that is none of the known ones.
    #[error("unknown {what} {found:?}, expected one of: {expected}")]
    UnknownName {
        /// What the name would name.
        what: &'static str,
        /// The name given.
        found: String,
        /// The known names.
        expected: &'static str,
    },

    /// Weights that are not what the config asks for.
    #[error("{path}: {problems}")]
    Weights {
        /// The file of weights, or the index of its shards.
        path: PathBuf,
        /// Every tensor that is missing or does not fit.
        problems: WeightProblems,
    },

    /// A text without a token of its own.
    #[error("{which} is empty: it holds no token to read; leave it out, or give it a word")]
    EmptyText {
        /// Which one: the text, or one of a pair.
        which: &'static str,
    },

    /// A text of a list, by its place, and what is wrong with it.
    #[error("text {number}: {source}")]
    Text {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        source: Box<Error>,
    },

    /// A dtype that the device does not compute in.
    #[error(
        "{device} does not compute in {requested}; it has {}",
        .available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    DTypeOfDevice {
        /// The device.
        device: String,
        /// The dtype asked for.
        requested: lockstep_graph::DType,
        /// What it computes in.
        available: Vec<lockstep_graph::DType>,
    },

    /// A session that cannot be built, or a run that failed.
    #[error(transparent)]
    Session(#[from] lockstep_runtime::Error),

    /// A file of weights that cannot be read.
    #[error(transparent)]
    Tensor(#[from] lockstep_graph::tensor::Error),

    /// A graph that cannot be built.
    #[error(transparent)]
    Graph(lockstep_graph::Error),
}

impl From<lockstep_graph::Error> for Error {
    /// An error of a tensor is the same wherever it was met.
    fn from(error: lockstep_graph::Error) -> Self {
        match error {
            lockstep_graph::Error::Tensor(error) => Self::Tensor(error),
            error => Self::Graph(error),
        }
    }
}

impl Error {
    pub(crate) fn config(
        path: &Path,
        field: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Config {
            path: path.to_owned(),
            field: field.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    pub(crate) fn unsupported(path: &Path, feature: impl Into<String>, supported: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), feature: feature.into(), supported: supported.into() }
    }
}
