//! A device held against a golden pack, with all that one needs to repeat and to judge it.

use super::comparison::{guilty, shown, stopped_at};
use super::html::{self, Error, Page};
use super::junit::{Ending, Suite, TestCase};
use crate::golden::{Checked, Manifest, RecordedDevice};
use crate::verdict::Verdict;
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
            headline: headline(&manifest.device.id, manifest.dtype, &shown(tested), &checked),
            checked,
        }
    }

    /// A test case for each op and each value.
    pub fn suite(&self) -> Suite {
        let case = |class: &str, name: &str, verdict: &Verdict, fails: bool| TestCase {
            class: format!("{class}.{}", self.dtype),
            name: name.to_owned(),
            ending: Ending::of(verdict, fails),
        };
        let steps = self.checked.replayed.iter().flat_map(|replayed| &replayed.steps);
        let steps = steps.map(|step| case(&step.op, &step.node, &step.verdict, step.verdict.is_guilty()));
        let values = self.checked.values.iter();
        let values =
            values.map(|found| case("value", &found.name, &found.verdict, self.checked.fails(found)));
        let missing = Verdict::NotRun("the compiled model does not give it; export it with --cut".to_owned());
        let not_given = self.checked.not_given.iter().map(|name| case("value", name, &missing, false));
        Suite { name: self.tested.id.clone(), cases: steps.chain(values).chain(not_given).collect() }
    }
}

fn headline(recorded: &str, dtype: DType, tested: &str, checked: &Checked) -> Vec<String> {
    let mut lines = Vec::new();
    let worst = checked.values.iter().filter_map(|value| value.ratio).fold(0.0, f64::max);
    let verdict = if checked.holds() { "PASS" } else { "FAIL" };
    let ops = match &checked.replayed {
        Some(replayed) => {
            lines.extend(replayed.guilty().into_iter().map(guilty));
            lines.extend(replayed.stopped.as_ref().map(|stopped| stopped_at(replayed, stopped)));
            let held = replayed.steps.iter().filter(|step| step.verdict.holds()).count();
            format!("{held} ops held to their bounds, ")
        }
        None => {
            lines.push(format!(
                "{tested} runs a compiled model: its ops are NOT-RUN one by one, and its values alone are judged"
            ));
            String::new()
        }
    };
    if checked.replayed.is_none() && !checked.holds() && dtype == DType::F32 {
        let hint = "if it was compiled in f16 or in mixed precision, hold it to a pack that was recorded with --dtype f16";
        lines.push(hint.to_owned());
    }
    let judged = checked.values.iter().filter(|value| !matches!(value.verdict, Verdict::NotRun(_))).count();
    if judged < checked.values.len() {
        let statistics = checked.values.len() - judged;
        lines.push(format!("NOT-RUN: {statistics} values of which the pack holds statistics alone"));
    }
    if !checked.not_given.is_empty() {
        lines.push(format!(
            "NOT-RUN: {} recorded checkpoints that the compiled model does not give; export it with --cut",
            checked.not_given.len()
        ));
    }
    lines.push(format!(
        "{verdict} {tested} against {recorded}: {ops}{judged} values, the farthest {worst:.2} times as far from the truth as the recorded"
    ));
    lines
}

impl Page for GoldenReport {
    fn html(&self) -> Result<String, Error> {
        let replayed = self.checked.replayed.as_ref();
        let steps = html::pictures(replayed.map_or(&[], |replayed| &replayed.steps));
        let has_steps = replayed.is_some();
        html::render("golden.html", self, context! { holds => self.checked.holds(), has_steps, ..steps })
    }
}
