//! Text to token ids, with where each token came from.
//!
//! The work is the `tokenizers` crate's; this module decides what it is asked to do. Truncation and padding saved in
//! a `tokenizer.json` are leftovers of whoever saved it, so they are dropped: texts are cut here, where the caller can
//! be told, and nothing is padded, because the runtime packs sequences of unequal length.

mod settings;
mod template;
mod wordpiece;

use crate::config::BertConfig;
use crate::error::{Error, Result};
use crate::folder::{TokenizerFiles, read_text};
use settings::Settings;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::tokenizer::{Decoder, PostProcessor};
use tokenizers::{
    ModelWrapper, TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
};

/// A text, or two that the model reads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// One text.
    Single(&'a str),
    /// Two texts, such as a question and a paragraph.
    Pair(&'a str, &'a str),
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Single(text)
    }
}

impl<'a> From<&'a String> for Text<'a> {
    fn from(text: &'a String) -> Self {
        Self::Single(text)
    }
}

impl<'a> From<(&'a str, &'a str)> for Text<'a> {
    fn from((first, second): (&'a str, &'a str)) -> Self {
        Self::Pair(first, second)
    }
}

impl Text<'_> {
    fn bytes(self) -> usize {
        match self {
            Self::Single(text) => text.len(),
            Self::Pair(first, second) => first.len().saturating_add(second.len()),
        }
    }
}

/// The tokens of a text; all lists have one entry per token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, each below the model's `vocab_size`.
    pub ids: Vec<u32>,
    /// Segments: 0, or 1 for the second text of a pair; each below the model's `type_vocab_size`.
    pub type_ids: Vec<u32>,
    /// First character and one past the last in the token's own text, counted in Unicode scalar values as Python counts
    /// them; `(0, 0)` for tokens that the template adds.
    pub offsets: Vec<(usize, usize)>,
    /// The word that the token is part of, counted per text; `None` for tokens that the template adds.
    pub word_ids: Vec<Option<u32>>,
    /// The text that the token is of, 0 or 1; `None` for tokens that the template adds.
    pub sequence_ids: Vec<Option<usize>>,
    /// Whether the template added the token (`[CLS]`, `[SEP]`).
    pub special_mask: Vec<bool>,
    /// What was cut off, if anything.
    pub truncated: Option<Truncation>,
}

impl Encoding {
    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all: only a tokenizer without a template gives this, for an empty text.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A text was longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    /// The tokens that the whole text has, special tokens included.
    pub tokens: usize,
    /// The tokens that were kept at most.
    pub limit: usize,
}

/// The tokenizer of one model folder.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    config: PathBuf,
    vocab_size: usize,
    type_vocab_size: usize,
    max_position_embeddings: usize,
    max_length: usize,
    direction: TruncationDirection,
    unknown_id: Option<u32>,
}

impl Tokenizer {
    /// Loads `tokenizer.json`, or else builds BERT's WordPiece tokenizer from `vocab.txt` and `tokenizer_config.json`.
    ///
    /// Where `tokenizer_config.json` names `BertTokenizer`, its casing and accents win over those in `tokenizer.json`,
    /// as in transformers.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Encoding`], [`Error::Json`] for files that cannot be read; [`Error::Tokenizer`] for a
    /// `tokenizer.json` or `vocab.txt` that is no tokenizer; [`Error::Config`] and [`Error::Unsupported`] for settings.
    pub fn load(files: &TokenizerFiles, config: &BertConfig) -> Result<Self> {
        let settings = Settings::read(files)?;
        let (mut inner, path) = match (&files.tokenizer_json, &files.vocab) {
            (Some(json), _) => (from_json(json, &settings)?, json.clone()),
            (None, Some(vocab)) => (wordpiece::from_vocab(vocab, &settings)?, vocab.clone()),
            (None, None) => {
                return Err(Error::FileMissing {
                    folder: config.source.parent().map(Path::to_owned).unwrap_or_default(),
                    what: "tokenizer",
                    tried: ["tokenizer.json", "vocab.txt"].map(String::from).to_vec(),
                    hint: "Copy the tokenizer of the model that this one was trained from into the folder",
                });
            }
        };
        if settings.lowercases_first {
            lowercase_first(&mut inner).map_err(|error| unusable(&path, error))?;
        }
        let max_length = settings
            .max_length
            .map_or(config.max_position_embeddings, |l| l.min(config.max_position_embeddings));
        let tokenizer = Self {
            unknown_id: inner.token_to_id(&settings.special.unknown),
            inner,
            path,
            config: config.source.clone(),
            vocab_size: config.vocab_size,
            type_vocab_size: config.type_vocab_size,
            max_position_embeddings: config.max_position_embeddings,
            max_length,
            direction: if settings.truncates_left {
                TruncationDirection::Left
            } else {
                TruncationDirection::Right
            },
        };
        tokenizer.limit(tokenizer.template_tokens(false), None)?;
        Ok(tokenizer)
    }

