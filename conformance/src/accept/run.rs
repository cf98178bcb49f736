//! Running documents through both devices, and judging what comes out.

use super::comparing::{Comparing, Found};
use super::data::TestSet;
use super::goals::{Evidence, judge};
use super::outputs::DocumentOutputs;
use super::policy::Policy;
use super::report::{Data, Report, Side, Speeds, decide};
use super::speed::{Measured, measure};
use super::statistics::normal_quantile;
use super::task::{Kind, Task};
use super::{Error, Result};
use crate::golden::{Pack, RecordedDevice};
use lockstep_runtime::Session;
use lockstep_runtime::tensor::DType;
use std::time::Duration;

/// The device whose place is to be taken.
#[derive(Clone, Copy, Debug)]
pub enum Trusted<'a> {
    /// It is here.
    Device(&'a Session, DType),
    /// It was recorded.
    Pack(&'a Pack),
}

/// What is asked, and how.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The model, as it was named.
    pub model: String,
    /// The goals.
    pub policy: Policy,
    /// Documents that run together.
    pub batch: usize,
    /// The time for each of throughput and latency, for each device.
    pub time: Duration,
    /// The command line that does it again.
    pub command: String,
    /// What a reader has to know of how the documents were read.
    pub notes: Vec<String>,
}

/// Holds a session, whose model computes in the given dtype, to what the trusted device gives for the same documents.
/// `progress` is told how many documents are done.
///
/// A device that fails midway does not lose what was found: the report says so in [`Report::stopped`].
///
/// # Errors
/// [`Error::Pack`] for a pack without documents, or of other data; [`Error::Task`]. That the pack is of the same model is
/// the caller's to ask ([`Pack::fits`]), who has the graph that it was recorded of.
pub fn accept(
    trusted: Trusted<'_>,
    (candidate, dtype): (&Session, DType),
    task: &dyn Task,
    data: &TestSet,
    setting: &Setting,
    progress: &dyn Fn(usize, usize),
) -> Result<Report> {
    let sides = (side_of(trusted), side(candidate, dtype));
    let recorded = match trusted {
        Trusted::Pack(pack) => Some(pack.outputs_of(data, task)?),
        Trusted::Device(..) => None,
    };
    let source = Source { trusted, recorded: recorded.as_ref(), candidate, task };
    let (comparing, mut stopped) = compare(&source, data, setting.batch, progress)?;
    let compared = comparing.len();
    let early = stopped.clone();
    let speeds = match &early {
        Some(_) => Err("a device failed before".to_owned()),
        None => speeds(trusted, candidate, task, data, setting, &mut stopped)?,
    };
    let z = normal_quantile(setting.policy.confidence_percent / 100.0);
    let found = comparing.found(&setting.policy, z);
    let evidence = Evidence {
        kind: task.kind(),
        found: &found,
        speeds: speeds.as_ref().map_err(String::as_str),
        stopped: early.as_deref(),
    };
    let goals = judge(&setting.policy, &evidence);
    let notes = notes(&found, data, setting, z, task.kind(), &sides.0, speeds.as_ref().ok());
    let (outcome, headline) = decide(&goals, &sides.1, &sides.0);
    Ok(Report {
        schema: Report::SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        outcome,
        headline,
        model: setting.model.clone(),
        kind: task.kind(),
        trusted: sides.0,
        candidate: sides.1,
        data: Data {
            path: data.path.display().to_string(),
            sha256: data.sha256.clone(),
            documents: data.documents.len(),
            compared,
            is_cut: data.is_cut,
            batch: setting.batch,
        },
        policy: setting.policy,
        goals,
        found,
        speeds: speeds.ok(),
        notes,
        stopped,
        command: setting.command.clone(),
    })
}

fn side(session: &Session, dtype: DType) -> Side {
    let device = RecordedDevice::of(session.prepared().device().info());
    Side { device, dtype, pack_sha256: None, recorded_by: None }
}

fn side_of(trusted: Trusted<'_>) -> Side {
    match trusted {
        Trusted::Device(session, dtype) => side(session, dtype),
        Trusted::Pack(pack) => {
            let manifest = pack.manifest();
            Side {
                device: manifest.device.clone(),
                dtype: manifest.dtype,
                pack_sha256: Some(manifest.manifest_sha256.clone()),
                recorded_by: Some(manifest.lockstep.clone()),
            }
        }
    }
}

/// Where the outputs of a batch come from.
struct Source<'a> {
    trusted: Trusted<'a>,
    recorded: Option<&'a DocumentOutputs>,
    candidate: &'a Session,
    task: &'a dyn Task,
}

