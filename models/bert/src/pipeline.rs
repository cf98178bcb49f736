//! Texts in, answers out: a model folder, its tokenizer and a session on one device, as one thing.
//!
//! Two steps, so that a caller who streams can tell a bad text from a bad run: [`TextModel::encode`] looks at one text and
//! costs no device time, [`TextModel::run`] takes a batch of encoded ones. [`TextModel::predict`] is both. A batch is
//! padded to its longest text here; whether padding costs anything is the session's affair, which packs it away on devices
//! that prefer so. Answers do not depend on what else is in the batch.
//!
//! A text without any token of its own (empty, only spaces, only control characters) is refused with
//! [`Error::EmptyText`]: a model gives it an answer, and the answer means nothing.

mod batch;
mod prediction;

pub use prediction::{Answer, Embedding, EmbeddingSource, Prediction};

use crate::architecture::Head;
use crate::entities::{Aggregation, EntityOptions};
use crate::error::{Error, Result};
use crate::model::{BertModel, LoadOptions};
use crate::tokenizer::{Encoding, Text};
use batch::PaddedBatch;
use lockstep_graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Packing, RunOptions, Session};
use prediction::Rows;
use std::path::Path;
use std::sync::Arc;

/// How a [`TextModel`] reads texts and computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextOptions {
    /// The dtype to compute in; by default the device's own choice.
    pub dtype: Option<DType>,
    /// Whether sequences are packed; by default where the device prefers it.
    pub packing: Packing,
    /// The most tokens of a text, special tokens included; by default the folder's limit.
    pub max_length: Option<usize>,
    /// How token labels become entities. By default [`Aggregation::Simple`], since a reader wants whole entities; the
    /// default of [`EntityOptions`] is transformers' own.
    pub entities: EntityOptions,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            dtype: None,
            packing: Packing::Auto,
            max_length: None,
            entities: EntityOptions { aggregation: Aggregation::Simple, ..EntityOptions::default() },
        }
    }
}

/// A model of the BERT family, ready for texts on one device. `Send + Sync`: share it behind an [`Arc`].
///
/// ```no_run
/// # fn example(device: std::sync::Arc<dyn lockstep_runtime::Device>) -> lockstep_bert::Result<()> {
/// use lockstep_bert::{TextModel, TextOptions};
///
/// let model = TextModel::open("models/bert-small/document-classifier".as_ref(), device, TextOptions::default())?;
/// for prediction in model.predict(&["兹证明王伟系我单位员工".into()])? {
///     println!("{:?}", prediction.answer);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TextModel {
    model: BertModel,
    session: Session,
    entities: EntityOptions,
}

/// A text and its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedText<'a> {
    text: Text<'a>,
    encoding: Encoding,
}

impl EncodedText<'_> {
    /// Its tokens, and whether any were cut off.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }
}

impl TextModel {
    /// Loads a folder with its tokenizer, and prepares its graph for a device.
    ///
    /// # Errors
    /// [`Error::DTypeOfDevice`] for a dtype that the device does not compute in; those of [`BertModel::load`] and
    /// [`BertModel::tokenizer`]; [`Error::Session`] with every node that the device refuses.
    pub fn open(folder: &Path, device: Arc<dyn Device>, options: TextOptions) -> Result<Self> {
        let info = device.info();
        let dtype = options.dtype.unwrap_or(info.default_dtype);
        if !info.dtypes.contains(&dtype) {
            return Err(Error::DTypeOfDevice {
                device: info.id.clone(),
                requested: dtype,
                available: info.dtypes.clone(),
            });
        }
        let model = BertModel::load(folder, LoadOptions { dtype, max_length: options.max_length })?;
        model.tokenizer()?;
        // The clone shares every weight.
        let graph = model.graph().clone();
        let session = Session::builder(graph).device(device).packing(options.packing).build()?;
        Ok(Self { model, session, entities: options.entities })
    }

    /// The folder's model.
    pub fn model(&self) -> &BertModel {
        &self.model
    }

