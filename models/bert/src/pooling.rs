//! `1_Pooling/config.json` of a sentence-transformers folder: how token vectors become one vector.

use crate::error::{Error, Result};
use crate::folder::read_json;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How the vectors of a text's tokens (special tokens included) become the text's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The vector of the first token, `[CLS]`.
    Cls,
    /// The mean over the tokens that the mask keeps.
    Mean,
    /// The largest value per component over the tokens that the mask keeps.
    Max,
}

const SUPPORTED: &str = "one of cls, mean, max";

/// The file as it is written: newer versions name the mode, older ones have a flag for each.
#[derive(Deserialize)]
struct RawPooling {
    #[serde(alias = "embedding_dimension")]
    word_embedding_dimension: Option<usize>,
    pooling_mode: Option<Modes>,
    pooling_mode_cls_token: Option<bool>,
    pooling_mode_max_tokens: Option<bool>,
    pooling_mode_mean_tokens: Option<bool>,
    pooling_mode_mean_sqrt_len_tokens: Option<bool>,
    pooling_mode_weightedmean_tokens: Option<bool>,
    pooling_mode_lasttoken: Option<bool>,
    include_prompt: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(String),
    Several(Vec<String>),
}

/// A pooling module's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolingConfig {
    pub(crate) pooling: Pooling,
    /// Whether the tokens of a prompt are pooled with the rest.
    pub(crate) include_prompt: bool,
}

impl PoolingConfig {
    /// Reads a pooling module's `config.json` for an encoder of this width.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names a mode other than cls, mean and max, or a concatenation of several;
    /// [`Error::Config`] when the width is not the encoder's.
    pub(crate) fn from_file(path: &Path, hidden_size: usize) -> Result<Self> {
        let raw: RawPooling = read_json(path)?;
        if let Some(width) = raw.word_embedding_dimension
            && width != hidden_size
        {
            let expected = format!("{hidden_size}, the hidden_size of the transformer's config.json");
            return Err(Error::config(path, "word_embedding_dimension", width, expected));
        }
        let modes = raw.modes();
        let pooling = match modes.as_slice() {
            [mode] => match mode.as_str() {
                "cls" => Pooling::Cls,
                "mean" => Pooling::Mean,
                "max" => Pooling::Max,
                other => return Err(Error::unsupported(path, format!("pooling mode {other:?}"), SUPPORTED)),
            },
            several => {
                let feature = format!("the concatenation of pooling modes {}", several.join(" and "));
                return Err(Error::unsupported(path, feature, SUPPORTED));
            }
        };
        Ok(Self { pooling, include_prompt: raw.include_prompt.unwrap_or(true) })
    }
}

impl RawPooling {
    /// The modes asked for, at least one: mean when nothing is said, as in sentence-transformers.
    fn modes(&self) -> Vec<String> {
        let named = match &self.pooling_mode {
            Some(Modes::One(mode)) => vec![mode.clone()],
            Some(Modes::Several(modes)) => modes.clone(),
            None => [
                (self.pooling_mode_cls_token, "cls"),
                (self.pooling_mode_max_tokens, "max"),
                (self.pooling_mode_mean_tokens, "mean"),
                (self.pooling_mode_mean_sqrt_len_tokens, "mean_sqrt_len_tokens"),
                (self.pooling_mode_weightedmean_tokens, "weightedmean"),
                (self.pooling_mode_lasttoken, "lasttoken"),
            ]
            .into_iter()
            .filter(|(flag, _)| *flag == Some(true))
            .map(|(_, mode)| mode.to_owned())
            .collect(),
        };
        if named.is_empty() { vec!["mean".to_owned()] } else { named }
    }
}
