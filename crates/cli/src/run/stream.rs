//! Texts of a file: JSON Lines out, in order, in constant memory.

use super::Format;
use super::lines::{LONGEST_LINE, Lines};
use super::progress::Progress;
use super::record::{self, Origin};
use crate::failure::{Failure, Outcome, say, with_causes};
use crate::output::Output;
use lockstep_bert::{EncodedText, Prediction, Text, TextModel};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Bytes of texts that wait for one batch to fill, so that long lines do not add up.
const WAITING_BYTES: usize = LONGEST_LINE;

/// A file of texts, or standard input.
pub(super) struct Source {
    /// What messages call it.
    name: String,
    lines: Lines<Box<dyn BufRead>>,
    /// Its size, where it is known.
    bytes: Option<u64>,
    format: Option<Format>,
}

impl Source {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path, format: Option<Format>) -> Outcome<Self> {
        if path == Path::new("-") {
            let reader: Box<dyn BufRead> = Box::new(BufReader::new(io::stdin()));
            let name = "standard input".to_owned();
            return Ok(Self { name, lines: Lines::new(reader), bytes: None, format });
        }
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::Failed(format!("{name}: cannot be read: {error}"));
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Failure::Failed(format!("{name} is a folder; --file takes a file of texts")));
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        let format = format.or_else(|| format_by_name(path));
        let reader: Box<dyn BufRead> = Box::new(BufReader::new(file));
        Ok(Self { name, lines: Lines::new(reader), bytes, format })
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::Failed(format!("{}:{}: cannot be read on: {error}", self.name, self.lines.number() + 1))
    }
}

fn format_by_name(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(if matches!(extension.as_str(), "jsonl" | "ndjson" | "json") { Format::Jsonl } else { Format::Txt })
}

/// A text and what its answer says of it.
struct Waiting {
    line: u64,
    text: String,
    pair: Option<String>,
    id: Option<serde_json::Value>,
}

impl Waiting {
    fn text(&self) -> Text<'_> {
        match &self.pair {
            Some(pair) => Text::Pair(&self.text, pair),
            None => Text::Single(&self.text),
        }
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.pair.as_ref().map_or(0, String::len)
    }
}

/// What happened to the lines of a file.
#[derive(Default)]
struct Tally {
    bad: u64,
    truncated: u64,
}

/// Answers each line in order.
pub(super) fn run(model: &TextModel, mut source: Source, batch: usize, output: &mut Output) -> Outcome {
    let progress = Progress::new(source.bytes);
    let outcome = answer_all(model, &mut source, batch, &progress, output);
    progress.finish();
    let tally = outcome?;
    if tally.truncated > 0 {
        let what = format!("{} texts were cut to the model's length; their answers say so", tally.truncated);
        say("note", format_args!("{}: {what}", source.name));
    }
    match tally.bad {
        0 => Ok(()),
        bad => {
            let total = source.lines.number();
            Err(Failure::Failed(format!("{}: {bad} of {total} lines have no answer", source.name)))
        }
    }
}

fn answer_all(
    model: &TextModel,
    source: &mut Source,
    batch: usize,
    progress: &Progress,
    output: &mut Output,
) -> Outcome<Tally> {
    let format = match source.format {
        Some(format) => format,
        None => match source.lines.peek().map_err(|error| source.failed(&error))? {
            Some(b'{') => Format::Jsonl,
            _ => Format::Txt,
        },
    };
    let mut tally = Tally::default();
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut waiting_bytes = 0;
    loop {
        let line = source.lines.next().map_err(|error| source.failed(&error))?;
        let is_last = line.is_none();
        if let Some((number, line)) = line {
            match line.map_err(|bad| bad.to_string()).and_then(|line| parse(format, number, line)) {
                Ok(text) => {
                    waiting_bytes += text.bytes();
                    waiting.push(text);
                }
                Err(reason) => report(&source.name, number, &reason, progress, &mut tally),
            }
        }
        if is_last || waiting.len() == batch || waiting_bytes >= WAITING_BYTES {
            answer(model, &waiting, &source.name, progress, &mut tally, output)?;
            progress.advance(waiting.len(), source.lines.bytes());
            waiting.clear();
            waiting_bytes = 0;
        }
        if is_last {
            return Ok(tally);
        }
    }
}

fn report(name: &str, line: u64, reason: &str, progress: &Progress, tally: &mut Tally) {
    progress.suspend(|| say("error", format_args!("{name}:{line}: {reason}")));
    tally.bad += 1;
}

