//! One graph on one device: does it hold?
//!
//! Nothing is compared with a tolerance. Each step of the device's own plan is held to its bound on the oracle's values, and a
//! whole run must give the bits of its steps ([`crate::replay`]).

use crate::judgement::Judgement;
use crate::oracle::Oracle;
use crate::pulse::Stopped;
use crate::replay::{Modes, Replay, Replayed};
use crate::verdict::Verdict;
use lockstep_runtime::graph::Graph;
use lockstep_runtime::hal::Error as DeviceError;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Error, Result, Session, plan};
use serde::Serialize;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// In what way a graph fails. A graph that is shrunk must go on failing in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A step is beyond its worst-case bound.
    Wrong,
    /// A step fails.
    Crash,
    /// Every step holds and a whole run fails.
    WholeRunFails,
    /// Every step holds and a whole run has other bits: memory, order or waiting.
    WholeRunDiffers,
    /// The graph cannot be planned, and not because the device refuses an op.
    NotPlanned,
    /// The process would have died.
    Panic,
}

impl Way {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Way::Wrong => "WRONG",
            Way::Crash => "CRASH",
            Way::WholeRunFails => "WHOLE-RUN-FAILS",
            Way::WholeRunDiffers => "WHOLE-RUN-DIFFERS",
            Way::NotPlanned => "NOT-PLANNED",
            Way::Panic => "PANIC",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.way.name(), self.detail)
    }
}

/// How a graph fails.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// In what way.
    pub way: Way,
    /// The op of the first step that fails; empty where no single one does.
    pub op: String,
    /// The step and its numbers, or what was said.
    pub detail: String,
}

impl Failure {
    /// Whether both fail in the same way at the same op.
    pub fn is_like(&self, other: &Failure) -> bool {
        self.way == other.way && self.op == other.op
    }

    fn of_all(way: Way, detail: String) -> Self {
        Self { way, op: String::new(), detail }
    }
}

/// What became of a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Every step holds.
    Held(Vec<Step>),
    /// The device refuses it, for these reasons.
    Refused(Vec<String>),
    /// It fails.
    Failed(Failure),
    /// The device was lost on the way.
    Stopped(Stopped),
}

/// A step that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its op.
    pub op: String,
    /// How.
    pub verdict: Verdict,
}

/// Runs a graph on a device and judges it.
///
/// # Errors
/// A graph or inputs that the oracle cannot take either.
pub fn judge(device: &Arc<dyn Device>, graph: &Graph, inputs: &[(String, &HostTensor)]) -> Result<Finding> {
    // A panic is a failure to be shrunk and reported like any other; it must not end the run that found it.
    match catch_unwind(AssertUnwindSafe(|| run(device, graph, inputs))) {
        Ok(finding) => finding,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Ok(Finding::Failed(Failure::of_all(Way::Panic, text.to_owned())))
        }
    }
}

fn run(device: &Arc<dyn Device>, graph: &Graph, inputs: &[(String, &HostTensor)]) -> Result<Finding> {
    let session = match Session::builder(graph.clone()).device(device.clone()).build() {
        Ok(session) => session,
        Err(error) => {
            return Ok(match refusals(&error) {
                Some(reasons) => Finding::Refused(reasons),
                None => Finding::Failed(Failure::of_all(Way::NotPlanned, error.to_string())),
            });
        }
    };
    let replay = Replay::new(Oracle::new()?.device().clone(), session)?;
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, x)| (name.as_str(), *x)).collect();
    match replay.run(&given, Modes { isolated: true, cumulative: false }, &|_, _| {}) {
        Ok(replayed) => Ok(finding(&replayed)),
        Err(error) => match refusals(&error) {
            Some(reasons) => Ok(Finding::Refused(reasons)),
            None => Err(error),
        },
    }
}

fn finding(replayed: &Replayed) -> Finding {
    if let Some(step) = replayed.steps.iter().find(|step| step.verdict.is_guilty()) {
        let way = if step.verdict == Verdict::Wrong { Way::Wrong } else { Way::Crash };
        let numbers = step.isolated.as_ref().map(numbers).unwrap_or_default();
        let said = if way == Way::Crash { format!(", {}", step.verdict) } else { numbers };
        let detail = format!("{} {} {}{said}", step.node, step.op, step.output);
        return Finding::Failed(Failure { way, op: step.op.clone(), detail });
    }
    if let Some(stopped) = &replayed.stopped {
        return Finding::Stopped(stopped.clone());
    }
    if let Some(error) = &replayed.whole_run_error {
        return Finding::Failed(Failure::of_all(Way::WholeRunFails, error.clone()));
    }
    let differs = replayed.outputs.iter().find(|output| output.whole_run_equals_steps != Some(true));
    if let Some(output) = differs {
        let detail = format!("`{}` has other bits in a whole run than step by step", output.name);
        return Finding::Failed(Failure::of_all(Way::WholeRunDiffers, detail));
    }
    let steps = replayed.steps.iter();
    Finding::Held(steps.map(|step| Step { op: step.op.clone(), verdict: step.verdict.clone() }).collect())
}

fn numbers(judgement: &Judgement) -> String {
    let worst = judgement.worst.first().map(|worst| {
        format!(
            " at {:?}: found {:e}, truth {:e}, bound {:.1e}",
            worst.at, worst.found, worst.truth, worst.bound
        )
    });
    format!(", {:.1}x bound{}", judgement.of_worst_case, worst.unwrap_or_default())
}

/// The ops that a device refuses and why, if that is what the error says.
fn refusals(error: &Error) -> Option<Vec<String>> {
    match error {
        Error::Device(DeviceError::Unsupported { nodes, .. })
        | Error::Plan(plan::Error::Device(DeviceError::Unsupported { nodes, .. })) => {
            Some(nodes.iter().map(|node| format!("{}: {}", node.op, node.reason)).collect())
        }
        _ => None,
    }
}
