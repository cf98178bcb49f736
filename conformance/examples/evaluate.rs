//! Both BERT-Small models over a test set: how often they are right, and whether they say what PyTorch said.
//!
//! ```text
//! python3 models/bert-small/train/credit_corpus.py target/credit-corpus
//! cargo run --release -p lockstep-conformance --example evaluate -- target/credit-corpus/test.jsonl
//! ```
//!
//! The generator makes the same bytes every time, so the recorded predictions (their form is described in
//! `models/bert-small/excerpt/README.md`) belong to its `test.jsonl` line by line. The two files are read side by side, in
//! batches, and every document whose class or tags differ from PyTorch's is printed. Exit code 1: one differs, or
//! something failed; 2: usage.
//!
//! What counts as right is `lockstep_conformance::accept::Tally`'s: the tags are those that `train/train.py` makes, and the
//! predicted fields those that `lockstep run` prints: neighbouring tags of one type joined, unless the later is a `B-`.
#![allow(clippy::print_stdout)] // The figures are this program's output.

use lockstep_bert::{
    Aggregation, BertModel, ClassScores, Encoding, EntityOptions, Head, LoadOptions, extract_entities,
};
use lockstep_candle::CandleBackend;
use lockstep_conformance::accept::{Field, Tally, TestSet};
use lockstep_cpu::CpuBackend;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Registry, Session};
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: evaluate TEST_JSONL [--predictions FILE] [--device cpu|candle|reference]";
/// Documents that run together.
const BATCH: usize = 32;
/// The most tokens of a document, special tokens included: that of the recorded predictions.
const MAX_LENGTH: usize = 128;
/// The first letter of a tag in the recorded predictions.
const FIRST_TAG: u8 = b'a';

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match evaluate(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(documents) => {
            eprintln!("documents that differ from PyTorch's predictions: {documents}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    test: PathBuf,
    predictions: PathBuf,
    device: String,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut test, mut predictions, mut device) = (None, None, None);
        while let Some(argument) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--predictions" => predictions = Some(value()?),
                "--device" => device = Some(value()?),
                option if option.starts_with("--") => return Err(format!("no such option: {option}")),
                path if test.is_none() => test = Some(PathBuf::from(path)),
                extra => return Err(format!("one test file, not also {extra}")),
            }
        }
        Ok(Self {
            test: test.ok_or("which test file?")?,
            predictions: predictions
                .map_or_else(|| bert_small("excerpt/test_predictions.txt"), PathBuf::from),
            device: device.unwrap_or_else(|| "cpu".to_owned()),
        })
    }
}

fn bert_small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bert-small").join(name)
}

/// A class, and a tag per token without the special ones.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Predicted {
    class: String,
    tags: Vec<String>,
}

/// Runs everything, prints the figures, and gives how many documents differ from the recorded predictions.
fn evaluate(arguments: &Arguments) -> Result<usize, Failure> {
    let backends: Vec<Arc<dyn Backend>> = vec![
        Arc::new(CpuBackend::default()),
        Arc::new(CandleBackend::new()),
        Arc::new(ReferenceBackend::new()),
    ];
    let device = Registry::new(backends).open(&arguments.device)?;
    let classifier = Model::load("document-classifier", device.clone())?;
    let extractor = Model::load("field-extractor", device.clone())?;
    let set = TestSet::read(&arguments.test, None)?;
    let mut recorded = Recorded::open(&arguments.predictions)?;

    let (mut tally, mut apart, start) = (Tally::default(), Apart::default(), Instant::now());
    for batch in set.documents.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|document| document.text.as_str()).collect();
        let classes = classifier.classes(&texts)?;
        let tagged = extractor.fields(&texts)?;
        for ((document, class), tagged) in batch.iter().zip(classes).zip(tagged) {
            let number = document.line;
            let pytorch = recorded.next()?.ok_or_else(|| {
                format!("{} ends before document {number}", arguments.predictions.display())
            })?;
            let (Some(label), Some(fields)) = (&document.label, &document.fields) else {
                return Err(
                    format!("{}, line {number}: has no label or no entities", set.path.display()).into()
                );
            };
            tally.add_class(label, Some(&class));
            tally.add_fields(fields, tagged.starts_and_tags(), &tagged.fields);
            let ours = Predicted { class, tags: tagged.tags };
            apart.compare(number, &ours, &pytorch);
        }
    }
    if recorded.next()?.is_some() {
        return Err(format!(
            "{} has fewer documents than {}; is it the generator's whole test.jsonl?",
            arguments.test.display(),
            arguments.predictions.display()
        )
        .into());
    }
    print(&tally, &apart, device.as_ref(), start.elapsed().as_secs_f64());
    Ok(apart.documents)
}

fn lines_of(path: &Path) -> Result<Lines<BufReader<File>>, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufReader::new(file).lines())
}

