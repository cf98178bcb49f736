//! A comparison of two devices on one model, with all that one needs to repeat and to judge it.

use super::html::{self, Error, Page};
use crate::pulse::Stopped;
use crate::replay::{Replayed, StepReport};
use crate::repro::Again;
use crate::verdict::Verdict;
use lockstep_runtime::DeviceInfo;
use lockstep_runtime::tensor::DType;
use minijinja::context;
use serde::Serialize;

/// What was compared, and how to do it again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The model, as it was named.
    pub model: String,
    /// What went in, in words.
    pub inputs: String,
    /// The dtype that the tested device computed in.
    pub dtype: DType,
    /// Whether fusion was off, so that other kernels ran than in production.
    pub perturbing: bool,
    /// The device that was trusted.
    pub trusted: DeviceInfo,
    /// The device that was judged.
    pub tested: DeviceInfo,
    /// The command line that does it again.
    pub command: String,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Counts changes that break the readers of its JSON.
    pub schema: &'static str,
    /// The version of Lockstep.
    pub version: &'static str,
    /// What was compared.
    #[serde(flatten)]
    pub setting: Setting,
    /// Steps and outputs.
    #[serde(flatten)]
    pub replayed: Replayed,
    /// What became of the op of a repro pack; absent where a model was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// What a person reads who reads nothing else.
    pub headline: Vec<String>,
}

impl Comparison {
    /// The version of its JSON.
    pub const SCHEMA: &'static str = "lockstep-compare/2";

    /// The report of a replay; of a repro pack with what became of its op.
    pub fn new(setting: Setting, replayed: Replayed, again: Option<Again>) -> Self {
        let mut headline = headline(&shown(&setting.trusted), &shown(&setting.tested), &replayed);
        headline.extend(again.iter().map(Again::in_words));
        Self { schema: Self::SCHEMA, version: env!("CARGO_PKG_VERSION"), headline, again, setting, replayed }
    }
}

impl Page for Comparison {
    fn html(&self) -> Result<String, Error> {
        let steps = html::pictures(&self.replayed.steps);
        html::render("compare.html", self, context! { holds => self.replayed.holds(), ..steps })
    }
}

/// A device's specification; simulators are named as such.
pub fn shown(info: &DeviceInfo) -> String {
    if info.simulated { format!("{} (simulated)", info.id) } else { info.id.clone() }
}

fn headline(trusted: &str, tested: &str, replayed: &Replayed) -> Vec<String> {
    let mut lines: Vec<String> = replayed.guilty().into_iter().map(guilty).collect();
    if let Some(error) = &replayed.whole_run_error {
        lines.push(format!("GUILTY whole run on {tested}: {error}"));
    }
    for output in replayed.outputs.iter().filter(|output| output.whole_run_equals_steps == Some(false)) {
        lines.push(format!(
            "GUILTY whole run on {tested}: `{}` has other bits than its ops run one by one; look for a missing wait, a \
             stale buffer or overlapping memory",
            output.name
        ));
    }
    if let Some(stopped) = &replayed.stopped {
        lines.push(stopped_at(replayed, stopped));
    }
    let judged: Vec<_> = replayed.steps.iter().filter_map(|step| step.isolated.as_ref()).collect();
    if lines.is_empty() && !judged.is_empty() {
        let suspects = replayed.steps.iter().filter(|step| step.verdict == Verdict::Suspect).count();
        let largest = judged.iter().map(|judgement| judgement.of_worst_case).fold(0.0, f64::max);
        let suspects = if suspects == 0 { String::new() } else { format!(", {suspects} SUSPECT") };
        lines.push(format!(
            "PASS {tested} computes what {trusted} does: all {} ops within their bounds{suspects}; the largest error is \
             {largest:.2} of its bound",
            judged.len()
        ));
    }
    for output in &replayed.outputs {
        let (agree, rows) = output.agreeing_rows;
        lines.push(format!(
            "{}: largest difference {:.1e}, similarity {:.7} %, same answer in {agree} of {rows} rows",
            output.name,
            output.difference.max_abs,
            100.0 * output.difference.cosine
        ));
    }
    lines
}

/// The line that says where a device was lost.
pub(super) fn stopped_at(replayed: &Replayed, stopped: &Stopped) -> String {
    let judged = replayed.steps.iter().filter(|step| step.isolated.is_some()).count();
    format!(
        "STOPPED at {}: {} is gone; {judged} of {} ops were judged, the others are NOT-RUN. If it fails there again, that op \
         brings it down",
        stopped.at,
        stopped.device,
        replayed.steps.len()
    )
}

/// The line that names a guilty op.
pub fn guilty(step: &StepReport) -> String {
    let what = format!("GUILTY {} {}", step.node, step.op);
    let blame = step.blame.map(|blame| format!("; {:.0} % of the final difference", 100.0 * blame));
    match &step.isolated {
        Some(judgement) => {
            let fits = step.fingerprints.first().map(|first| {
                format!("; fits: {} ({:.0} % of the error)", first.fault.describe(), 100.0 * first.explains)
            });
            let blame = blame.unwrap_or_default();
            format!("{what} {:.1}x bound{}{blame}", judgement.of_worst_case, fits.unwrap_or_default())
        }
        None => format!("{what} {}", step.verdict),
    }
}
