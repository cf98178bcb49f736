//! What was asked and what was found, goal by goal.

use super::comparing::{Found, Score};
use super::policy::Policy;
use super::report::Speeds;
use super::task::Kind;
use serde::Serialize;
use std::fmt;

/// Whether a goal is met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "reason", rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Status {
    /// It is.
    Met,
    /// It is not.
    Missed,
    /// It was not measured to the end, and so is not met.
    NotRun(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Met => f.write_str("MET"),
            Status::Missed => f.write_str("MISSED"),
            Status::NotRun(reason) => write!(f, "NOT-RUN ({reason})"),
        }
    }
}

/// One line of the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// What is measured.
    pub name: String,
    /// What is asked of it, in words.
    pub goal: String,
    /// What was found, in words; a dash if nothing.
    pub actual: String,
    /// Whether that is enough.
    #[serde(flatten)]
    pub status: Status,
    /// What is asked, as a number.
    pub limit: f64,
    /// What was found, as a number.
    pub value: Option<f64>,
}

/// What the goals are judged by.
pub(super) struct Evidence<'a> {
    pub(super) kind: Kind,
    pub(super) found: &'a Found,
    /// What was measured, or why it was not.
    pub(super) speeds: Result<&'a Speeds, &'a str>,
    /// Why not all documents were compared.
    pub(super) stopped: Option<&'a str>,
}

type Words = fn(f64) -> String;
type Holds = fn(f64, f64) -> bool;

/// A goal of the policy before it is judged.
struct Asked<'a> {
    name: &'a str,
    /// What is asked, given the limit.
    words: Words,
    /// Whether a value is within the limit.
    holds: Holds,
    /// `Ok(None)` is no number, which is a miss; `Err` says why nothing was measured.
    value: Result<Option<f64>, &'a str>,
    actual: String,
}

impl Asked<'_> {
    /// The goal; none where the policy has no limit for it. A value of documents that ended early is shown, not judged.
    fn judged(self, limit: Option<f64>, stopped: Option<&str>) -> Option<Goal> {
        let limit = limit?;
        let status = match (stopped, self.value) {
            (Some(reason), _) | (None, Err(reason)) => Status::NotRun(reason.to_owned()),
            (None, Ok(Some(value))) if (self.holds)(value, limit) => Status::Met,
            (None, Ok(_)) => Status::Missed,
        };
        Some(Goal {
            name: self.name.to_owned(),
            goal: (self.words)(limit),
            actual: self.actual,
            status,
            limit,
            value: self.value.ok().flatten(),
        })
    }
}

/// Every goal of the policy.
pub(super) fn judge(policy: &Policy, evidence: &Evidence<'_>) -> Vec<Goal> {
    let mut goals = of_outputs(policy, evidence);
    goals.extend(of_scores(policy, evidence));
    goals.extend(of_speed(policy, evidence));
    goals
}

fn of_outputs(policy: &Policy, evidence: &Evidence<'_>) -> Vec<Goal> {
    let similarity = &evidence.found.similarity;
    let [trusted, candidate] = similarity.not_finite;
    let broken =
        || format!("NaN or infinite in {trusted} documents of the trusted, {candidate} of the candidate");
    let alike = Asked {
        name: "output similarity",
        words: |limit| format!("at least {limit} %"),
        holds: |value, limit| value >= limit,
        value: Ok(similarity.cosine_percent),
        actual: similarity.cosine_percent.map_or_else(broken, |percent| format!("{percent:.7} %")),
    };
    let largest = Asked {
        name: "largest error",
        words: |limit| format!("at most {limit}"),
        holds: |value, limit| value <= limit,
        value: Ok(similarity.largest_error),
        actual: similarity.largest_error.map_or_else(broken, |largest| format!("{largest:.2e}")),
    };
    let agreement = evidence.found.agreement.as_ref();
    let agreeing = Asked {
        name: "agreement",
        words: |limit| format!("at least {limit} %"),
        holds: |value, limit| value >= limit,
        value: agreement.map(|agreement| Some(agreement.percent)).ok_or("vectors are no answers"),
        actual: agreement.map_or_else(dash, |agreement| format!("{:.3} %", agreement.percent)),
    };
    let limits = [policy.similarity_percent, policy.largest_error, policy.agreement_percent];
    let asked = [alike, largest, agreeing].into_iter().zip(limits);
    asked.filter_map(|(asked, limit)| asked.judged(limit, evidence.stopped)).collect()
}

/// Two goals a score: the loss, and what its interval excludes.
fn of_scores(policy: &Policy, evidence: &Evidence<'_>) -> Vec<Goal> {
    let (names, unscored): (&[&str], _) = match evidence.kind {
        Kind::Class => (&["accuracy"], "unlabelled"),
        Kind::Tags => (&["tag accuracy", "field F1"], "unlabelled"),
        Kind::Vector => {
            (&["task score"], "nothing is right or wrong about a vector; set task_loss_points = \"off\"")
        }
    };
    let mut goals = Vec::new();
    for name in names {
        let score = evidence.found.scores.iter().find(|score| score.name == *name).ok_or(unscored);
        let loss = Asked {
            name,
            words: |limit| format!("loss of at most {limit} points"),
            holds: |value, limit| value >= -limit,
            value: score.map(|score| Some(score.difference_points)),
            actual: score.map_or_else(|_| dash(), difference),
        };
        let excluded = Asked {
            name: &format!("{name}, interval"),
            words: |limit| format!("excludes a loss of {limit} points"),
            holds: |value, limit| value > -limit,
            value: score.map(|score| Some(score.interval_points.low)),
            actual: score.map_or_else(|_| dash(), interval),
        };
        let asked = [loss, excluded].into_iter();
        goals.extend(asked.filter_map(|asked| asked.judged(policy.task_loss_points, evidence.stopped)));
    }
    goals
}

fn of_speed(policy: &Policy, evidence: &Evidence<'_>) -> Vec<Goal> {
    let ratio = |name, ratio: fn(&Speeds) -> f64, words, holds| Asked {
        name,
        words,
        holds,
        value: evidence.speeds.map(|speeds| Some(ratio(speeds))),
        actual: evidence.speeds.map_or_else(|_| dash(), |speeds| format!("{:.1} %", ratio(speeds))),
    };
    let at_least: (Words, Holds) =
        (|limit| format!("at least {limit} % of the trusted"), |value, limit| value >= limit);
    let at_most: (Words, Holds) =
        (|limit| format!("at most {limit} % of the trusted"), |value, limit| value <= limit);
    let asked = [
        (ratio("throughput", |s| s.throughput_percent, at_least.0, at_least.1), policy.throughput_percent),
        (ratio("P99 latency", |s| s.p99_latency_percent, at_most.0, at_most.1), policy.p99_latency_percent),
        (ratio("planned memory", |s| s.memory_percent, at_most.0, at_most.1), policy.memory_percent),
    ];
    asked.into_iter().filter_map(|(asked, limit)| asked.judged(limit, None)).collect()
}

fn dash() -> String {
    "-".to_owned()
}

fn difference(score: &Score) -> String {
    let Score { trusted_percent, candidate_percent, difference_points, .. } = score;
    format!("{difference_points:+.3} points ({trusted_percent:.3} to {candidate_percent:.3} %)")
}

fn interval(score: &Score) -> String {
    let interval = score.interval_points;
    format!("{:+.3} to {:+.3} points", interval.low, interval.high)
}
