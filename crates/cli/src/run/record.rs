//! One answer, as a line of JSON or for a person to read.

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;
use lockstep_bert::{Answer, ClassScore, EmbeddingSource, Entity, Prediction, Truncation};
use serde::Serialize;

/// Labels that a person is shown; JSON has all.
const SHOWN_LABELS: usize = 10;

/// Where a text came from, as its answer says.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Origin<'a> {
    /// The line of its file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// The object's own "id".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a serde_json::Value>,
    /// The text, where it was given on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// Its second text, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text_pair: Option<&'a str>,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    origin: &'a Origin<'a>,
    #[serde(flatten)]
    answer: AnswerRecord<'a>,
    tokens: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<TruncationRecord>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnswerRecord<'a> {
    Class { label: &'a str, score: f64, scores: &'a [ClassScore] },
    Entities { entities: &'a [Entity] },
    Embedding { embedding: &'a [f64], size: usize, norm: f64, pooling: &'static str },
}

#[derive(Serialize)]
struct TruncationRecord {
    tokens: usize,
    limit: usize,
}

/// Writes an answer as one object.
pub(super) fn write_json(origin: &Origin<'_>, prediction: &Prediction, output: &mut Output) -> Outcome {
    let answer = match &prediction.answer {
        Answer::Class(scores) => {
            let best = scores.best();
            AnswerRecord::Class { label: &best.label, score: best.score, scores: scores.ranked() }
        }
        Answer::Entities(entities) => AnswerRecord::Entities { entities },
        Answer::Embedding(embedding) => AnswerRecord::Embedding {
            embedding: &embedding.values,
            size: embedding.size(),
            norm: embedding.norm(),
            pooling: pooling(embedding.source).0,
        },
    };
    let truncated =
        prediction.truncated.map(|Truncation { tokens, limit }| TruncationRecord { tokens, limit });
    output.json_line(&Record { origin, answer, tokens: prediction.tokens, truncated })
}

/// Writes an answer for a person.
pub(super) fn write_text(prediction: &Prediction, output: &mut Output) -> Outcome {
    match &prediction.answer {
        Answer::Class(scores) => {
            let (best, ranked) = (scores.best(), scores.ranked());
            output.line(format_args!("{}  {:.4}", best.label, best.score))?;
            let mut list = table(&["label", ">score"]);
            for score in ranked.iter().take(SHOWN_LABELS) {
                list.add_row([score.label.clone(), format!("{:.6}", score.score)]);
            }
            output.line(format_args!("{}", list.trim_fmt()))?;
            match ranked.len().checked_sub(SHOWN_LABELS) {
                Some(more @ 1..) => output.line(format_args!("and {more} more; --json has all")),
                _ => Ok(()),
            }
        }
        Answer::Entities(entities) if entities.is_empty() => output.line(format_args!("no entities")),
        Answer::Entities(entities) => {
            let mut list = table(&["entity", "text", ">characters", ">score"]);
            for entity in entities {
                let span = format!("{}..{}", entity.start, entity.end);
                list.add_row([
                    entity.label.clone(),
                    visible(&entity.text),
                    span,
                    format!("{:.6}", entity.score),
                ]);
            }
            output.line(format_args!("{}", list.trim_fmt()))
        }
        Answer::Embedding(embedding) => {
            let (size, norm) = (embedding.size(), embedding.norm());
            let how = pooling(embedding.source).1;
            output.line(format_args!("embedding of {size} components, norm {norm:.6} ({how})"))
        }
    }
}

/// How a vector came to be: in a word, and in words.
fn pooling(source: EmbeddingSource) -> (&'static str, &'static str) {
    use lockstep_bert::Pooling::{Cls, Max, Mean};
    match source {
        EmbeddingSource::MeanOfHiddenState => ("mean", "mean of the encoder's last hidden state"),
        EmbeddingSource::Pooled { pooling: Cls, normalized: false } => ("cls", "cls pooling"),
        EmbeddingSource::Pooled { pooling: Mean, normalized: false } => ("mean", "mean pooling"),
        EmbeddingSource::Pooled { pooling: Max, normalized: false } => ("max", "max pooling"),
        EmbeddingSource::Pooled { pooling: Cls, normalized: true } => ("cls", "cls pooling, normalised"),
        EmbeddingSource::Pooled { pooling: Mean, normalized: true } => ("mean", "mean pooling, normalised"),
        EmbeddingSource::Pooled { pooling: Max, normalized: true } => ("max", "max pooling, normalised"),
    }
}

/// A text in one row of a table, without what a terminal would act on.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[31m\nb"), "a [31m b");
    }

    #[test]
    fn a_record_has_its_origin_first_and_no_empty_fields() {
        let id = serde_json::json!("a-7");
        let record = Record {
            origin: &Origin { line: Some(3), id: Some(&id), ..Origin::default() },
            answer: AnswerRecord::Entities { entities: &[] },
            tokens: 9,
            truncated: None,
        };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(json, r#"{"line":3,"id":"a-7","entities":[],"tokens":9}"#);
    }
}
