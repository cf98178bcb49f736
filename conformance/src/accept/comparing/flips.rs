//! Answers that differ, and whether that was to be expected: an answer is the largest logit, and its margin is what another
//! rounding has to overcome.

use serde::Serialize;

/// Characters of a document that a flip shows.
pub(super) const SHOWN_CHARACTERS: usize = 48;

/// An answer that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// The document's line.
    pub line: usize,
    /// The start of its text.
    pub text: String,
    /// The token whose tag differs, for tags.
    pub token: Option<TokenPlace>,
    /// The right answer, where known.
    pub right: Option<String>,
    /// The trusted device's; `None` where its outputs are no numbers.
    pub trusted: Option<String>,
    /// The candidate's.
    pub candidate: Option<String>,
    /// The trusted device's largest logit minus its second.
    pub trusted_margin: Option<f64>,
    /// The candidate's.
    pub candidate_margin: Option<f64>,
    /// The largest difference between the two devices' logits that the answer is read from.
    pub deviation: Option<f64>,
    /// Whether the trusted margin is so small that a usual deviation can turn it: at most twice the median of all documents'
    /// largest differences. A flip that is not is a document to look at with `lockstep compare`.
    pub near_tie: bool,
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenPlace {
    /// Its first character.
    pub start: usize,
    /// One past its last.
    pub end: usize,
    /// What it covers.
    pub text: String,
}

/// The largest absolute difference of two rows of outputs; infinite where one is no number.
pub(super) fn deviation([a, b]: [&[f64]; 2]) -> f64 {
    let apart = a.iter().zip(b).map(|(x, y)| (x - y).abs());
    apart.fold(0.0, |most: f64, x| if x.is_nan() { f64::INFINITY } else { most.max(x) })
}

/// The largest of some logits.
#[derive(Clone, Copy)]
pub(super) struct Top {
    /// Its place.
    pub(super) at: usize,
    /// How far it is above the second.
    pub(super) margin: f64,
}

impl Top {
    /// `None` if one is NaN or infinite: no answer follows then. Of equal logits the first, as PyTorch has it.
    pub(super) fn of(logits: &[f64]) -> Option<Self> {
        if logits.is_empty() || logits.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let at = (1..logits.len()).fold(0, |best, at| if logits[at] > logits[best] { at } else { best });
        let others = logits.iter().enumerate().filter(|(other, _)| *other != at);
        let second = others.map(|(_, x)| *x).fold(f64::NEG_INFINITY, f64::max);
        Some(Self { at, margin: if logits.len() == 1 { 0.0 } else { logits[at] - second } })
    }
}

/// The part of a text around the character `at`, of one line.
pub(super) fn shortened(text: &str, at: usize) -> String {
    let length = text.chars().count();
    let start = at.saturating_sub(SHOWN_CHARACTERS / 2).min(length.saturating_sub(SHOWN_CHARACTERS));
    let shown = text.chars().skip(start).take(SHOWN_CHARACTERS);
    let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if start + SHOWN_CHARACTERS < length { "…" } else { "" };
    format!("{before}{shown}{after}")
}