/// Answers a batch; where the batch as a whole fails, each text by itself, so that one bad text costs one answer.
fn answer(
    model: &TextModel,
    waiting: &[Waiting],
    name: &str,
    progress: &Progress,
    tally: &mut Tally,
    output: &mut Output,
) -> Outcome {
    let mut encoded: Vec<(&Waiting, EncodedText<'_>)> = Vec::with_capacity(waiting.len());
    for text in waiting {
        match model.encode(text.text()) {
            Ok(encoding) => encoded.push((text, encoding)),
            Err(error) => report(name, text.line, &with_causes(&error), progress, tally),
        }
    }
    let (texts, encodings): (Vec<&Waiting>, Vec<EncodedText<'_>>) = encoded.into_iter().unzip();
    let predictions: Vec<(&Waiting, Prediction)> = match model.run(&encodings) {
        Ok(predictions) => texts.into_iter().zip(predictions).collect(),
        Err(_) => {
            let mut answered = Vec::new();
            for (text, encoding) in texts.into_iter().zip(&encodings) {
                match model.run(std::slice::from_ref(encoding)) {
                    Ok(predictions) => {
                        answered.extend(predictions.into_iter().map(|prediction| (text, prediction)))
                    }
                    Err(error) => report(name, text.line, &with_causes(&error), progress, tally),
                }
            }
            answered
        }
    };
    tally.truncated +=
        predictions.iter().filter(|(_, prediction)| prediction.truncated.is_some()).count() as u64;
    progress.suspend(|| {
        for (text, prediction) in &predictions {
            let origin = Origin { line: Some(text.line), id: text.id.as_ref(), ..Origin::default() };
            record::write_json(&origin, prediction, output)?;
        }
        output.flush()
    })
}

/// A line of JSON Lines.
#[derive(Deserialize)]
struct Object {
    text: Option<String>,
    #[serde(alias = "pair")]
    text_pair: Option<String>,
    id: Option<serde_json::Value>,
}

fn parse(format: Format, line: u64, content: String) -> Result<Waiting, String> {
    if format == Format::Txt {
        return Ok(Waiting { line, text: content, pair: None, id: None });
    }
    const EXAMPLE: &str = r#"a line is an object such as {"text": "..."}"#;
    if !content.trim_start().starts_with('{') {
        return Err(format!("no JSON object; {EXAMPLE} (--format txt reads plain lines)"));
    }
    let object: Object = serde_json::from_str(&content).map_err(|error| {
        // serde_json counts lines too, and in one line that is always 1.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        format!("{reason} at column {}; {EXAMPLE}", error.column())
    })?;
    let text = object.text.ok_or_else(|| format!("no \"text\"; {EXAMPLE}"))?;
    Ok(Waiting { line, text, pair: object.text_pair, id: object.id })
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &PathBuf::from(&self.name)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        parse(Format::Jsonl, 1, line.to_owned()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn an_object_gives_its_text_pair_and_id() {
        let line = r#"{"id": 7, "text": "a", "pair": "b", "label": [1]}"#;
        let parsed = parse(Format::Jsonl, 3, line.to_owned()).unwrap();
        assert_eq!((parsed.line, parsed.text(), &parsed.id), (3, Text::Pair("a", "b"), &Some(7.into())));
        let parsed = parse(Format::Jsonl, 1, r#" {"text_pair": null, "text": "a"}"#.to_owned()).unwrap();
        assert_eq!(parsed.text(), Text::Single("a"));
    }

    #[test]
    fn a_plain_line_is_a_text_whatever_it_holds() {
        assert_eq!(parse(Format::Txt, 1, r#"{"text": 1}"#.to_owned()).unwrap().text, r#"{"text": 1}"#);
    }

    #[test]
    fn what_is_no_object_with_a_text_is_refused_with_the_place() {
        assert!(refusal(r#"["a"]"#).starts_with("no JSON object"));
        assert!(refusal("").starts_with("no JSON object"));
        assert!(refusal(r#"{"label": "a"}"#).starts_with("no \"text\""));
        assert!(
            refusal(r#"{"text": 5}"#).starts_with("invalid type: integer `5`, expected a string at column")
        );
        assert!(refusal(r#"{"text": "a""#).contains("at column 12"), "{}", refusal(r#"{"text": "a""#));
        assert!(refusal(&"[".repeat(1 << 16)).starts_with("no JSON object"));
        assert!(refusal(&format!(r#"{{"id": {}"#, "[".repeat(1 << 16))).contains("recursion"));
    }

    #[test]
    fn a_file_s_name_says_its_format() {
        assert_eq!(format_by_name(Path::new("a.JSONL")), Some(Format::Jsonl));
        assert_eq!(format_by_name(Path::new("a.txt")), Some(Format::Txt));
        assert_eq!(format_by_name(Path::new("documents")), None);
    }
}
