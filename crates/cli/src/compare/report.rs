//! A comparison with all that one needs to repeat and to judge it.

use super::CompareArguments;
use crate::devices::info_json;
use crate::given::Given;
use lockstep_conformance::replay::{Replayed, StepReport};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::Device;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Counts changes of the JSON that break its readers.
const SCHEMA: &str = "lockstep-compare/1";

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    version: &'static str,
    pub(super) model: String,
    pub(super) inputs: String,
    pub(super) dtype: String,
    /// Whether fusion was off, so that other kernels ran than in production.
    pub(super) perturbing: bool,
    trusted: Value,
    tested: Value,
    #[serde(skip)]
    pub(super) names: [String; 2],
    #[serde(flatten)]
    pub(super) replayed: Replayed,
    pub(super) headline: Vec<String>,
}

impl Report {
    pub(super) fn new(
        arguments: &CompareArguments,
        given: &Given,
        trusted: &Arc<dyn Device>,
        tested: &Arc<dyn Device>,
        replayed: Replayed,
    ) -> Self {
        let names = [trusted, tested].map(shown);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            model: arguments.model.display().to_string(),
            inputs: given.described.clone(),
            dtype: given.dtype.to_string(),
            perturbing: arguments.all,
            trusted: info_json(trusted.info()),
            tested: info_json(tested.info()),
            headline: headline(&names, &replayed),
            names,
            replayed,
        }
    }
}

/// A device's name; simulators are named as such.
fn shown(device: &Arc<dyn Device>) -> String {
    let info = device.info();
    if info.simulated { format!("{} (simulated)", info.id) } else { info.id.clone() }
}

/// What a person reads who reads nothing else.
fn headline([trusted, tested]: &[String; 2], replayed: &Replayed) -> Vec<String> {
    let mut lines = Vec::new();
    for step in replayed.guilty() {
        lines.push(guilty(step));
    }
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

/// The line that names a guilty op.
pub(crate) fn guilty(step: &StepReport) -> String {
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
