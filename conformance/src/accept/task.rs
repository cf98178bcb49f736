//! What a model's inputs and outputs mean.

use super::data::Field;
use lockstep_runtime::tensor::HostTensor;

/// What kind of answer a document gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One of the labels.
    Class,
    /// A label for each token, and the fields that they make.
    Tags,
    /// A vector, of which nothing is right or wrong.
    Vector,
}

/// What kept a task from reading a document or an output.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TaskError(pub String);

/// A model's view of a set of documents, by their numbers from 0.
pub trait Task {
    /// What kind of answers it gives.
    fn kind(&self) -> Kind;

    /// The labels, by their place in a row of the output; none for vectors.
    fn labels(&self) -> &[String];

    /// The graph's output that is judged: `[batch, width]`, or `[batch, seq, width]` with a row per token.
    fn output(&self) -> &str;

    /// The graph's inputs for these documents as one batch.
    ///
    /// # Errors
    /// A batch that memory does not hold.
    fn inputs(&self, documents: &[usize]) -> Result<Vec<(&'static str, HostTensor)>, TaskError>;

    /// The first character and one past the last of each token of a document; `None` for those that the tokenizer adds.
    fn tokens(&self, document: usize) -> &[Option<(usize, usize)>];

    /// The fields that finite logits, `[tokens, labels]` of one document, make. Only asked of [`Kind::Tags`].
    ///
    /// # Errors
    /// Logits that no field follows from.
    fn fields(&self, document: usize, logits: &[f64]) -> Result<Vec<Field>, TaskError>;
}
