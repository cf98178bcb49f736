//! Named entities from token logits.
//!
//! The algorithm is that of transformers' token-classification pipeline (`pipelines/token_classification.py`, version
//! 5.23), so that a model moved here finds the same spans:
//! 1. Each token that the template did not add gets the softmax of its logits. Its spelling decides whether it continues
//!    a word: a token as long as the text it covers starts one, a longer one (`##ing` over `ing`) continues it. The
//!    unknown token always starts a word and is spelled as the text it covers.
//! 2. *none* and *simple* label each token by itself. *first*, *average* and *max* label each word: by its first token,
//!    by the mean of its tokens' scores, or by the token with the highest score.
//! 3. All but *none* then join neighbours of one type, unless the later one begins with `B-`. The group's score is the
//!    mean of its parts' scores. A label without `B-` or `I-` continues.
//! 4. Entities whose label is ignored (`O`) are dropped.
//!
//! Scores are f64 here and f32 there; spans differ only where two scores agree to seven digits.

use crate::error::{Error, Result};
use crate::labels::{Labels, checked_row, softmax};
use crate::tokenizer::{Encoding, Tokenizer};
use serde::Serialize;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// How the labels of tokens become those of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// Each token is an entity.
    #[default]
    None,
    /// Neighbouring tokens of one type are an entity.
    Simple,
    /// As *simple*, over words that have the label of their first token.
    First,
    /// As *simple*, over words that have the label of the highest mean score.
    Average,
    /// As *simple*, over words that have the label of their most certain token.
    Max,
}

impl Aggregation {
    const NAMES: [(&str, Self); 5] = [
        ("none", Self::None),
        ("simple", Self::Simple),
        ("first", Self::First),
        ("average", Self::Average),
        ("max", Self::Max),
    ];
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, value)| value == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

impl FromStr for Aggregation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| *value).ok_or_else(|| Error::UnknownName {
            what: "aggregation",
            found: name.to_owned(),
            expected: "none, simple, first, average, max",
        })
    }
}

/// What is extracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityOptions {
    /// How tokens become entities.
    pub aggregation: Aggregation,
    /// Labels that are no entity, with their prefix under [`Aggregation::None`] and without it otherwise.
    pub ignore_labels: Vec<String>,
}

impl Default for EntityOptions {
    /// Transformers' defaults: no aggregation, ignoring `O`.
    fn default() -> Self {
        Self { aggregation: Aggregation::None, ignore_labels: vec!["O".to_owned()] }
    }
}

/// An entity of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entity {
    /// Its type: the label, without `B-` or `I-` unless under [`Aggregation::None`].
    pub label: String,
    /// The mean probability of the label over the entity's parts.
    pub score: f64,
    /// Its first character, in Unicode scalar values as Python counts them.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The original text from `start` to `end`.
    pub text: String,
    /// The entity as the tokenizer spells it: lower-cased, without accents, as the model saw it.
    pub word: String,
    /// The token's position, under [`Aggregation::None`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