    /// The session that runs it.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The tokens of a text, cut to the limit; [`Encoding::truncated`] says whether.
    ///
    /// # Errors
    /// [`Error::EmptyText`]; [`Error::EntitiesOfPair`] for a pair where the head is
    /// [`Head::TokenClassification`]; those of [`BertModel::encode`].
    pub fn encode<'a>(&self, text: impl Into<Text<'a>>) -> Result<EncodedText<'a>> {
        let text = text.into();
        if matches!((self.model.head(), text), (Head::TokenClassification, Text::Pair(..))) {
            return Err(Error::EntitiesOfPair);
        }
        let parts: &[(&str, &'static str)] = match text {
            Text::Single(text) => &[(text, "the text")],
            Text::Pair(first, second) => {
                &[(first, "the first text of the pair"), (second, "the second text of the pair")]
            }
        };
        let blank = |(text, which): &(&str, &'static str)| text.trim().is_empty().then_some(*which);
        if let Some(which) = parts.iter().find_map(blank) {
            return Err(Error::EmptyText { which });
        }
        let encoding = self.model.encode(text)?;
        // What is cut off may be all that a text had; what is not cut off and not there never was.
        if encoding.truncated.is_none() {
            let absent = |at: &usize| !encoding.sequence_ids.contains(&Some(*at));
            if let Some(at) = (0..parts.len()).find(absent) {
                return Err(Error::EmptyText { which: parts[at].1 });
            }
        }
        Ok(EncodedText { text, encoding })
    }

    /// What the graph is given for a batch, by input: each i64 `[texts, longest]`, padded to the longest text.
    ///
    /// # Errors
    /// A batch beyond this machine's address space.
    pub fn inputs(&self, texts: &[EncodedText<'_>]) -> Result<[(&'static str, HostTensor); 3]> {
        let encodings: Vec<&Encoding> = texts.iter().map(|text| &text.encoding).collect();
        let batch = PaddedBatch::new(&encodings, self.padding_id())?;
        Ok(batch.inputs().map(|(name, tensor)| (name, tensor.clone())))
    }

    /// Runs a batch, padded to its longest text; one prediction per text, in order. No texts give no predictions.
    ///
    /// # Errors
    /// [`Error::Session`] for a run that failed; [`Error::Text`] with the number of the first text whose logits are no
    /// answer ([`Error::NotFinite`]).
    pub fn run(&self, texts: &[EncodedText<'_>]) -> Result<Vec<Prediction>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let encodings: Vec<&Encoding> = texts.iter().map(|text| &text.encoding).collect();
        let batch = PaddedBatch::new(&encodings, self.padding_id())?;
        let output = self.model.head().output();
        let result = self.session.run_with(&batch.inputs(), &RunOptions::new().outputs(&[output]))?;
        let rows = Rows::of(result.output(output)?, texts.len())?;
        (texts.iter().enumerate())
            .map(|(at, text)| {
                let answer = self.answer(text, rows.row(at));
                let answer =
                    answer.map_err(|error| Error::Text { number: at + 1, source: Box::new(error) })?;
                let Encoding { truncated, .. } = text.encoding;
                Ok(Prediction { answer, tokens: text.encoding.len(), truncated })
            })
            .collect()
    }

    /// Encodes texts and runs them as one batch; one prediction per text, in order.
    ///
    /// # Errors
    /// [`Error::Text`] with the number of the first bad text; those of [`TextModel::run`].
    pub fn predict(&self, texts: &[Text<'_>]) -> Result<Vec<Prediction>> {
        let encoded = texts.iter().enumerate().map(|(at, &text)| {
            self.encode(text).map_err(|error| Error::Text { number: at + 1, source: Box::new(error) })
        });
        self.run(&encoded.collect::<Result<Vec<_>>>()?)
    }

    /// What stands where a text has no token; any valid id will do, since the mask leaves it out.
    fn padding_id(&self) -> u32 {
        let config = self.model.config();
        let in_table = |id: &u32| usize::try_from(*id).is_ok_and(|id| id < config.vocab_size);
        config.pad_token_id.filter(in_table).unwrap_or(0)
    }
}
