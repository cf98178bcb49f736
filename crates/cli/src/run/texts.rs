//! Texts of the command line.

use super::record::{self, Origin};
use crate::failure::{Failure, Outcome, say, with_causes};
use crate::output::Output;
use lockstep_bert::{Text, TextModel};

/// Columns of a text that stand above its answer.
const SHOWN_CHARACTERS: usize = 48;

/// Answers each text in order. A text that has no answer is reported and left out.
pub(super) fn run(
    model: &TextModel,
    texts: &[String],
    pairs: &[String],
    batch: usize,
    output: &mut Output,
) -> Outcome {
    let mut all_answered = true;
    let mut encoded = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let pair = pairs.get(at).map(String::as_str);
        match model.encode(pair.map_or(Text::Single(text), |pair| Text::Pair(text, pair))) {
            Ok(encoding) => encoded.push((at, pair, encoding)),
            Err(error) if matches!(error, lockstep_bert::Error::EntitiesOfPair) => return Err(error.into()),
            Err(error) => {
                say("error", numbered(at, texts.len(), &with_causes(&error)));
                all_answered = false;
            }
        }
    }
    while !encoded.is_empty() {
        let (sources, encodings): (Vec<_>, Vec<_>) = encoded
            .drain(..batch.min(encoded.len()))
            .map(|(at, pair, encoding)| ((at, pair), encoding))
            .unzip();
        let predictions = model.run(&encodings)?;
        for ((at, pair), prediction) in sources.into_iter().zip(&predictions) {
            if output.is_json() {
                let origin = Origin { text: Some(&texts[at]), text_pair: pair, ..Origin::default() };
                record::write_json(&origin, prediction, output)?;
                continue;
            }
            if let Some(truncation) = prediction.truncated {
                let (tokens, limit) = (truncation.tokens, truncation.limit);
                let what = format!("the text has {tokens} tokens; the model read the first {limit}");
                say("note", numbered(at, texts.len(), &what));
            }
            if texts.len() > 1 {
                output.line(format_args!("{}: {}", at + 1, shortened(&texts[at])))?;
            }
            record::write_text(prediction, output)?;
        }
        output.flush()?;
    }
    if all_answered { Ok(()) } else { Err(Failure::Reported) }
}

/// What is said of one of several texts.
fn numbered(at: usize, texts: usize, what: &str) -> String {
    if texts > 1 { format!("text {}: {what}", at + 1) } else { what.to_owned() }
}

fn shortened(text: &str) -> String {
    let mut shown: String = record::visible(text).chars().take(SHOWN_CHARACTERS).collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}