/// Extracts the entities of one text.
///
/// * `logits`: `[tokens, labels]`, row-major, one row per token of `encoding`, special tokens included; f16, bf16, f32 or
///   f64.
/// * `text`: the text that was encoded; `encoding` and `tokenizer`: its tokens and who made them.
///
/// # Errors
/// [`Error::LogitsLength`] for another shape; [`Error::NotFinite`] for logits that no score follows from;
/// [`Error::EntitiesOfPair`]; [`Error::OffsetsOutsideText`] when `encoding` is of another text.
pub fn extract_entities<T: Copy + Into<f64>>(
    logits: &[T],
    text: &str,
    encoding: &Encoding,
    tokenizer: &Tokenizer,
    labels: &Labels,
    options: &EntityOptions,
) -> Result<Vec<Entity>> {
    if labels.is_empty() || encoding.len().checked_mul(labels.len()) != Some(logits.len()) {
        return Err(Error::LogitsLength { found: logits.len(), rows: encoding.len(), labels: labels.len() });
    }
    if encoding.sequence_ids.contains(&Some(1)) {
        return Err(Error::EntitiesOfPair);
    }
    let text = CharacterIndex::new(text, encoding);
    let tokens = scored_tokens(logits, &text, encoding, tokenizer, labels)?;
    let tagged = match options.aggregation {
        Aggregation::None | Aggregation::Simple => tokens.into_iter().map(Tagged::of_token).collect(),
        Aggregation::First | Aggregation::Average | Aggregation::Max => {
            tagged_words(&tokens, tokenizer, options.aggregation)?
        }
    };
    let spans = match options.aggregation {
        Aggregation::None => tagged.into_iter().map(|part| Span::of_part(part, labels)).collect(),
        _ => grouped(&tagged, tokenizer, labels)?,
    };
    let kept = spans.into_iter().filter(|span| !options.ignore_labels.contains(&span.label));
    Ok(kept.map(|span| span.into_entity(&text)).collect())
}

/// A token of the text with its scores.
struct ScoredToken {
    index: usize,
    word: String,
    scores: Vec<f64>,
    characters: Range<usize>,
    continues_word: bool,
}

/// A token or a word with its label.
struct Tagged {
    label: usize,
    score: f64,
    word: String,
    characters: Range<usize>,
    index: Option<usize>,
}

/// An entity before its text is looked up.
struct Span {
    label: String,
    score: f64,
    word: String,
    characters: Range<usize>,
    index: Option<usize>,
}

fn scored_tokens<T: Copy + Into<f64>>(
    logits: &[T],
    text: &CharacterIndex<'_>,
    encoding: &Encoding,
    tokenizer: &Tokenizer,
    labels: &Labels,
) -> Result<Vec<ScoredToken>> {
    let marked = tokenizer.marks_subwords();
    let mut tokens = Vec::with_capacity(encoding.len());
    let described = encoding.ids.iter().zip(&encoding.offsets).zip(&encoding.special_mask);
    for (index, (row, ((&id, &(start, end)), &special))) in
        logits.chunks_exact(labels.len()).zip(described).enumerate()
    {
        if special {
            continue;
        }
        let covered = text.slice(start..end).ok_or_else(|| Error::OffsetsOutsideText {
            token: index,
            start,
            end,
            characters: text.len(),
        })?;
        let mut word = tokenizer.token(id).unwrap_or_default();
        let mut continues_word = if marked {
            word.chars().count() != covered.chars().count()
        } else {
            // No marks: a token that touches the one before, with no space in between.
            start > 0 && !text.slice(start - 1..start + 1).unwrap_or_default().contains(' ')
        };
        if Some(id) == tokenizer.unknown_id() {
            word = covered.to_owned();
            continues_word = false;
        }
        let scores = softmax(&checked_row(row, index, labels)?);
        tokens.push(ScoredToken { index, word, scores, characters: start..end, continues_word });
    }
    Ok(tokens)
}

impl Tagged {
    fn of_token(token: ScoredToken) -> Self {
        let (label, score) = highest(&token.scores);
        Self { label, score, word: token.word, characters: token.characters, index: Some(token.index) }
    }

    fn of_word(tokens: &[ScoredToken], tokenizer: &Tokenizer, aggregation: Aggregation) -> Result<Self> {
        let (label, score) = match aggregation {
            Aggregation::Average => highest(&mean_scores(tokens)),
            Aggregation::Max => {
                let best = tokens.iter().map(|token| highest(&token.scores));
                // Of equals the first.
                best.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or((0, 0.0))
            }
            Aggregation::First | Aggregation::Simple | Aggregation::None => highest(&tokens[0].scores),
        };
        Ok(Self {
            label,
            score,
            word: tokenizer.join_tokens(tokens.iter().map(|token| token.word.clone()).collect())?,
            characters: tokens[0].characters.start..tokens[tokens.len() - 1].characters.end,
            index: None,
        })
    }
}

