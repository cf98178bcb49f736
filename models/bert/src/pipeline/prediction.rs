//! What a model says of a text.

use super::{EncodedText, TextModel};
use crate::architecture::Head;
use crate::entities::{Entity, extract_entities};
use crate::error::{Error, Result};
use crate::labels::ClassScores;
use crate::pooling::Pooling;
use crate::tokenizer::{Text, Truncation};
use lockstep_graph::HostTensor;

/// The answer for one text, and how much of the text it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The answer, of the kind that the model's head gives.
    pub answer: Answer,
    /// How many tokens the model read, special tokens included.
    pub tokens: usize,
    /// What was cut off, if anything.
    pub truncated: Option<Truncation>,
}

/// An answer, by the model's head.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// [`Head::SequenceClassification`]: every label with its score.
    Class(ClassScores),
    /// [`Head::TokenClassification`]: the entities, in the order of the text; there may be none.
    Entities(Vec<Entity>),
    /// [`Head::Embedding`], and [`Head::Encoder`]: the text's vector.
    Embedding(Embedding),
}

/// Where an embedding's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingSource {
    /// The folder's own pooling, computed by the graph.
    Pooled {
        /// The mode.
        pooling: Pooling,
        /// Whether the folder asks for a norm of 1.
        normalized: bool,
    },
    /// A bare encoder: the mean of its last hidden state over all of the text's tokens, which is what
    /// sentence-transformers makes of such a folder.
    MeanOfHiddenState,
}

/// A text as a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Its components, `[hidden]`.
    pub values: Vec<f64>,
    /// Where they come from.
    pub source: EmbeddingSource,
}

impl Embedding {
    /// How many components it has.
    pub fn size(&self) -> usize {
        self.values.len()
    }

    /// Its Euclidean norm.
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }
}

/// An output `[batch, ..]` as rows of f64.
pub(super) struct Rows {
    values: Vec<f64>,
    width: usize,
}

impl Rows {
    /// # Errors
    /// [`Error::LogitsLength`] for an output of another batch.
    pub(super) fn of(output: &HostTensor, batch: usize) -> Result<Self> {
        let values = output.to_f64();
        if output.shape().first() != Some(&batch) || values.is_empty() {
            return Err(Error::LogitsLength { found: values.len(), rows: batch, labels: 1 });
        }
        let width = values.len() / batch;
        Ok(Self { values, width })
    }

    pub(super) fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }
}

impl TextModel {
    /// The answer in one text's row of the output, padding included.
    pub(super) fn answer(&self, text: &EncodedText<'_>, row: &[f64]) -> Result<Answer> {
        let (model, tokens) = (&self.model, text.encoding.len());
        let labels = &model.config().labels;
        match model.head() {
            Head::SequenceClassification { activation } => {
                ClassScores::from_logits(row, labels, *activation).map(Answer::Class)
            }
            Head::TokenClassification => {
                let Text::Single(original) = text.text else { return Err(Error::EntitiesOfPair) };
                let logits = row.get(..tokens * labels.len()).unwrap_or(row);
                let tokenizer = model.tokenizer()?;
                extract_entities(logits, original, &text.encoding, tokenizer, labels, &self.entities)
                    .map(Answer::Entities)
            }
            Head::Encoder => {
                let hidden = model.config().hidden_size;
                embedding(mean_of_rows(row, hidden, tokens), EmbeddingSource::MeanOfHiddenState)
            }
            Head::Embedding(settings) => {
                let source =
                    EmbeddingSource::Pooled { pooling: settings.pooling, normalized: settings.normalize };
                embedding(row.to_vec(), source)
            }
        }
    }
}

fn embedding(values: Vec<f64>, source: EmbeddingSource) -> Result<Answer> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::NotFinite { row: 0, label: format!("component {at}"), value: values[at] }),
        None => Ok(Answer::Embedding(Embedding { values, source })),
    }
}

/// The mean of the first `rows` rows of `[.., width]`.
fn mean_of_rows(values: &[f64], width: usize, rows: usize) -> Vec<f64> {
    let mut mean = vec![0.0; width];
    for row in values.chunks_exact(width).take(rows) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value;
        }
    }
    mean.iter().map(|sum| sum / rows.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_leaves_padding_out() {
        assert_eq!(mean_of_rows(&[1.0, 2.0, 3.0, 6.0, 100.0, 100.0], 2, 2), [2.0, 4.0]);
    }

    #[test]
    fn a_norm_is_euclidean() {
        let embedding = Embedding { values: vec![3.0, -4.0], source: EmbeddingSource::MeanOfHiddenState };
        assert_eq!((embedding.size(), embedding.norm()), (2, 5.0));
    }

    #[test]
    fn a_vector_with_a_nan_is_no_embedding() {
        let error = embedding(vec![0.0, f64::NAN], EmbeddingSource::MeanOfHiddenState).unwrap_err();
        assert!(error.to_string().contains("component 1"), "{error}");
    }

    #[test]
    fn an_output_of_another_batch_is_refused() {
        let output = HostTensor::from_f64(lockstep_graph::DType::F32, &[2, 3], &[0.0; 6]).unwrap();
        assert!(Rows::of(&output, 3).is_err());
        assert_eq!(Rows::of(&output, 2).unwrap().row(1).len(), 3);
    }
}
