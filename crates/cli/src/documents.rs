//! Documents as a BERT reads them: what an acceptance runs on, and what a golden pack keeps for one.

use crate::arguments;
use crate::failure::{Failure, Outcome, with_causes};
use clap::Args;
use lockstep_bert::{
    BertModel, EncodedText, EntityOptions, Head, LoadOptions, TextModel, TextOptions, extract_entities,
};
use lockstep_conformance::accept::{Field, Kind, Task, TaskError, TestSet};
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Session};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Compiled programs of all lengths stay, so that no latency is that of a compilation.
const CACHE_BYTES: usize = 4 << 30;
/// Documents that run together unless told otherwise.
pub(crate) const BATCH: usize = 32;

/// How documents are run and measured.
#[derive(Debug, Args)]
pub(crate) struct DocumentArguments {
    /// Take only the first N documents of the file
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Documents that run together, also when throughput is measured [default: 32, or the pack's]
    #[arg(long, value_name = "N", requires = "data", value_parser = arguments::texts)]
    pub(crate) batch: Option<usize>,
    /// How long each of throughput and latency is measured on each device
    #[arg(long, value_name = "SECONDS", default_value = "2", requires = "data", value_parser = arguments::seconds)]
    seconds: f64,
}

impl DocumentArguments {
    /// The file's documents, as many as are asked for.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is no document.
    pub(crate) fn read(&self, file: &Path) -> Outcome<TestSet> {
        let limit = self.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(TestSet::read(file, limit)?)
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// A model's graph in a dtype, ready on a device to be run at any length and timed.
///
/// # Errors
/// A dtype that the device lacks, a model that cannot be loaded, nodes that the device refuses.
pub(crate) fn session(folder: &Path, device: Arc<dyn Device>, dtype: DType) -> Outcome<(BertModel, Session)> {
    let info = device.info();
    if !info.dtypes.contains(&dtype) {
        let known: Vec<String> = info.dtypes.iter().map(DType::to_string).collect();
        let what = format!("{} does not compute in {dtype}; it does in {}", info.id, known.join(", "));
        return Err(Failure::Usage(what));
    }
    let model = BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() })?;
    let builder = Session::builder(model.graph().clone()).device(device).cache_bytes(CACHE_BYTES);
    let session = builder.build().map_err(Failure::of_compared)?;
    Ok((model, session))
}

/// A tokenizer and a head, whatever device runs what is between them.
///
/// # Errors
/// As [`session`].
pub(crate) fn reader(folder: &Path, device: Arc<dyn Device>, dtype: DType) -> Outcome<TextModel> {
    let options = TextOptions { dtype: Some(dtype), ..TextOptions::default() };
    TextModel::open(folder, device, options).map_err(|error| match error {
        lockstep_bert::Error::Session(error) => Failure::of_compared(error),
        other => other.into(),
    })
}

/// Documents with their tokens, read by a model's tokenizer and answered through its head.
#[derive(Debug)]
pub(crate) struct Documents<'a> {
    reader: &'a TextModel,
    set: &'a TestSet,
    encoded: Vec<EncodedText<'a>>,
    tokens: Vec<Vec<Option<(usize, usize)>>>,
    labels: Vec<String>,
    entities: EntityOptions,
}

impl<'a> Documents<'a> {
    /// Tokenizes every document.
    ///
    /// # Errors
    /// A document without tokens, named by file and line.
    pub(crate) fn new(reader: &'a TextModel, set: &'a TestSet) -> Outcome<Self> {
        let encode = |document: &'a lockstep_conformance::accept::Document| {
            reader.encode(&document.text).map_err(|error| {
                let place = format!("{}, line {}", set.path.display(), document.line);
                Failure::Failed(format!("{place}: {}", with_causes(&error)))
            })
        };
        let encoded = set.documents.iter().map(encode).collect::<Outcome<Vec<_>>>()?;
        let places = |text: &EncodedText<'_>| {
            let encoding = text.encoding();
            let each = encoding.offsets.iter().zip(&encoding.special_mask);
            each.map(|(place, special)| (!special).then_some(*place)).collect()
        };
        Ok(Self {
            tokens: encoded.iter().map(places).collect(),
            encoded,
            reader,
            set,
            labels: reader.model().config().labels.iter().map(str::to_owned).collect(),
            entities: TextOptions::default().entities,
        })
    }

    /// What a reader has to know of how the documents were read.
    pub(crate) fn notes(&self) -> Vec<String> {
        let cut: Vec<usize> = (self.encoded.iter().zip(&self.set.documents))
            .filter(|(text, _)| text.encoding().truncated.is_some())
            .map(|(_, document)| document.line)
            .collect();
        let Some(first) = cut.first() else { return Vec::new() };
        vec![format!(
            "{} documents are longer than the model reads, the first in line {first}: only their beginnings were compared",
            cut.len()
        )]
    }
}

impl Task for Documents<'_> {
    fn kind(&self) -> Kind {
        match self.reader.model().head() {
            Head::SequenceClassification { .. } => Kind::Class,
            Head::TokenClassification => Kind::Tags,
            _ => Kind::Vector,
        }
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn output(&self) -> &str {
        self.reader.model().head().output()
    }

    fn inputs(&self, documents: &[usize]) -> Result<Vec<(&'static str, HostTensor)>, TaskError> {
        let texts: Vec<EncodedText<'_>> = documents.iter().map(|&at| self.encoded[at].clone()).collect();
        self.reader.inputs(&texts).map(Vec::from).map_err(|error| TaskError(with_causes(&error)))
    }

    fn tokens(&self, document: usize) -> &[Option<(usize, usize)>] {
        &self.tokens[document]
    }

    fn fields(&self, document: usize, logits: &[f64]) -> Result<Vec<Field>, TaskError> {
        let model = self.reader.model();
        let said = |error: lockstep_bert::Error| {
            let place = format!("{}, line {}", self.set.path.display(), self.set.documents[document].line);
            TaskError(format!("{place}: {}", with_causes(&error)))
        };
        let found = extract_entities(
            logits,
            &self.set.documents[document].text,
            self.encoded[document].encoding(),
            model.tokenizer().map_err(said)?,
            &model.config().labels,
            &self.entities,
        );
        let entities = found.map_err(said)?.into_iter();
        Ok(entities.map(|it| Field { kind: it.label, start: it.start, end: it.end }).collect())
    }
}
