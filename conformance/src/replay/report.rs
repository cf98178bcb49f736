//! What a replay found.

use crate::compare::Difference;
use crate::fingerprint::Fingerprint;
use crate::judgement::Judgement;
use crate::pulse::Stopped;
use crate::repro::Offender;
use crate::verdict::Verdict;
use serde::Serialize;

/// What became of the trusted stream's value on the tested device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The tested stream's value against the trusted stream's.
    pub difference: Difference,
    /// The relative difference after this step over the largest among its operands; `None` where they do not differ. Large
    /// for a step that amplifies what came before, which is no guilt.
    pub amplification: Option<f64>,
}

/// One step of the tested device's plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// The node's name.
    pub node: String,
    /// Its op.
    pub op: String,
    /// The dtype and extents of its first output.
    pub output: String,
    /// How the step came to be on the tested device.
    pub provenance: String,
    /// The steps whose results it reads, by their places in the report.
    pub reads: Vec<usize>,
    /// The checkpoint or output that its value is, if any.
    pub checkpoint: Option<String>,
    /// What follows.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The step alone, on the trusted stream's values.
    pub isolated: Option<Judgement>,
    /// What its results look like, if it is guilty: the faults that explain most of the error, the best first.
    pub fingerprints: Vec<Fingerprint>,
    /// The trusted device on those same values; `None` where it is the truth itself.
    pub trusted: Option<Judgement>,
    /// The difference of the two devices on those same values.
    pub devices_apart: Option<Difference>,
    /// The streams.
    pub cumulative: Option<Drift>,
    /// How much of the final difference goes away when this step alone is replaced by its truth, 1 for all of it.
    pub blame: Option<f64>,
    /// Its tensors, if it is one of the first that are guilty ([`crate::repro::MOST_KEPT`]).
    #[serde(skip)]
    pub offender: Option<Offender>,
}

/// The final output of a name, on both devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// How far apart they are.
    pub difference: Difference,
    /// Of how many rows along the last axis the largest element is the same one, and of how many in all.
    pub agreeing_rows: (usize, usize),
    /// Whether a whole run gave the bits of its steps run one by one; where not, that is no kernel's fault but the memory
    /// plan's, a missing wait's or a stale buffer's. `None` where the whole run failed.
    pub whole_run_equals_steps: Option<bool>,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The steps, in order.
    pub steps: Vec<StepReport>,
    /// The outputs, in the graph's order.
    pub outputs: Vec<OutputReport>,
    /// Why the tested device's whole run failed, if it did.
    pub whole_run_error: Option<String>,
    /// Where a device was lost, if one was; what follows is [`Verdict::NotRun`].
    pub stopped: Option<Stopped>,
}

impl Replayed {
    /// The guilty steps, the worst first: crashes, then by the multiple of the worst-case bound.
    pub fn guilty(&self) -> Vec<&StepReport> {
        let mut guilty: Vec<&StepReport> =
            self.steps.iter().filter(|step| step.verdict.is_guilty()).collect();
        let multiple = |step: &StepReport| step.isolated.as_ref().map_or(f64::INFINITY, |j| j.of_worst_case);
        // Stable, so that of equals the earliest comes first.
        guilty.sort_by(|a, b| multiple(b).total_cmp(&multiple(a)));
        guilty
    }

    /// Whether every step holds, no device was lost, and the whole run is the sum of its steps.
    pub fn holds(&self) -> bool {
        let is_fair = |step: &StepReport| step.verdict.holds() || matches!(step.verdict, Verdict::NotRun(_));
        self.whole_run_error.is_none()
            && self.stopped.is_none()
            && self.steps.iter().all(is_fair)
            && self.outputs.iter().all(|output| output.whole_run_equals_steps == Some(true))
    }
}
