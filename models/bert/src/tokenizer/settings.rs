//! What surrounds a vocabulary: `tokenizer_config.json` and the small files of older folders.

use crate::error::{Error, Result};
use crate::folder::{TokenizerFiles, read_json};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokenizers::AddedToken;

/// A tokenizer's settings, merged from all files that have them.
#[derive(Debug)]
pub(super) struct Settings {
    /// The file that set most of these, for errors.
    pub(super) path: PathBuf,
    /// The Python class, when one is named.
    pub(super) class: Option<String>,
    /// The length that the model was trained for, special tokens included.
    pub(super) max_length: Option<usize>,
    /// `do_lower_case`.
    pub(super) lowercase: Option<bool>,
    /// `tokenize_chinese_chars`.
    pub(super) split_chinese: Option<bool>,
    /// `strip_accents`.
    pub(super) strip_accents: Option<bool>,
    /// `truncation_side` is `left`.
    pub(super) truncates_left: bool,
    pub(super) special: SpecialTokens,
    /// Tokens beyond the vocabulary, with the ids they must get, ascending.
    pub(super) added: Vec<(u32, AddedToken)>,
    /// sentence-transformers' `do_lower_case`: lower-case whatever the tokenizer does.
    pub(super) lowercases_first: bool,
}

/// The tokens that have a part to play.
#[derive(Debug)]
pub(super) struct SpecialTokens {
    pub(super) unknown: String,
    pub(super) cls: String,
    pub(super) sep: String,
    pub(super) pad: String,
    pub(super) mask: String,
}

#[derive(Deserialize, Default)]
struct RawConfig {
    tokenizer_class: Option<String>,
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
    do_basic_tokenize: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    strip_accents: Option<bool>,
    truncation_side: Option<String>,
    #[serde(default, flatten)]
    special: RawSpecial,
    added_tokens_decoder: Option<BTreeMap<String, RawAdded>>,
}

/// The fields of `special_tokens_map.json`, which `tokenizer_config.json` has too.
#[derive(Deserialize, Default)]
struct RawSpecial {
    unk_token: Option<RawToken>,
    cls_token: Option<RawToken>,
    sep_token: Option<RawToken>,
    pad_token: Option<RawToken>,
    mask_token: Option<RawToken>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawToken {
    Text(String),
    Described { content: String },
}

#[derive(Deserialize)]
struct RawAdded {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize, Default)]
struct RawSentence {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

impl Settings {
    /// Reads whatever settings files there are; all may be missing.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Config`], [`Error::Unsupported`], each naming the file.
    pub(super) fn read(files: &TokenizerFiles) -> Result<Self> {
        let raw: RawConfig = read_or_default(files.config.as_deref())?;
        let map: RawSpecial = read_or_default(files.special_tokens_map.as_deref())?;
        let sentence: RawSentence = read_or_default(files.sentence_config.as_deref())?;
        let present = [&files.config, &files.tokenizer_json, &files.vocab].into_iter().flatten().next();
        let path = present.cloned().unwrap_or_default();
        if raw.do_basic_tokenize == Some(false) {
            let supported = "splitting at spaces and punctuation before WordPiece";
            return Err(Error::unsupported(&path, "do_basic_tokenize = false", supported));
        }
        let truncates_left = match raw.truncation_side.as_deref() {
            None | Some("right") => false,
            Some("left") => true,
            Some(other) => return Err(Error::config(&path, "truncation_side", other, "left or right")),
        };
        let max_length = match (sentence.max_seq_length, raw.model_max_length) {
            (Some(length), _) => Some(length),
            (None, Some(length)) => known_length(length, &path)?,
            (None, None) => None,
        };
        let mut added = Vec::new();
        for (key, token) in raw.added_tokens_decoder.into_iter().flatten() {
            let id = key.parse().map_err(|_| {
                Error::config(&path, "added_tokens_decoder", format!("keyed by {key:?}"), "token ids")
            })?;
            added.push((id, token.into()));
        }
        let legacy: BTreeMap<String, u32> = read_or_default(files.added_tokens.as_deref())?;
        added.extend(legacy.into_iter().map(|(content, id)| (id, AddedToken::from(content, false))));
        // Stable, so that the newer file's description of a token comes first and stays.
        added.sort_by_key(|(id, _)| *id);
        added.dedup_by_key(|(id, _)| *id);
        Ok(Self {
            path,
            class: raw.tokenizer_class,
            max_length,
            lowercase: raw.do_lower_case,
            split_chinese: raw.tokenize_chinese_chars,
            strip_accents: raw.strip_accents,
            truncates_left,
            special: SpecialTokens::merged(raw.special, map),
            added,
            lowercases_first: sentence.do_lower_case == Some(true),
        })
    }

    /// Whether the class is transformers' BERT tokenizer, whose settings win over those inside `tokenizer.json`.
    pub(super) fn names_bert_tokenizer(&self) -> bool {
        matches!(self.class.as_deref(), Some("BertTokenizer" | "BertTokenizerFast"))
    }
}

impl SpecialTokens {
    fn merged(config: RawSpecial, map: RawSpecial) -> Self {
        let choose = |config: Option<RawToken>, map: Option<RawToken>, default: &str| match config.or(map) {
            Some(RawToken::Text(content) | RawToken::Described { content }) => content,
            None => default.to_owned(),
        };
        Self {
            unknown: choose(config.unk_token, map.unk_token, "[UNK]"),
            cls: choose(config.cls_token, map.cls_token, "[CLS]"),
            sep: choose(config.sep_token, map.sep_token, "[SEP]"),
            pad: choose(config.pad_token, map.pad_token, "[PAD]"),
            mask: choose(config.mask_token, map.mask_token, "[MASK]"),
        }
    }
}

impl From<RawAdded> for AddedToken {
    fn from(raw: RawAdded) -> Self {
        AddedToken::from(raw.content, raw.special)
            .single_word(raw.single_word)
            .lstrip(raw.lstrip)
            .rstrip(raw.rstrip)
            .normalized(raw.normalized.unwrap_or(!raw.special))
    }
}

/// transformers writes 1e30 where it knows no length.
fn known_length(length: f64, path: &Path) -> Result<Option<usize>> {
    if length.is_nan() || length < 1.0 {
        return Err(Error::config(path, "model_max_length", length, "a positive number of tokens"));
    }
    // The cast is exact enough below the bound, and the bound is beyond any position embedding.
    Ok((length < 1e9).then_some(length as usize))
}

fn read_or_default<T: Default + serde::de::DeserializeOwned>(path: Option<&Path>) -> Result<T> {
    path.map_or_else(|| Ok(T::default()), read_json)
}