/// PyTorch's predictions, a document at a time.
struct Recorded {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    classes: Vec<String>,
    tags: Vec<String>,
}

impl Recorded {
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut lines = lines_of(path)?;
        let mut names = |what: &str| -> Result<Vec<String>, Failure> {
            let line = lines.next().ok_or_else(|| format!("{} has no line of {what}", path.display()))??;
            Ok(line.split(' ').map(str::to_owned).collect())
        };
        let (classes, tags) = (names("classes")?, names("tags")?);
        Ok(Self { path: path.to_owned(), lines, classes, tags })
    }

    fn next(&mut self) -> Result<Option<Predicted>, Failure> {
        let Some(line) = self.lines.next().transpose()? else { return Ok(None) };
        let parsed = parse_recorded(&line, &self.classes, &self.tags);
        parsed.map(Some).ok_or_else(|| format!("{}: not a prediction: {line:?}", self.path.display()).into())
    }
}

/// A line such as `0 aab`: the class's number, and a letter per token.
fn parse_recorded(line: &str, classes: &[String], tags: &[String]) -> Option<Predicted> {
    let (class, letters) = line.split_once(' ')?;
    let tag = |letter: u8| tags.get(usize::from(letter.checked_sub(FIRST_TAG)?)).cloned();
    Some(Predicted {
        class: classes.get(class.parse::<usize>().ok()?)?.clone(),
        tags: letters.bytes().map(tag).collect::<Option<Vec<String>>>()?,
    })
}

/// What the extractor says of a document.
struct Tagged {
    /// A tag per token of the text.
    tags: Vec<String>,
    /// The first character of each of those tokens, and one past its last.
    offsets: Vec<(usize, usize)>,
    fields: Vec<Field>,
}

impl Tagged {
    /// Each token's first character and its tag.
    fn starts_and_tags(&self) -> impl Iterator<Item = (usize, Option<&str>)> {
        self.tags.iter().zip(&self.offsets).map(|(tag, (start, _))| (*start, Some(tag.as_str())))
    }
}

/// A model on a device.
struct Model {
    bert: BertModel,
    session: Session,
}

impl Model {
    fn load(name: &str, device: Arc<dyn Device>) -> Result<Self, Failure> {
        let options = LoadOptions { dtype: device.info().default_dtype, max_length: Some(MAX_LENGTH) };
        let bert = BertModel::load(&bert_small(name), options)?;
        let session = Session::builder(bert.graph().clone()).device(device).build()?;
        Ok(Self { bert, session })
    }

