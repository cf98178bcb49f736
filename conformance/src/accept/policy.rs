//! The goals that a device has to meet, as TOML.
//!
//! What a file leaves out keeps the bank's value; a goal is taken away only by saying so (`"off"`), and the report prints
//! the whole policy. A key that is not known is refused: a misspelt goal must not pass by not being checked.

use super::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// A policy with every key, as `lockstep accept --help` shows it.
pub const EXAMPLE: &str = "\
similarity_percent = 99.9      # cosine of all outputs, at least
task_loss_points = 0.5         # loss of each task score in percentage points, at most; its interval must exclude it too
throughput_percent = 80        # of the trusted device's, at least
p99_latency_percent = 120      # of the trusted device's, at most
largest_error = \"off\"          # largest absolute error of an output, at most
agreement_percent = \"off\"      # documents with the same answer, at least
memory_percent = \"off\"         # planned memory, of the trusted device's, at most
confidence_percent = 95        # of every interval
";

/// What is asked of a device. `None` is no goal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The cosine of all outputs with the trusted device's, in percent, at least.
    #[serde(deserialize_with = "goal")]
    pub similarity_percent: Option<f64>,
    /// The loss of each task score, in percentage points, at most; the score's interval must exclude a loss of so much.
    #[serde(deserialize_with = "goal")]
    pub task_loss_points: Option<f64>,
    /// Documents per second, in percent of the trusted device's, at least.
    #[serde(deserialize_with = "goal")]
    pub throughput_percent: Option<f64>,
    /// The 99th percentile of a single document's latency, in percent of the trusted device's, at most.
    #[serde(deserialize_with = "goal")]
    pub p99_latency_percent: Option<f64>,
    /// The largest absolute error of an output against the trusted device's, at most.
    #[serde(deserialize_with = "goal")]
    pub largest_error: Option<f64>,
    /// Documents with the same answer, in percent, at least.
    #[serde(deserialize_with = "goal")]
    pub agreement_percent: Option<f64>,
    /// Planned memory, in percent of the trusted device's, at most.
    #[serde(deserialize_with = "goal")]
    pub memory_percent: Option<f64>,
    /// The confidence of intervals, in percent.
    pub confidence_percent: f64,
}

impl Default for Policy {
    /// The bank's: similarity at least 99.9 %, task scores within 0.5 points and their interval excluding that loss,
    /// throughput at least 80 %, P99 at most 120 %.
    fn default() -> Self {
        Self {
            similarity_percent: Some(99.9),
            task_loss_points: Some(0.5),
            throughput_percent: Some(80.0),
            p99_latency_percent: Some(120.0),
            largest_error: None,
            agreement_percent: None,
            memory_percent: None,
            confidence_percent: 95.0,
        }
    }
}

/// A number, or `"off"`.
fn goal<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number, or \"off\"")]
    enum Written {
        Number(f64),
        Word(Word),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Off,
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Number(number) => Some(number),
        Written::Word(Word::Off) => None,
    })
}

impl Policy {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Policy`] names the line of a key that is not known or of a value that is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| Error::Policy { path: path.to_owned(), reason })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// Whether every value is one that a goal can have, and whether there is any.
    fn check(&self) -> std::result::Result<(), String> {
        let at_most = |most: f64| move |value: f64| (0.0..=most).contains(&value);
        let limits = [
            ("similarity_percent", self.similarity_percent, 100.0),
            ("task_loss_points", self.task_loss_points, 100.0),
            ("throughput_percent", self.throughput_percent, f64::MAX),
            ("p99_latency_percent", self.p99_latency_percent, f64::MAX),
            ("largest_error", self.largest_error, f64::MAX),
            ("agreement_percent", self.agreement_percent, 100.0),
            ("memory_percent", self.memory_percent, f64::MAX),
        ];
        for (key, value, most) in limits {
            if let Some(value) = value.filter(|value| !at_most(most)(*value)) {
                let range = if most == 100.0 { "0 to 100" } else { "0 or more" };
                return Err(format!("{key} = {value}: expected {range}"));
            }
        }
        if limits.iter().all(|(_, value, _)| value.is_none()) {
            return Err("every goal is off; keep at least one".to_owned());
        }
        if !(50.0..=99.99).contains(&self.confidence_percent) {
            return Err(format!("confidence_percent = {}: expected 50 to 99.99", self.confidence_percent));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default() {
        assert_eq!(Policy::parse(EXAMPLE), Ok(Policy::default()));
        assert_eq!(Policy::parse(""), Ok(Policy::default()));
    }

    #[test]
    fn what_is_given_replaces_only_itself() {
        let policy = Policy::parse("p99_latency_percent = \"off\"\nlargest_error = 0.05\n").unwrap();
        let expected = Policy { p99_latency_percent: None, largest_error: Some(0.05), ..Policy::default() };
        assert_eq!(policy, expected);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = Policy::parse("# ours\nsimilarity_percent = 99\nthroughput = 80\n").unwrap_err();
        assert!(error.starts_with("line 3:") && error.contains("throughput"), "{error}");
    }

    #[test]
    fn values_that_no_goal_can_have_are_refused() {
        for (text, part) in [
            ("similarity_percent = 101", "0 to 100"),
            ("largest_error = -1", "0 or more"),
            ("largest_error = nan", "0 or more"),
            ("throughput_percent = inf", "0 or more"),
            ("confidence_percent = 100", "50 to 99.99"),
            ("similarity_percent = \"of\"", "line 1"),
            ("similarity_percent = true", "\"off\""),
            ("similarity_percent =", "line 1"),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_policy_without_goals_is_refused() {
        let off = ["similarity_percent", "task_loss_points", "throughput_percent", "p99_latency_percent"]
            .map(|key| format!("{key} = \"off\"\n"))
            .concat();
        assert!(Policy::parse(&off).unwrap_err().contains("at least one"));
    }
}