/// Compares all documents, or those before a device failed, and says how it failed.
fn compare<'a>(
    source: &Source<'a>,
    data: &TestSet,
    batch: usize,
    progress: &dyn Fn(usize, usize),
) -> Result<(Comparing<'a>, Option<String>)> {
    let count = data.documents.len();
    let numbers: Vec<usize> = (0..count).collect();
    let mut comparing = Comparing::new(source.task);
    let mut recorded = source.recorded.map(DocumentOutputs::documents);
    for documents in numbers.chunks(batch.max(1)) {
        let stopped = |session: &Session, error: Error| match error {
            Error::Run(error) => {
                let device = &session.prepared().device().info().id;
                let done = documents[0];
                Ok(format!("{device} failed after {done} of {count} documents: {error}"))
            }
            other => Err(other),
        };
        let theirs = match source.trusted {
            Trusted::Device(session, _) => match DocumentOutputs::run(session, source.task, documents) {
                Ok(outputs) => Some(outputs),
                Err(error) => return Ok((comparing, Some(stopped(session, error)?))),
            },
            Trusted::Pack(_) => None,
        };
        let ours = match DocumentOutputs::run(source.candidate, source.task, documents) {
            Ok(outputs) => outputs,
            Err(error) => return Ok((comparing, Some(stopped(source.candidate, error)?))),
        };
        let theirs: Vec<&[f64]> = match (&theirs, &mut recorded) {
            (Some(outputs), _) => outputs.documents().collect(),
            (None, Some(recorded)) => recorded.by_ref().take(documents.len()).collect(),
            (None, None) => Vec::new(),
        };
        for ((&at, theirs), ours) in documents.iter().zip(theirs).zip(ours.documents()) {
            comparing.add(&data.documents[at], [theirs, ours])?;
        }
        progress(comparing.len(), count);
    }
    Ok((comparing, None))
}

/// What was measured, or why nothing was.
fn speeds(
    trusted: Trusted<'_>,
    candidate: &Session,
    task: &dyn Task,
    data: &TestSet,
    setting: &Setting,
    stopped: &mut Option<String>,
) -> Result<std::result::Result<Speeds, String>> {
    let policy = &setting.policy;
    let asked = [policy.throughput_percent, policy.p99_latency_percent, policy.memory_percent];
    if asked.iter().all(Option::is_none) {
        return Ok(Err("the policy asks for no speed".to_owned()));
    }
    let count = data.documents.len();
    let theirs = match trusted {
        Trusted::Device(..) => None,
        Trusted::Pack(pack) => match pack.speed_of(count, setting.batch) {
            Ok(measured) => Some(measured),
            Err(reason) => return Ok(Err(reason)),
        },
    };
    let sessions: &[&Session] = match &trusted {
        Trusted::Device(session, _) => &[session, candidate],
        Trusted::Pack(_) => &[candidate],
    };
    let measured: Vec<Measured> = match measure(sessions, task, count, setting.batch, setting.time) {
        Ok(measured) => measured,
        Err(Error::Run(error)) => {
            let what = format!("a device failed while its speed was measured: {error}");
            *stopped = Some(what.clone());
            return Ok(Err(what));
        }
        Err(other) => return Err(other),
    };
    let mut measured = measured.into_iter();
    let in_turns = theirs.is_none();
    let pair = (theirs.or_else(|| measured.next()), measured.next());
    Ok(match pair {
        (Some(theirs), Some(ours)) => Ok(Speeds::new(theirs, ours, in_turns)),
        _ => Err("not all devices were measured".to_owned()),
    })
}

fn notes(
    found: &Found,
    data: &TestSet,
    setting: &Setting,
    z: f64,
    kind: Kind,
    trusted: &Side,
    speeds: Option<&Speeds>,
) -> Vec<String> {
    let mut notes = setting.notes.clone();
    let documents = data.documents.len();
    let key = match kind {
        Kind::Class => Some("label"),
        Kind::Tags => Some("entities"),
        Kind::Vector => None,
    };
    if let Some(key) = key
        && found.labelled < documents
        && found.agreement.is_some_and(|agreement| agreement.of == documents)
    {
        notes.push(format!(
            "{} of {documents} documents are unlabelled: give each line a \"{key}\", and its task score can be judged",
            documents - found.labelled
        ));
    }
    if found.unknown_labels > 0 {
        notes.push(format!(
            "{} right answers are no label of this model, so that no device can give them (such a class counts as unlabelled, such \
             a field as not found); are the data another model's?",
            found.unknown_labels
        ));
    }
    if let (Some(limit), Some(score)) = (setting.policy.task_loss_points, found.scores.first())
        && limit > 0.0
    {
        // The width of Tango's interval without any difference.
        let share = limit / 100.0;
        let needed = (z * z * (1.0 - share) / share).ceil() as usize;
        if score.documents < needed {
            notes.push(format!(
                "{} labelled documents are too few to exclude a loss of {limit} points even if no answer changes; it takes \
                 {needed}",
                score.documents
            ));
        }
    }
    for (side, count) in ["trusted device", "candidate"].iter().zip(found.similarity.not_finite) {
        if count > 0 {
            notes.push(format!(
                "the {side} gives NaN or infinite outputs in {count} documents, which count as no answer"
            ));
        }
    }
    if trusted.pack_sha256.is_some() && speeds.is_some() {
        notes.push(
            "the trusted device's speed was recorded on another occasion and perhaps on another machine: the ratios compare \
             two setups, not two devices side by side"
                .to_owned(),
        );
    }
    if data.is_cut {
        notes.push(format!("only the first {documents} documents of the file were taken"));
    }
    notes
}
