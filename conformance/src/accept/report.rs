//! The page that someone signs: everything that was asked, found and measured, and how to do it again.

use super::comparing::Found;
use super::goals::{Goal, Status};
use super::policy::Policy;
use super::speed::Measured;
use super::task::Kind;
use crate::golden::RecordedDevice;
use crate::report::junit::{Ending, Suite, TestCase};
use crate::report::{Error, Page, html};
use lockstep_runtime::tensor::DType;
use serde::Serialize;
use std::fmt;

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Outcome {
    /// Every goal is met.
    Accepted,
    /// A goal is missed.
    Rejected,
    /// None is missed, but some were not run.
    Incomplete,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Accepted => "ACCEPTED",
            Outcome::Rejected => "REJECTED",
            Outcome::Incomplete => "INCOMPLETE",
        })
    }
}

/// One of the two devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The device, with how it computes.
    #[serde(flatten)]
    pub device: RecordedDevice,
    /// The dtype that the model computed in.
    pub dtype: DType,
    /// The digest of the pack's manifest, where the device was recorded and is not here.
    pub pack_sha256: Option<String>,
    /// The version of Lockstep that recorded it.
    pub recorded_by: Option<String>,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simulated = if self.device.simulated { " (simulated)" } else { "" };
        write!(f, "{}{simulated} in {}", self.device.id, self.dtype)
    }
}

/// The documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Data {
    /// The file.
    pub path: String,
    /// SHA-256 of the whole file.
    pub sha256: String,
    /// Documents that were to be compared.
    pub documents: usize,
    /// Documents that were compared.
    pub compared: usize,
    /// Whether the file has more than these.
    pub is_cut: bool,
    /// Documents that ran together.
    pub batch: usize,
}

/// Speed and memory of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speeds {
    /// The trusted device's.
    pub trusted: Measured,
    /// The candidate's.
    pub candidate: Measured,
    /// Whether both were measured in turns in one process; otherwise on two occasions, and perhaps on two machines.
    pub in_turns: bool,
    /// Documents per second, of the trusted device's, in percent.
    pub throughput_percent: f64,
    /// The 99th percentile of latency, likewise.
    pub p99_latency_percent: f64,
    /// Planned memory, likewise.
    pub memory_percent: f64,
}

impl Speeds {
    pub(super) fn new(trusted: Measured, candidate: Measured, in_turns: bool) -> Self {
        let percent = |of: fn(&Measured) -> f64| 100.0 * of(&candidate) / of(&trusted);
        Self {
            throughput_percent: percent(|measured| measured.documents_per_second),
            p99_latency_percent: percent(|measured| measured.latency.p99_ms),
            memory_percent: percent(|measured| measured.planned_memory.total() as f64),
            trusted,
            candidate,
            in_turns,
        }
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Counts changes that break the readers of its JSON.
    pub schema: &'static str,
    /// The version of Lockstep.
    pub version: &'static str,
    /// The decision.
    pub outcome: Outcome,
    /// The decision with its reasons, in one line.
    pub headline: String,
    /// The model, as it was named.
    pub model: String,
    /// What it answers.
    pub kind: Kind,
    /// The device whose place is to be taken.
    pub trusted: Side,
    /// The device that is to take it.
    pub candidate: Side,
    /// What they were asked.
    pub data: Data,
    /// What was asked of the candidate.
    pub policy: Policy,
    /// Each goal of the policy.
    pub goals: Vec<Goal>,
    /// What was found in the answers.
    pub found: Found,
    /// What was measured, if it was.
    pub speeds: Option<Speeds>,
    /// What a reader has to know beside the numbers.
    pub notes: Vec<String>,
    /// Which device failed, at what, where one did; everything else is what was found until then.
    pub stopped: Option<String>,
    /// The command line that does it again.
    pub command: String,
}

impl Report {
    /// The version of its JSON.
    pub const SCHEMA: &'static str = "lockstep-accept/1";

