//! Answers of two devices, document by document.

mod flips;
mod similarity;
#[cfg(test)]
mod tests;

pub use flips::{Flip, TokenPlace};
pub use similarity::Similarity;

use super::data::{Document, Field};
use super::scores::{Tally, right_tag};
use super::statistics::{Interval, McNemar, Share, paired_bootstrap, tango, wilson};
use super::task::{Kind, Task};
use super::{Policy, Result};
use flips::{Top, deviation, shortened};
use serde::Serialize;
use similarity::Sums;

/// What a bootstrap draws from.
pub(super) const SEED: u64 = 1;
/// The most flips that a report lists; all are counted.
const LISTED_FLIPS: usize = 1000;

/// In how many documents the whole answer is the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Documents with the same answer.
    pub same: usize,
    /// Of so many.
    pub of: usize,
    /// In percent.
    pub percent: f64,
    /// Wilson's interval, in percent.
    pub interval: Interval,
}

/// A task score of both devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Its name.
    pub name: &'static str,
    /// Of how many documents.
    pub documents: usize,
    /// The trusted device's, in percent.
    pub trusted_percent: f64,
    /// The candidate's.
    pub candidate_percent: f64,
    /// The candidate's minus the trusted device's, in percentage points.
    pub difference_points: f64,
    /// The interval of the difference.
    pub interval_points: Interval,
    /// How the interval is computed.
    pub method: String,
}

/// Everything that was found in the answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Documents whose right answers are known and were compared.
    pub labelled: usize,
    /// How alike the outputs are.
    pub similarity: Similarity,
    /// How often the answers are the same; `None` for vectors.
    pub agreement: Option<Agreement>,
    /// The task's scores; none without right answers.
    pub scores: Vec<Score>,
    /// McNemar's test of documents that are right in whole; `None` without right answers.
    pub mcnemar: Option<McNemar>,
    /// All answers that differ.
    pub flip_count: usize,
    /// The first thousand of them.
    pub flips: Vec<Flip>,
    /// Right answers that are no label of the model, so that no device can give them; a document of such a class counts as
    /// unlabelled, a field of such a type as not found.
    pub unknown_labels: usize,
}

/// What is kept of a document.
struct Compared {
    labelled: bool,
    same: bool,
    right: [bool; 2],
    tallies: [Tally; 2],
}

/// Collects documents in order.
pub(super) struct Comparing<'a> {
    task: &'a dyn Task,
    sums: Sums,
    documents: Vec<Compared>,
    /// Each document's largest difference.
    deviations: Vec<f64>,
    flips: Vec<Flip>,
    flip_count: usize,
    unknown_labels: usize,
}

impl<'a> Comparing<'a> {
    pub(super) fn new(task: &'a dyn Task) -> Self {
        Self {
            task,
            sums: Sums::default(),
            documents: Vec::new(),
            deviations: Vec::new(),
            flips: Vec::new(),
            flip_count: 0,
            unknown_labels: 0,
        }
    }

    /// How many documents were added.
    pub(super) fn len(&self) -> usize {
        self.documents.len()
    }

    /// Compares the next document's outputs, the trusted device's first; both of one length.
    pub(super) fn add(&mut self, document: &Document, outputs: [&[f64]; 2]) -> Result<()> {
        self.deviations.push(self.sums.add(document.line, outputs));
        let compared = match self.task.kind() {
            Kind::Vector => {
                Compared { labelled: false, same: true, right: [false; 2], tallies: [Tally::default(); 2] }
            }
            Kind::Class => self.class(document, outputs),
            Kind::Tags => self.tags(document, outputs)?,
        };
        self.documents.push(compared);
        Ok(())
    }

    fn class(&mut self, document: &Document, outputs: [&[f64]; 2]) -> Compared {
        let tops = outputs.map(Top::of);
        let answers = tops.map(|top| self.label(top));
        let mut tallies = [Tally::default(); 2];
        // A class that no device can give would only narrow the interval.
        let known = document.label.as_ref().filter(|label| self.task.labels().contains(label));
        self.unknown_labels += usize::from(known.is_none() && document.label.is_some());
        for (tally, answer) in tallies.iter_mut().zip(&answers) {
            if let Some(right) = known {
                tally.add_class(right, answer.as_deref());
            }
        }
        let same = answers[0] == answers[1];
        if !same {
            self.flip(document, None, document.label.clone(), answers, tops, outputs);
        }
        Compared {
            labelled: known.is_some(),
            same,
            right: tallies.map(|tally| tally.right_classes == 1),
            tallies,
        }
    }