    /// The tokens of each text, and the logits of all of them, padded to the longest.
    fn logits(&self, texts: &[&str]) -> Result<(Vec<Encoding>, HostTensor), Failure> {
        let encodings = texts.iter().map(|&text| self.bert.encode(text)).collect::<Result<Vec<_>, _>>()?;
        let longest = encodings.iter().map(Encoding::len).max().unwrap_or(0);
        let padded = |row: fn(&Encoding) -> Vec<u32>| {
            let rows = encodings.iter().flat_map(|encoding| {
                row(encoding).into_iter().chain(std::iter::repeat(0)).take(longest).map(i64::from)
            });
            HostTensor::from_slice(&[encodings.len(), longest], &rows.collect::<Vec<_>>())
        };
        let ids = padded(|encoding| encoding.ids.clone())?;
        let types = padded(|encoding| encoding.type_ids.clone())?;
        let mask = padded(|encoding| vec![1; encoding.len()])?;
        let inputs = [("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)];
        let logits = self.session.run(&inputs)?.output("logits")?.clone();
        Ok((encodings, logits))
    }

    fn classes(&self, texts: &[&str]) -> Result<Vec<String>, Failure> {
        let Head::SequenceClassification { activation } = self.bert.head() else {
            return Err(format!("{} is not a classifier", self.bert.path().display()).into());
        };
        let labels = &self.bert.config().labels;
        let logits = self.logits(texts)?.1.to_f64();
        let best = |row| Ok(ClassScores::from_logits(row, labels, *activation)?.best().label.clone());
        logits.chunks_exact(labels.len()).map(best).collect()
    }

    fn fields(&self, texts: &[&str]) -> Result<Vec<Tagged>, Failure> {
        let labels = &self.bert.config().labels;
        let options = EntityOptions { aggregation: Aggregation::Simple, ..EntityOptions::default() };
        let (encodings, logits) = self.logits(texts)?;
        let row_length = logits.shape()[1] * labels.len();
        let logits = logits.to_f64();
        let rows = texts.iter().zip(&encodings).zip(logits.chunks_exact(row_length));
        rows.map(|((&text, encoding), row)| {
            let row = &row[..encoding.len() * labels.len()];
            let found = extract_entities(row, text, encoding, self.bert.tokenizer()?, labels, &options)?;
            let tag = |logits| labels.get(largest(logits)).unwrap_or_default().to_owned();
            let of_text = |at: &usize| !encoding.special_mask[*at];
            Ok(Tagged {
                tags: (0..encoding.len())
                    .filter(of_text)
                    .map(|at| tag(&row[at * labels.len()..][..labels.len()]))
                    .collect(),
                offsets: (0..encoding.len()).filter(of_text).map(|at| encoding.offsets[at]).collect(),
                fields: (found.into_iter())
                    .map(|entity| Field { kind: entity.label, start: entity.start, end: entity.end })
                    .collect(),
            })
        })
        .collect()
    }
}

/// The index of the largest; of equal ones the first, as in PyTorch.
fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// Where answers differ from PyTorch's.
#[derive(Debug, Default, PartialEq)]
struct Apart {
    documents: usize,
    classes: usize,
    tags: usize,
}

impl Apart {
    /// Counts and prints where a document's answers differ from PyTorch's.
    fn compare(&mut self, number: usize, ours: &Predicted, pytorch: &Predicted) {
        if ours == pytorch {
            return;
        }
        self.documents += 1;
        if ours.class != pytorch.class {
            self.classes += 1;
            println!("document {number}: class {}, PyTorch says {}", ours.class, pytorch.class);
        }
        let (found, expected) = (ours.tags.len(), pytorch.tags.len());
        if found != expected {
            self.tags += found.max(expected);
            println!("document {number}: {found} tokens, PyTorch has {expected}; is it the same test set?");
            return;
        }
        for (at, (tag, expected)) in ours.tags.iter().zip(&pytorch.tags).enumerate() {
            if tag != expected {
                self.tags += 1;
                println!("document {number}, token {at}: {tag}, PyTorch says {expected}");
            }
        }
    }
}

fn print(tally: &Tally, apart: &Apart, device: &dyn Device, seconds: f64) {
    let info = device.info();
    let Tally { documents, tokens, fields, right_fields, found_fields, .. } = tally;
    println!("device          {} ({}), {}", info.id, info.name, info.default_dtype);
    println!("test set        {documents} documents, {tokens} tokens, {fields} fields");
    let class = 100.0 * tally.class_accuracy();
    println!("class accuracy  {class:.2} % ({} of {documents})", tally.right_classes);
    let tag = 100.0 * tally.tag_accuracy();
    println!("tag accuracy    {tag:.2} % ({} of {tokens})", tally.right_tags);
    let [f1, precision, recall] =
        [tally.field_f1(), tally.precision(), tally.recall()].map(|share| 100.0 * share);
    println!(
        "field F1        {f1:.2} % (precision {precision:.2} %, recall {recall:.2} %; {right_fields} right of \
         {found_fields} found)"
    );
    println!("PyTorch f32     {} classes and {} tags differ", apart.classes, apart.tags);
    println!(
        "time            {seconds:.1} s, {:.0} documents/s through both models",
        *documents as f64 / seconds
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn a_recorded_line_is_a_class_and_a_letter_per_token() {
        let (classes, tags) = (strings(&["x", "y"]), strings(&["O", "B-PER", "I-PER"]));
        let expected = Predicted { class: "y".into(), tags: strings(&["O", "B-PER", "I-PER", "O"]) };
        assert_eq!(parse_recorded("1 abca", &classes, &tags), Some(expected));
        for wrong in ["1", "2 a", "x a", "1 d", "1 A", "-1 a", ""] {
            assert_eq!(parse_recorded(wrong, &classes, &tags), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_difference_from_pytorch_is_counted() {
        let ours = Predicted { class: "x".into(), tags: strings(&["O", "O", "B-PER"]) };
        let mut apart = Apart::default();
        apart.compare(1, &ours, &ours.clone());
        assert_eq!(apart, Apart::default());
        apart.compare(2, &ours, &Predicted { class: "y".into(), tags: strings(&["O", "B-PER", "O"]) });
        assert_eq!((apart.documents, apart.classes, apart.tags), (1, 1, 2));
        apart.compare(3, &ours, &Predicted { class: "x".into(), tags: strings(&["O"]) });
        assert_eq!((apart.documents, apart.classes, apart.tags), (2, 1, 5));
    }

    #[test]
    fn arguments_have_defaults_and_refuse_what_is_unknown() {
        let parse = |given: &[&str]| Arguments::parse(strings(given).into_iter());
        let arguments = parse(&["t.jsonl", "--device", "candle"]).expect("good arguments");
        assert_eq!((arguments.test, arguments.device.as_str()), (PathBuf::from("t.jsonl"), "candle"));
        assert!(arguments.predictions.is_file());
        for wrong in [&[][..], &["--device"], &["a", "b"], &["a", "--fast"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
