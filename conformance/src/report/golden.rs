//! A device held against a golden pack, with all that one needs to repeat and to judge it.

use super::comparison::{guilty, shown, stopped_at};
use super::html::{self, Error, Page};
use super::junit::{Ending, Suite, TestCase};
use crate::golden::{Checked, Manifest, RecordedDevice};
use lockstep_runtime::DeviceInfo;
use lockstep_runtime::tensor::DType;
use minijinja::context;
use serde::Serialize;

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GoldenReport {
    /// Counts changes that break the readers of its JSON.
    pub schema: &'static str,
    /// The version of Lockstep.
    pub version: &'static str,
    /// The model, as it was named.
    pub model: String,
    /// The digest of the pack's manifest, which covers everything in the pack.
    pub pack_sha256: String,
    /// What went in, in words.
    pub inputs: String,
    /// The dtype that was recorded and checked.
    pub dtype: DType,
    /// The device that recorded the pack.
    pub recorded: RecordedDevice,
    /// The version of Lockstep that recorded it.
    pub recorded_by: String,
    /// The device that computed the truth.
    pub trusted: DeviceInfo,
    /// The device that was checked.
    pub tested: DeviceInfo,
    /// The command line that does it again.
    pub command: String,
    /// Values and steps.
    #[serde(flatten)]
    pub checked: Checked,
    /// What a person reads who reads nothing else.
    pub headline: Vec<String>,
}

impl GoldenReport {
    /// The version of its JSON.
    pub const SCHEMA: &'static str = "lockstep-golden-check/1";

    /// The report of a check; the first device computed the truth, the second was checked.
    pub fn new(
        manifest: &Manifest,
        model: String,
        [trusted, tested]: [&DeviceInfo; 2],
        command: String,
        checked: Checked,
    ) -> Self {
        Self {
            schema: Self::SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            model,
            pack_sha256: manifest.manifest_sha256.clone(),
            inputs: manifest.inputs_described.clone(),
            dtype: manifest.dtype,
            recorded: manifest.device.clone(),
            recorded_by: manifest.lockstep.clone(),
            trusted: trusted.clone(),
            tested: tested.clone(),
            command,
            headline: headline(&manifest.device.id, &shown(tested), &checked),
            checked,
        }
    }

    /// A test case for each op and each value.
    pub fn suite(&self) -> Suite {
        let steps = self.checked.replayed.steps.iter().map(|step| (&step.op, &step.node, &step.verdict));
        let value = "value".to_owned();
        let values = self.checked.values.iter().map(|found| (&value, &found.name, &found.verdict));
        let case = |(class, name, verdict): (&String, &String, &crate::verdict::Verdict)| TestCase {
            class: format!("{class}.{}", self.dtype),
            name: name.clone(),
            ending: Ending::of(verdict, verdict.is_guilty()),
        };
        Suite { name: self.tested.id.clone(), cases: steps.chain(values).map(case).collect() }
    }
}

fn headline(recorded: &str, tested: &str, checked: &Checked) -> Vec<String> {
    let mut lines: Vec<String> = checked.replayed.guilty().into_iter().map(guilty).collect();
    if let Some(stopped) = &checked.replayed.stopped {
        lines.push(stopped_at(&checked.replayed, stopped));
    }
    let worst = checked.values.iter().filter_map(|value| value.ratio).fold(0.0, f64::max);
    let verdict = if checked.holds() { "PASS" } else { "FAIL" };
    let held = checked.replayed.steps.iter().filter(|step| step.verdict.holds()).count();
    lines.push(format!(
        "{verdict} {tested} against {recorded}: {held} ops held to their bounds, {} values, the farthest {worst:.2} times as \
         far from the truth as the recorded",
        checked.values.len()
    ));
    lines
}

impl Page for GoldenReport {
    fn html(&self) -> Result<String, Error> {
        let steps = html::pictures(&self.checked.replayed.steps);
        html::render("golden.html", self, context! { holds => self.checked.holds(), ..steps })
    }
}