    fn tags(&mut self, document: &Document, outputs: [&[f64]; 2]) -> Result<Compared> {
        let (task, number) = (self.task, self.documents.len());
        let width = task.labels().len().max(1);
        let mut tags: [Vec<(usize, Option<String>)>; 2] = Default::default();
        let mut same = true;
        for (at, place) in task.tokens(number).iter().enumerate() {
            let Some((start, end)) = *place else { continue };
            let rows = outputs.map(|output| output.get(at * width..(at + 1) * width).unwrap_or_default());
            let tops = rows.map(Top::of);
            let answers = tops.map(|top| self.label(top));
            for (tags, answer) in tags.iter_mut().zip(&answers) {
                tags.push((start, answer.clone()));
            }
            if answers[0] != answers[1] {
                same = false;
                let text = document.text.chars().skip(start).take(end - start).collect();
                let right = document.fields.as_ref().map(|fields| right_tag(start, fields));
                self.flip(document, Some(TokenPlace { start, end, text }), right, answers, tops, rows);
            }
        }
        let mut tallies = [Tally::default(); 2];
        let mut fields: [Vec<Field>; 2] = Default::default();
        for (fields, output) in fields.iter_mut().zip(outputs) {
            if output.iter().all(|x| x.is_finite()) {
                *fields = task.fields(number, output)?;
            }
        }
        if let Some(right) = &document.fields {
            let is_known = |field: &Field| {
                let is_of = |label: &String| label.get(2..) == Some(field.kind.as_str());
                task.labels().iter().any(is_of)
            };
            self.unknown_labels += right.iter().filter(|field| !is_known(field)).count();
            for ((tally, tags), found) in tallies.iter_mut().zip(&tags).zip(&fields) {
                tally.add_fields(right, tags.iter().map(|(start, tag)| (*start, tag.as_deref())), found);
            }
        }
        Ok(Compared {
            labelled: document.fields.is_some(),
            same: same && fields[0] == fields[1],
            right: tallies.map(|tally| tally.right_tags == tally.tokens),
            tallies,
        })
    }

    fn label(&self, top: Option<Top>) -> Option<String> {
        top.and_then(|top| self.task.labels().get(top.at).cloned())
    }

    fn flip(
        &mut self,
        document: &Document,
        token: Option<TokenPlace>,
        right: Option<String>,
        [trusted, candidate]: [Option<String>; 2],
        tops: [Option<Top>; 2],
        outputs: [&[f64]; 2],
    ) {
        self.flip_count += 1;
        if self.flips.len() == LISTED_FLIPS {
            return;
        }
        self.flips.push(Flip {
            line: document.line,
            text: shortened(&document.text, token.as_ref().map_or(0, |token| token.start)),
            token,
            right,
            trusted,
            candidate,
            trusted_margin: tops[0].map(|top| top.margin),
            candidate_margin: tops[1].map(|top| top.margin),
            deviation: Some(deviation(outputs)).filter(|x| x.is_finite()),
            // Known when all documents are.
            near_tie: false,
        });
    }

    /// What the documents so far show, with the policy's confidence; `z` belongs to it.
    pub(super) fn found(mut self, policy: &Policy, z: f64) -> Found {
        let confidence = policy.confidence_percent / 100.0;
        self.deviations.sort_by(f64::total_cmp);
        let usual = self.deviations.get(self.deviations.len() / 2).copied().unwrap_or(0.0);
        for flip in &mut self.flips {
            flip.near_tie = flip.trusted_margin.is_some_and(|margin| margin <= 2.0 * usual);
        }
        let same = self.documents.iter().filter(|document| document.same).count();
        let of = self.documents.len();
        let agreement = Agreement {
            same,
            of,
            percent: 100.0 * same as f64 / of.max(1) as f64,
            interval: wilson(same, of, z).times(100.0),
        };
        let labelled: Vec<&Compared> = self.documents.iter().filter(|document| document.labelled).collect();
        let mut totals = [Tally::default(); 2];
        for document in &labelled {
            for (total, tally) in totals.iter_mut().zip(&document.tallies) {
                total.add(tally);
            }
        }
        let only = |right: [bool; 2]| labelled.iter().filter(|document| document.right == right).count();
        let (gained, lost) = (only([false, true]), only([true, false]));
        let scores = match self.task.kind() {
            _ if labelled.is_empty() => Vec::new(),
            Kind::Vector => Vec::new(),
            Kind::Class => {
                let method = "Tango's score interval for paired proportions".to_owned();
                let interval = tango(gained, lost, labelled.len(), z);
                vec![score("accuracy", labelled.len(), totals.map(|t| t.class_accuracy()), interval, method)]
            }
            Kind::Tags => {
                let of = |share: fn(&Tally) -> Share, name, values| {
                    let shares: Vec<[Share; 2]> =
                        labelled.iter().map(|document| document.tallies.each_ref().map(share)).collect();
                    let method = format!("paired bootstrap over documents, seed {SEED}");
                    score(name, shares.len(), values, paired_bootstrap(&shares, confidence, SEED), method)
                };
                vec![
                    of(tag_share, "tag accuracy", totals.map(|t| t.tag_accuracy())),
                    of(field_share, "field F1", totals.map(|t| t.field_f1())),
                ]
            }
        };
        Found {
            labelled: labelled.len(),
            similarity: self.sums.similarity(usual),
            agreement: (self.task.kind() != Kind::Vector).then_some(agreement),
            mcnemar: (!labelled.is_empty()).then(|| McNemar::new(gained, lost)),
            scores,
            flip_count: self.flip_count,
            flips: self.flips,
            unknown_labels: self.unknown_labels,
        }
    }
}

fn tag_share(tally: &Tally) -> Share {
    Share { above: tally.right_tags as f64, below: tally.tokens as f64 }
}

fn field_share(tally: &Tally) -> Share {
    Share { above: 2.0 * tally.right_fields as f64, below: (tally.fields + tally.found_fields) as f64 }
}

fn score(
    name: &'static str,
    documents: usize,
    [trusted, candidate]: [f64; 2],
    interval: Interval,
    method: String,
) -> Score {
    Score {
        name,
        documents,
        trusted_percent: 100.0 * trusted,
        candidate_percent: 100.0 * candidate,
        difference_points: 100.0 * (candidate - trusted),
        interval_points: interval.times(100.0),
        method,
    }
}
