//! What is said of one op on one device.

use serde::Serialize;
use std::fmt;

/// A verdict. The last three never count as a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Verdict {
    /// Every element is the truth, rounded once.
    Exact,
    /// Every element is within what independent roundings of the declared numerics give.
    Within,
    /// Beyond that, but within the worst case, and no farther from the truth than twice the trusted device.
    AsAccurate,
    /// Beyond what independent roundings give, within the worst case.
    Suspect,
    /// Beyond what any order of roundings can give.
    Wrong,
    /// The device failed at it.
    Crash(String),
    /// The device refuses it.
    Unsupported(String),
    /// It was not run.
    NotRun(String),
}

impl Verdict {
    /// Whether the device ran it and the numbers hold. [`Verdict::Suspect`] holds: the worst case allows it.
    pub fn holds(&self) -> bool {
        matches!(self, Verdict::Exact | Verdict::Within | Verdict::AsAccurate | Verdict::Suspect)
    }

    /// Whether it is a failure that names a guilty op.
    pub fn is_guilty(&self) -> bool {
        matches!(self, Verdict::Wrong | Verdict::Crash(_))
    }

    /// Whether it is worth a closer look: guilty or suspect.
    pub fn accuses(&self) -> bool {
        self.is_guilty() || *self == Verdict::Suspect
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Exact => "EXACT",
            Verdict::Within => "WITHIN",
            Verdict::AsAccurate => "AS-ACCURATE",
            Verdict::Suspect => "SUSPECT",
            Verdict::Wrong => "WRONG",
            Verdict::Crash(_) => "CRASH",
            Verdict::Unsupported(_) => "UNSUPPORTED",
            Verdict::NotRun(_) => "NOT-RUN",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Crash(reason) | Verdict::Unsupported(reason) | Verdict::NotRun(reason) => {
                write!(f, "{} ({reason})", self.name())
            }
            _ => f.write_str(self.name()),
        }
    }
}