    /// A test case for each goal.
    pub fn suite(&self) -> Suite {
        let case = |goal: &Goal| TestCase {
            class: "accept".to_owned(),
            name: format!("{}: {}", goal.name, goal.goal),
            ending: match &goal.status {
                Status::Met => Ending::Passed,
                Status::Missed => Ending::Failed(format!("MISSED: {}", goal.actual)),
                Status::NotRun(reason) => Ending::Skipped(format!("NOT-RUN ({reason})")),
            },
        };
        Suite { name: self.candidate.to_string(), cases: self.goals.iter().map(case).collect() }
    }

    /// Whether every goal is met.
    pub fn holds(&self) -> bool {
        self.outcome == Outcome::Accepted
    }
}

impl Page for Report {
    fn html(&self) -> Result<String, Error> {
        html::render("accept.html", self, minijinja::Value::UNDEFINED)
    }
}

/// The decision that follows from the goals, and its line.
pub(super) fn decide(goals: &[Goal], candidate: &Side, trusted: &Side) -> (Outcome, String) {
    let met = goals.iter().filter(|goal| goal.status == Status::Met).count();
    let missed: Vec<String> = (goals.iter())
        .filter(|goal| goal.status == Status::Missed)
        .map(|goal| format!("{} ({}; {})", goal.name, goal.actual, goal.goal))
        .collect();
    let not_run: Vec<String> = (goals.iter())
        .filter_map(|goal| match &goal.status {
            Status::NotRun(reason) => Some(format!("{} ({reason})", goal.name)),
            _ => None,
        })
        .collect();
    let mut reasons = Vec::new();
    if !missed.is_empty() {
        reasons.push(format!("missed {}", missed.join(", ")));
    }
    if !not_run.is_empty() {
        reasons.push(format!("not run {}", not_run.join(", ")));
    }
    let count = format!("{met} of {} goals met", goals.len());
    let (outcome, may) = match (missed.is_empty(), not_run.is_empty()) {
        (true, true) => (Outcome::Accepted, "may replace"),
        (false, _) => (Outcome::Rejected, "may not replace"),
        (true, false) => (Outcome::Incomplete, "may not replace"),
    };
    reasons.push(count);
    let yet = if outcome == Outcome::Incomplete { " yet" } else { "" };
    let line = format!("{outcome} {candidate} {may} {trusted}{yet}: {}", reasons.join("; "));
    (outcome, line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_reference::ReferenceBackend;
    use lockstep_runtime::Backend;

    fn side() -> Side {
        let device = ReferenceBackend::new().open(0).unwrap();
        Side {
            device: RecordedDevice::of(device.info()),
            dtype: DType::F64,
            pack_sha256: None,
            recorded_by: None,
        }
    }

    fn goal(name: &str, status: Status) -> Goal {
        Goal {
            name: name.into(),
            goal: "at least 80 %".into(),
            actual: "61 %".into(),
            status,
            limit: 80.0,
            value: Some(61.0),
        }
    }

    #[test]
    fn a_goal_that_was_not_run_is_not_met() {
        let not_run = Status::NotRun("unlabelled".into());
        let decided = |statuses: &[Status]| {
            let goals: Vec<Goal> = statuses.iter().map(|status| goal("speed", status.clone())).collect();
            decide(&goals, &side(), &side())
        };
        let (outcome, line) = decided(&[Status::Met, Status::Met]);
        assert_eq!(
            (outcome, line.as_str()),
            (
                Outcome::Accepted,
                "ACCEPTED reference:0 in f64 may replace reference:0 in f64: 2 of 2 goals met"
            )
        );
        let (outcome, line) = decided(&[Status::Met, not_run.clone()]);
        assert_eq!(outcome, Outcome::Incomplete);
        assert!(line.contains("not run speed (unlabelled); 1 of 2"), "{line}");
        let (outcome, line) = decided(&[Status::Missed, not_run]);
        assert_eq!(outcome, Outcome::Rejected);
        assert!(line.contains("missed speed (61 %; at least 80 %); not run speed"), "{line}");
    }
}