fn tagged_words(
    tokens: &[ScoredToken],
    tokenizer: &Tokenizer,
    aggregation: Aggregation,
) -> Result<Vec<Tagged>> {
    let words = tokens.chunk_by(|_, next| next.continues_word);
    words.map(|word| Tagged::of_word(word, tokenizer, aggregation)).collect()
}

/// Joins neighbours of one type.
fn grouped(parts: &[Tagged], tokenizer: &Tokenizer, labels: &Labels) -> Result<Vec<Span>> {
    let name = |part: &Tagged| labels.get(part.label).unwrap_or_default();
    let groups = parts.chunk_by(|last, next| {
        let (begins, tag) = begins_and_tag(name(next));
        !begins && tag == begins_and_tag(name(last)).1
    });
    let spans = groups.map(|group| {
        let first = name(&group[0]);
        Ok(Span {
            label: first.split_once('-').map_or(first, |(_, rest)| rest).to_owned(),
            score: group.iter().map(|part| part.score).sum::<f64>() / group.len() as f64,
            word: tokenizer.join_tokens(group.iter().map(|part| part.word.clone()).collect())?,
            characters: group[0].characters.start..group[group.len() - 1].characters.end,
            index: None,
        })
    });
    spans.collect()
}

impl Span {
    fn of_part(part: Tagged, labels: &Labels) -> Self {
        Self {
            label: labels.get(part.label).unwrap_or_default().to_owned(),
            score: part.score,
            word: part.word,
            characters: part.characters,
            index: part.index,
        }
    }

    fn into_entity(self, text: &CharacterIndex<'_>) -> Entity {
        let Range { start, end } = self.characters;
        Entity {
            label: self.label,
            score: self.score,
            start,
            end,
            // Both ends were looked up when the tokens were read.
            text: text.slice(start..end).unwrap_or_default().to_owned(),
            word: self.word,
            index: self.index,
        }
    }
}

/// Whether the label begins an entity, and its type.
fn begins_and_tag(label: &str) -> (bool, &str) {
    match (label.strip_prefix("B-"), label.strip_prefix("I-")) {
        (Some(tag), _) => (true, tag),
        (None, Some(tag)) => (false, tag),
        (None, None) => (false, label),
    }
}

/// The first of the highest scores.
fn highest(scores: &[f64]) -> (usize, f64) {
    let scores = scores.iter().copied().enumerate();
    scores.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap_or((0, 0.0))
}

fn mean_scores(tokens: &[ScoredToken]) -> Vec<f64> {
    let mut mean = vec![0.0; tokens[0].scores.len()];
    for token in tokens {
        for (sum, score) in mean.iter_mut().zip(&token.scores) {
            *sum += score;
        }
    }
    mean.iter().map(|sum| sum / tokens.len() as f64).collect()
}

/// Byte positions of a text's characters, as far as tokens reach.
struct CharacterIndex<'a> {
    text: &'a str,
    /// `bytes[i]` is where character `i` starts; the last entry is where the last reached character ends.
    bytes: Vec<usize>,
}

impl<'a> CharacterIndex<'a> {
    fn new(text: &'a str, encoding: &Encoding) -> Self {
        let reach = encoding.offsets.iter().map(|&(_, end)| end).max().unwrap_or(0);
        let starts = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
        // One more than the reach, for the look around a token's start.
        Self { text, bytes: starts.take(reach.saturating_add(2)).collect() }
    }

    /// The characters indexed: all of the text if tokens reach beyond it.
    fn len(&self) -> usize {
        self.bytes.len().saturating_sub(1)
    }

    /// The characters in the range, empty for a reversed one, as a Python slice; `None` beyond the text.
    fn slice(&self, characters: Range<usize>) -> Option<&'a str> {
        let (start, end) = (*self.bytes.get(characters.start)?, *self.bytes.get(characters.end)?);
        Some(self.text.get(start..end).unwrap_or_default())
    }
}
