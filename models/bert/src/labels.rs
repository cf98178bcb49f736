//! Label names, and scores from logits.
//!
//! Scores are computed in f64 from whatever dtype the logits have: a few dozen exponentials cost nothing, and the
//! printed digits then depend on the logits alone.

use crate::error::{Error, Result};
use serde::Serialize;

/// The names of a model's outputs, by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// Labels with these names, in the order of the model's outputs.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// `count` labels without names of their own: `LABEL_0`, `LABEL_1`, ..., as transformers calls them.
    pub fn numbered(count: usize) -> Self {
        Self { names: (0..count).map(|index| format!("LABEL_{index}")).collect() }
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of the label at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    /// The names in the order of the model's outputs.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The index of the first label with this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

/// How a row of logits becomes scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `exp(x_i - max x) / sum_j exp(x_j - max x)`: one label of many; the scores sum to 1.
    Softmax,
    /// `1 / (1 + exp(-x_i))`: each label by itself.
    Sigmoid,
    /// The logits as they are: regression.
    Identity,
}

impl Activation {
    /// The scores of one row of logits.
    ///
    /// Finite logits give finite scores. A logit of minus infinity scores 0 (minus infinity under
    /// [`Activation::Identity`]); NaN and plus infinity are for the caller to refuse, as [`ClassScores::from_logits`] does.
    pub fn scores(self, logits: &[f64]) -> Vec<f64> {
        match self {
            Self::Softmax => softmax(logits),
            Self::Sigmoid => logits.iter().map(|&logit| sigmoid(logit)).collect(),
            Self::Identity => logits.to_vec(),
        }
    }
}

/// The score of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScore {
    /// The label's index among the model's outputs.
    pub index: usize,
    /// Its name.
    pub label: String,
    /// Its score: a probability, except under [`Activation::Identity`].
    pub score: f64,
}

/// The scores of all labels of one text, best first; equal scores in the order of their indices.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ClassScores {
    ranked: Vec<ClassScore>,
}

impl ClassScores {
    /// Scores one text's class logits: `[labels]`, f16, bf16, f32 or f64.
    ///
    /// # Errors
    /// [`Error::LogitsLength`] when there is not one logit per label; [`Error::NotFinite`] for NaN, plus infinity, or a
    /// row of minus infinities.
    pub fn from_logits<T>(logits: &[T], labels: &Labels, activation: Activation) -> Result<Self>
    where
        T: Copy + Into<f64>,
    {
        if logits.len() != labels.len() || labels.is_empty() {
            return Err(Error::LogitsLength { found: logits.len(), rows: 1, labels: labels.len() });
        }
        let scores = activation.scores(&checked_row(logits, 0, labels)?);
        let mut ranked: Vec<ClassScore> = scores
            .into_iter()
            .zip(labels.iter())
            .enumerate()
            .map(|(index, (score, label))| ClassScore { index, label: label.to_owned(), score })
            .collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(Self { ranked })
    }

    /// The best label.
    pub fn best(&self) -> &ClassScore {
        // `from_logits`, the only constructor, refuses an empty row.
        &self.ranked[0]
    }

    /// All labels, best first.
    pub fn ranked(&self) -> &[ClassScore] {
        &self.ranked
    }
}

/// One row of logits as f64, refused when no score follows from it.
pub(crate) fn checked_row<T: Copy + Into<f64>>(
    logits: &[T],
    row: usize,
    labels: &Labels,
) -> Result<Vec<f64>> {
    let values: Vec<f64> = logits.iter().map(|&logit| logit.into()).collect();
    let bad = values
        .iter()
        .position(|value| value.is_nan() || *value == f64::INFINITY)
        .or_else(|| values.iter().all(|value| *value == f64::NEG_INFINITY).then_some(0));
    match bad {
        Some(index) if index < values.len() => Err(Error::NotFinite {
            row,
            label: labels.get(index).unwrap_or_default().to_owned(),
            value: values[index],
        }),
        _ => Ok(values),
    }
}

pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|&logit| (logit - max).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

/// Written so that the exponential never overflows.
fn sigmoid(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let exponential = logit.exp();
        exponential / (1.0 + exponential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::new(["low", "mid", "high"].map(String::from).to_vec())
    }

    #[test]
    fn softmax_of_logarithms_gives_the_proportions() {
        let logits = [1f64.ln(), 3f64.ln(), 6f64.ln()];
        let scores = ClassScores::from_logits(&logits, &labels(), Activation::Softmax).unwrap();
        let expected = [("high", 2, 0.6), ("mid", 1, 0.3), ("low", 0, 0.1)];
        for (score, (label, index, value)) in scores.ranked().iter().zip(expected) {
            assert_eq!((score.label.as_str(), score.index), (label, index));
            assert!((score.score - value).abs() < 1e-15, "{score:?}");
        }
        assert_eq!(scores.best().label, "high");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let scores =
            ClassScores::from_logits(&[3.0e38f32, 0.0, -3.0e38], &labels(), Activation::Softmax).unwrap();
        assert_eq!(scores.ranked().iter().map(|s| s.score).collect::<Vec<_>>(), [1.0, 0.0, 0.0]);
        let scores = ClassScores::from_logits(&[800.0, -800.0, 0.0], &labels(), Activation::Sigmoid).unwrap();
        assert_eq!(scores.ranked().iter().map(|s| s.score).collect::<Vec<_>>(), [1.0, 0.5, 0.0]);
    }

    #[test]
    fn sigmoid_of_a_logit_and_its_negative_sum_to_one() {
        for logit in [0.0, 1e-9, 0.5, 3.0, 20.0, 700.0] {
            assert!((sigmoid(logit) + sigmoid(-logit) - 1.0).abs() < 1e-15, "{logit}");
        }
        assert!((sigmoid(3f64.ln()) - 0.75).abs() < 1e-15);
    }

    #[test]
    fn regression_keeps_the_logits() {
        let scores =
            ClassScores::from_logits(&[-2.5f32], &Labels::numbered(1), Activation::Identity).unwrap();
        assert_eq!((scores.best().label.as_str(), scores.best().score), ("LABEL_0", -2.5));
    }

    #[test]
    fn equal_scores_keep_the_order_of_the_labels() {
        let scores = ClassScores::from_logits(&[1.0, 1.0, 1.0], &labels(), Activation::Softmax).unwrap();
        assert_eq!(scores.ranked().iter().map(|s| s.index).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_masked_label_scores_zero() {
        let logits = [f64::NEG_INFINITY, 0.0, 0.0];
        let scores = ClassScores::from_logits(&logits, &labels(), Activation::Softmax).unwrap();
        assert_eq!(scores.ranked().iter().map(|s| s.score).collect::<Vec<_>>(), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn logits_without_a_score_are_refused() {
        let score = |logits: &[f32]| ClassScores::from_logits(logits, &labels(), Activation::Softmax);
        assert!(
            matches!(score(&[0.0, f32::NAN, 0.0]), Err(Error::NotFinite { label, .. }) if label == "mid")
        );
        assert!(
            matches!(score(&[0.0, 0.0, f32::INFINITY]), Err(Error::NotFinite { label, .. }) if label == "high")
        );
        assert!(matches!(score(&[f32::NEG_INFINITY; 3]), Err(Error::NotFinite { .. })));
        assert!(matches!(score(&[0.0; 2]), Err(Error::LogitsLength { found: 2, labels: 3, .. })));
        assert!(matches!(
            ClassScores::from_logits::<f32>(&[], &Labels::default(), Activation::Softmax),
            Err(Error::LogitsLength { .. })
        ));
    }
}