    /// The most tokens that [`Tokenizer::encode`] keeps unless told otherwise: the folder's `model_max_length` (or
    /// sentence-transformers' `max_seq_length`), at most `max_position_embeddings`.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Tokenizes a text, or a pair with its segments, and adds the special tokens.
    ///
    /// A text longer than `max_length` (by default [`Tokenizer::max_length`]) is cut to it, of a pair the longer text
    /// first; [`Encoding::truncated`] then says so. The empty text is `[CLS] [SEP]`. Time is linear in the text.
    ///
    /// # Errors
    /// * [`Error::MaxLength`]: `max_length` beyond the model's positions, or too short for the special tokens;
    /// * [`Error::TokenOutOfRange`], [`Error::SegmentOutOfRange`]: the tokenizer and the config do not fit each other;
    /// * [`Error::Tokenize`]: the tokenizer gave up, such as on an unknown word when it has no unknown token.
    pub fn encode<'a>(&self, text: impl Into<Text<'a>>, max_length: Option<usize>) -> Result<Encoding> {
        let text = text.into();
        let failed = |error: tokenizers::Error| Error::Tokenize {
            path: self.path.clone(),
            bytes: text.bytes(),
            reason: error.to_string(),
        };
        // Each text by itself and without special tokens first: only so is the untruncated length known.
        let alone = |text: &str| guarded(|| self.inner.encode_char_offsets(text, false)).map_err(failed);
        let (first, second) = match text {
            Text::Single(text) => (alone(text)?, None),
            Text::Pair(first, second) => (alone(first)?, Some(alone(second)?)),
        };
        let template_tokens = self.template_tokens(second.is_some());
        let limit = self.limit(template_tokens, max_length)?;
        let tokens = first.len() + second.as_ref().map_or(0, |second| second.len()) + template_tokens;
        let params = TruncationParams {
            direction: self.direction,
            max_length: limit - template_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        let (mut first, mut second) = truncate_encodings(first, second, &params).map_err(failed)?;
        // The cut-off parts would go through the template too, for a pair each with each.
        first.take_overflowing();
        second.as_mut().map(tokenizers::Encoding::take_overflowing);
        let whole = guarded(|| self.inner.post_process(first, second, true)).map_err(failed)?;
        self.check_ranges(&whole)?;
        let special_mask: Vec<bool> = whole.get_special_tokens_mask().iter().map(|&mask| mask != 0).collect();
        // Encoded alone, a second text takes itself for the first and hides the first's tokens; they are those that are
        // left over.
        let of_first = |special: bool| (!special).then_some(0);
        let sequence_ids = whole.get_sequence_ids().into_iter().zip(&special_mask);
        Ok(Encoding {
            ids: whole.get_ids().to_vec(),
            type_ids: whole.get_type_ids().to_vec(),
            offsets: whole.get_offsets().to_vec(),
            word_ids: whole.get_word_ids().to_vec(),
            sequence_ids: sequence_ids.map(|(id, &special)| id.or_else(|| of_first(special))).collect(),
            special_mask,
            truncated: (tokens > limit).then_some(Truncation { tokens, limit }),
        })
    }

    /// The token with this id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of this token.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The id that stands for words outside the vocabulary.
    pub fn unknown_id(&self) -> Option<u32> {
        self.unknown_id
    }

    /// Joins tokens to readable text, as transformers' `convert_tokens_to_string` does.
    ///
    /// # Errors
    /// [`Error::Tokenize`] when the tokenizer's decoder gives up.
    pub fn join_tokens(&self, tokens: Vec<String>) -> Result<String> {
        let Some(decoder) = self.inner.get_decoder() else { return Ok(tokens.join(" ")) };
        let bytes = tokens.iter().map(String::len).sum();
        guarded(|| decoder.decode(tokens)).map_err(|error| Error::Tokenize {
            path: self.path.clone(),
            bytes,
            reason: error.to_string(),
        })
    }

    /// Whether tokens inside a word are marked (`##`), so that their spelling tells them from the starts of words.
    pub(crate) fn marks_subwords(&self) -> bool {
        match self.inner.get_model() {
            ModelWrapper::WordPiece(model) => !model.continuing_subword_prefix.is_empty(),
            ModelWrapper::BPE(model) => {
                model.get_continuing_subword_prefix().as_ref().is_some_and(|prefix| !prefix.is_empty())
            }
            ModelWrapper::WordLevel(_) | ModelWrapper::Unigram(_) => false,
        }
    }

    /// The number of tokens that the template adds.
    fn template_tokens(&self, pair: bool) -> usize {
        self.inner.get_post_processor().map_or(0, |template| template.added_tokens(pair))
    }

    fn limit(&self, template_tokens: usize, requested: Option<usize>) -> Result<usize> {
        let limit = requested.unwrap_or(self.max_length);
        if limit < template_tokens.max(1) || limit > self.max_position_embeddings {
            return Err(Error::MaxLength {
                requested: limit,
                smallest: template_tokens.max(1),
                largest: self.max_position_embeddings,
                config: self.config.clone(),
            });
        }
        Ok(limit)
    }

    fn check_ranges(&self, encoding: &tokenizers::Encoding) -> Result<()> {
        let beyond = |value: u32, size: usize| usize::try_from(value).map_or(true, |value| value >= size);
        let ids = encoding.get_ids();
        if let Some(at) = ids.iter().position(|&id| beyond(id, self.vocab_size)) {
            return Err(Error::TokenOutOfRange {
                token: encoding.get_tokens().get(at).cloned().unwrap_or_default(),
                id: ids[at],
                vocab_size: self.vocab_size,
                tokenizer: self.path.clone(),
                config: self.config.clone(),
            });
        }
        match encoding.get_type_ids().iter().find(|&&type_id| beyond(type_id, self.type_vocab_size)) {
            Some(&type_id) => Err(Error::SegmentOutOfRange {
                type_id,
                type_vocab_size: self.type_vocab_size,
                tokenizer: self.path.clone(),
                config: self.config.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// A `tokenizer.json`, without the truncation and padding saved in it.
fn from_json(path: &Path, settings: &Settings) -> Result<tokenizers::Tokenizer> {
    let text = read_text(path)?;
    // The syntax first: on text that is not JSON the `tokenizers` crate panics in places.
    serde_json::from_str::<serde::de::IgnoredAny>(&text)
        .map_err(|source| Error::Json { path: path.to_owned(), source })?;
    let mut inner =
        guarded(|| tokenizers::Tokenizer::from_bytes(&text)).map_err(|error| unusable(path, error))?;
    inner.with_truncation(None).map_err(|error| unusable(path, error))?.with_padding(None);
    let normalizer = match inner.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(saved)) => Some(template::normalizer(saved, settings)),
        _ => None,
    };
    if let Some(normalizer) = normalizer {
        inner.with_normalizer(Some(normalizer)).map_err(|error| unusable(path, error))?;
    }
    match inner.get_post_processor() {
        Some(processor) => template::check(processor, path)?,
        None if settings.names_bert_tokenizer() => {
            let template = wordpiece::bert_template(&inner, &settings.special, path)?;
            inner.with_post_processor(Some(template));
        }
        None => {}
    }
    Ok(inner)
}

/// Makes an error of a panic inside the `tokenizers` crate, which has some that only the content of a file decides.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    // Nothing that is half done outlives the call: the closure gives a whole value or none.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(format!("the tokenizers library panicked: {text}").into())
    })
}

fn lowercase_first(inner: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let mut steps: Vec<NormalizerWrapper> = vec![Lowercase.into()];
    steps.extend(inner.get_normalizer().cloned());
    inner.with_normalizer(Some(Sequence::new(steps)))?;
    Ok(())
}

fn unusable(path: &Path, reason: impl ToString) -> Error {
    Error::Tokenizer {
        path: path.to_owned(),
        reason: reason.to_string(),
        hint: "Is the file complete? Fetch it again, or remove it to have the tokenizer built from vocab.txt",
    }
}
