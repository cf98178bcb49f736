//! What a repro pack says of itself.

use super::{MANIFEST, Result, damaged, io};
use crate::golden::{RecordedDevice, sha256};
use lockstep_runtime::tensor::DType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The version of the format; packs of another are refused.
pub(super) const SCHEMA: &str = "lockstep-repro/1";

/// What was found, where and by whom: `repro.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The format and its version.
    pub schema: String,
    /// The version of Lockstep that found it.
    pub lockstep: String,
    /// The model, or the suite, in which it was found.
    pub model: String,
    /// The node's name there.
    pub node: String,
    /// The op's name.
    pub op: String,
    /// The op with its attributes, and the dtypes and shapes of its operands.
    pub case: String,
    /// The dtype that the device stores the result in.
    pub dtype: DType,
    /// The dtype that it promised sums to be carried in.
    pub accumulate: DType,
    /// The device, with the numerics that the bound follows from.
    pub device: RecordedDevice,
    /// WRONG or CRASH.
    pub verdict: String,
    /// What the device said, if it failed.
    pub reason: Option<String>,
    /// The largest error as a multiple of the worst-case bound; `None` if there is no number for it: a crash, or a NaN in
    /// place of a number.
    pub of_worst_case: Option<f64>,
    /// The fault that explains most of the error.
    pub fits: Option<String>,
    /// The command line that found it.
    pub command: String,
    /// The command line that tries it again.
    pub replay: String,
    /// SHA-256 of every other file, by its path in the pack.
    pub files: BTreeMap<String, String>,
}

impl Finding {
    /// What was found, in words.
    pub fn in_words(&self) -> String {
        let simulated = if self.device.simulated { " (simulated)" } else { "" };
        let multiple = match (&self.reason, self.of_worst_case) {
            (Some(reason), _) => format!(" ({reason})"),
            (None, Some(multiple)) => format!(", {multiple:.1}x bound"),
            (None, None) => String::new(),
        };
        format!("{}{simulated} was {}{multiple}", self.device.id, self.verdict)
    }

    /// Reads `repro.json` and holds every file of the pack against its digest; `None` for a folder without one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path, error)),
        };
        let broken = |error: serde_json::Error| damaged(&path, format!("cannot be read: {error}"));
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(broken)?;
        let schema = value["schema"].as_str().unwrap_or("nothing");
        if schema != SCHEMA {
            let what = format!("says `{schema}`, this program reads `{SCHEMA}`; write the pack anew");
            return Err(damaged(&path, what));
        }
        let finding: Finding = serde_json::from_value(value).map_err(broken)?;
        for (name, digest) in &finding.files {
            let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if !is_inside {
                return Err(damaged(&path, format!("names `{name}`, which is no file of the pack")));
            }
            let file = folder.join(name);
            let bytes = std::fs::read(&file).map_err(|error| io(&file, error))?;
            if sha256(&bytes) != *digest {
                return Err(damaged(&file, "is not the file that was written; was it edited or cut short?"));
            }
        }
        Ok(Some(finding))
    }
}
