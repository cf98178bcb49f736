//! What is known of a device beforehand: what it refuses for good, and what it fails until that is mended.
//!
//! A refusal that nobody explained and a failure that nobody expected both count; so does an expectation that nothing meets
//! any more, so that the list cannot rot.

use super::CaseReport;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// The expectations of the devices in this repository.
const OURS: &str = include_str!("../../expectations.toml");

/// Why a case may be refused or fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Explained {
    /// Refused for good.
    Unsupported(String),
    /// Fails until it is mended.
    ExpectedFailure(String),
}

/// One entry: which cases it is about, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The backend's name.
    device: String,
    /// The op's name; `*` for any.
    op: String,
    /// A part of the case's description; all cases of the op without it.
    #[serde(default)]
    case: String,
    reason: String,
}

/// The expectations of any number of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    #[serde(default)]
    unsupported: Vec<Entry>,
    #[serde(default)]
    expected_failure: Vec<Entry>,
}

impl Entry {
    fn is_about(&self, device: &str, case: &CaseReport) -> bool {
        device.split(':').next() == Some(self.device.as_str())
            && (self.op == case.op || self.op == "*")
            && case.case.contains(&self.case)
    }
}

impl Expectations {
    /// Those of the devices in this repository.
    ///
    /// # Errors
    /// None in practice: a test reads them.
    pub fn ours() -> Result<Self, String> {
        Self::parse(OURS)
    }

    /// From TOML: tables `[[unsupported]]` and `[[expected_failure]]` with `device`, `op`, `reason` and, to narrow it down,
    /// `case`, a part of the case's description.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| match error.span() {
            Some(span) => {
                let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
                format!("line {line}: {}", error.message())
            }
            None => error.message().to_owned(),
        })
    }

    /// What is expected of a case.
    pub(super) fn of(&self, device: &str, case: &CaseReport) -> Option<Explained> {
        let reason = |entries: &[Entry]| {
            entries.iter().find(|entry| entry.is_about(device, case)).map(|entry| entry.reason.clone())
        };
        match case.verdict {
            Verdict::Unsupported(_) => reason(&self.unsupported).map(Explained::Unsupported),
            _ => reason(&self.expected_failure).map(Explained::ExpectedFailure),
        }
    }

    /// Entries about a device that no refusal or failure among `cases` meets.
    pub fn stale(&self, device: &str, cases: &[CaseReport]) -> Vec<String> {
        let met = |entry: &Entry, holds: &dyn Fn(&CaseReport) -> bool| {
            cases.iter().any(|case| entry.is_about(device, case) && holds(case))
        };
        let is_ours = |entry: &&Entry| device.split(':').next() == Some(entry.device.as_str());
        let refused = |case: &CaseReport| matches!(case.verdict, Verdict::Unsupported(_));
        let failed = |case: &CaseReport| case.verdict.is_guilty();
        let unsupported = self.unsupported.iter().filter(is_ours).filter(|entry| !met(entry, &refused));
        let expected = self.expected_failure.iter().filter(is_ours).filter(|entry| !met(entry, &failed));
        unsupported
            .chain(expected)
            .map(|entry| format!("{} {} {}", entry.device, entry.op, entry.case))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_file_can_be_read() {
        Expectations::ours().unwrap();
    }

    #[test]
    fn an_entry_without_a_reason_is_an_error() {
        let error = Expectations::parse("[[unsupported]]\ndevice = \"cpu\"\nop = \"Cast\"\n").unwrap_err();
        assert!(error.contains("reason"), "{error}");
    }
}
