//! Holding a device against a pack.
//!
//! The truth is computed here, in f64, whatever machine recorded the pack; so of each value it can be said whether this device
//! is farther from it than the recorded one. Who is guilty is not read off these values, which carry all errors before them,
//! but found by a replay of each op ([`crate::replay`]). A compiled model has no ops to replay; there the values alone judge.

use super::manifest::{Recorded, Statistics};
use super::{Pack, Result, at_tokens};
use crate::compare::{Difference, difference};
use crate::oracle::Oracle;
use crate::replay::{Modes, Replay, Replayed};
use crate::rounding::{exact_in_f64, rounded_in_f64};
use crate::verdict::Verdict;
use lockstep_runtime::graph::Graph;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Error as SessionError, Packing, RunOptions, RunResult, Session};
use serde::Serialize;

/// Up to so many times as far from the truth as the recorded device still counts as as accurate.
const AS_ACCURATE: f64 = 2.0;

/// One checkpoint or output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueReport {
    /// Its name.
    pub name: String,
    /// Whether this device is as near to the truth as the one that was recorded: EXACT for the same bits, SUSPECT if it is
    /// farther, WRONG for a NaN or an infinity in place of a number. NOT-RUN where only statistics were recorded.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// This device against the recorded one; `None` where only statistics were recorded.
    pub difference: Option<Difference>,
    /// The root mean squared error of the recorded device.
    pub recorded_error: Option<f64>,
    /// The same of this device.
    pub error: f64,
    /// The same of a device that computes exactly and only rounds what it stores, the best that the formats allow.
    pub format_error: f64,
    /// This device's error over the larger of the recorded one's and the formats'.
    pub ratio: Option<f64>,
    /// The statistics of this device's value.
    pub statistics: Statistics,
    /// Those that were recorded.
    pub recorded_statistics: Statistics,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Checkpoints in order, then outputs.
    pub values: Vec<ValueReport>,
    /// Recorded checkpoints that a compiled model does not give, since they were not cut when it was exported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_given: Vec<String>,
    /// Each op on its own, against the truth; `None` for a compiled model, whose ops cannot be run one by one.
    #[serde(flatten)]
    pub replayed: Option<Replayed>,
}

impl Checked {
    /// Whether no op is guilty and no value fails.
    pub fn holds(&self) -> bool {
        let ops_hold = self.replayed.as_ref().is_none_or(Replayed::holds);
        ops_hold && !self.values.iter().any(|value| self.fails(value))
    }

    /// Whether a value fails the check: one of another class does, and where no op was looked at, one that is farther from the truth.
    pub fn fails(&self, value: &ValueReport) -> bool {
        value.verdict.is_guilty() || (self.replayed.is_none() && value.verdict.accuses())
    }
}

/// Runs `graph`, which must be the recorded one, on the session's device and compares.
/// The truth is computed from it in f64.
///
/// # Errors
/// [`super::Error::Mismatch`] for a pack of another graph; what the device says.
pub fn check(
    pack: &Pack,
    graph: &Graph,
    session: Session,
    progress: &dyn Fn(usize, usize),
) -> Result<Checked> {
    pack.fits(graph)?;
    let inputs = pack.inputs()?;
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let device = session.prepared().device().clone();
    let is_output = |value: &Recorded| graph.outputs().iter().any(|(output, _)| *output == value.name);
    let is_there = |value: &&Recorded| {
        is_output(value) || device.compiled_model().is_none_or(|model| model.gives(&value.name))
    };
    let (there, not_given): (Vec<&Recorded>, Vec<&Recorded>) =
        pack.manifest.values.iter().partition(is_there);
    let taps: Vec<&str> =
        there.iter().filter(|value| !is_output(value)).map(|value| value.name.as_str()).collect();
    let options = RunOptions::new().taps(&taps);
    let found = session.run_with(&given, &options)?;
    let oracle = Oracle::new()?;
    let on_reference = |graph: lockstep_runtime::graph::Result<Graph>| -> Result<RunResult> {
        let graph = graph.map_err(|error| SessionError::from(lockstep_runtime::hal::Error::from(error)))?;
        let builder = Session::builder(graph).device(oracle.device().clone()).packing(Packing::Off);
        Ok(builder.build()?.run_with(&given, &options)?)
    };
    let truth = on_reference(exact_in_f64(graph))?;
    // What is rounded follows from the plan: a fused op rounds once.
    let planned = Session::builder(graph.clone()).device(device.clone()).packing(Packing::Off).build()?;
    let best = on_reference(rounded_in_f64(planned.prepared().graph()))?;
    let mut values = Vec::new();
    for recorded in there {
        let of = |result: &RunResult| -> Result<HostTensor> {
            let value = result.output(&recorded.name).or_else(|_| result.tap(&recorded.name));
            Ok(at_tokens(&session, &given, value?))
        };
        values.push(value(pack, recorded, &of(&found)?, &of(&truth)?, &of(&best)?)?);
    }
    let not_given = not_given.into_iter().map(|value| value.name.clone()).collect();
    if device.compiled_model().is_some() {
        return Ok(Checked { values, not_given, replayed: None });
    }
    let replay = Replay::new(oracle.device().clone(), session)?;
    let replayed = replay.run(&given, Modes { isolated: true, cumulative: true }, progress)?;
    Ok(Checked { values, not_given, replayed: Some(replayed) })
}

fn value(
    pack: &Pack,
    recorded: &Recorded,
    found: &HostTensor,
    truth: &HostTensor,
    best: &HostTensor,
) -> Result<ValueReport> {
    let error =
        |tensor: &HostTensor| difference(tensor, truth).map_or(f64::INFINITY, |difference| difference.rms);
    let stored = if recorded.stored { Some(pack.tensor(recorded)?) } else { None };
    let recorded_error = stored.as_ref().map(error);
    let (error, format_error) = (error(found), error(best));
    let ratio = recorded_error.map(|recorded| match error / recorded.max(format_error) {
        ratio if ratio.is_nan() => 0.0,
        ratio => ratio,
    });
    let statistics = Statistics::of(found);
    let verdict = match (&stored, ratio) {
        _ if statistics.not_finite != recorded.statistics.not_finite => Verdict::Wrong,
        (Some(stored), _) if stored.bytes() == found.bytes() => Verdict::Exact,
        (_, Some(ratio)) if ratio <= AS_ACCURATE => Verdict::AsAccurate,
        (_, Some(_)) => Verdict::Suspect,
        _ => Verdict::NotRun("only statistics were recorded".to_owned()),
    };
    Ok(ValueReport {
        name: recorded.name.clone(),
        verdict,
        difference: stored.and_then(|stored| difference(found, &stored)),
        recorded_error,
        error,
        format_error,
        ratio,
        statistics,
        recorded_statistics: recorded.statistics,
    })
}
