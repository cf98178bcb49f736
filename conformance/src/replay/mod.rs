//! Two devices on one graph, step by step.
//!
//! The tested device's own plan gives the steps: the ops that it really runs, fused as it fuses them. Two streams of values
//! go through them, the trusted device's and the tested device's, each on what it computed before; that is *cumulative*.
//! *Isolated*, each step is run on the tested device once more, on the trusted stream's values rounded to what the tested
//! device stores, and judged against the truth of exactly those. A value is dropped after its last reader, so that memory
//! holds no more than a run does; only the tensors of the first guilty steps are kept, as evidence.

use crate::compare::difference;
use crate::one_op::{self, Argument};
use crate::oracle::{Oracle, Terms};
use crate::pulse::{Pulse, Stopped, is_of_device};
use crate::repro::MOST_KEPT;
use crate::verdict::Verdict;
use lockstep_runtime::graph::DType;
use lockstep_runtime::hal::{Error as DeviceError, OperandId, Step};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Error, Fallback, Result, RunOptions, Session};
use std::collections::HashMap;
use std::sync::Arc;

mod plan;
mod report;
mod trial;

use plan::{Plan, Stream, labels, last_reads};
pub use report::{Drift, OutputReport, Replayed, StepReport};
pub use trial::StepTrial;

/// How steps are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Each step alone, judged.
    pub isolated: bool,
    /// The two streams, compared after each step.
    pub cumulative: bool,
}

/// What both devices have computed so far.
struct Streams {
    trusted: Stream,
    tested: Stream,
    /// The relative difference of the two by operand.
    drifts: HashMap<OperandId, f64>,
}

/// Two devices and a graph.
#[derive(Debug)]
pub struct Replay {
    oracle: Oracle,
    trusted: Arc<dyn Device>,
    /// The dtype of the trusted stream.
    trusted_dtype: DType,
    tested: Session,
}

impl Replay {
    /// `tested` is the graph's session on the device in question. The trusted device computes in its default dtype.
    ///
    /// # Errors
    /// A device of either that runs a compiled model, which has no ops to be run one by one.
    pub fn new(trusted: Arc<dyn Device>, tested: Session) -> Result<Self> {
        for device in [&trusted, tested.prepared().device()] {
            if device.compiled_model().is_some() {
                let reason = "a compiled model's ops cannot be run one by one; hold it to what a trusted device gives \
                              instead: lockstep golden record, then golden check";
                return Err(lockstep_runtime::hal::Error::compiled_model(&device.info().id, reason).into());
            }
        }
        let trusted_dtype = trusted.info().default_dtype;
        Ok(Self { oracle: Oracle::new()?, trusted, trusted_dtype, tested })
    }

    /// The session on the tested device.
    pub fn tested(&self) -> &Session {
        &self.tested
    }

    /// Runs both devices on these inputs; `progress` is told of each step that is done, and of how many there are.
    ///
    /// # Errors
    /// Inputs that do not fit; steps that the trusted device or the oracle refuses. What the tested device fails at is no
    /// error but [`Verdict::Crash`]; a device that is lost midway ends it ([`Replayed::stopped`]) with what was measured.
    pub fn run(
        &self,
        inputs: &[(&str, &HostTensor)],
        modes: Modes,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Replayed> {
        let plan = self.plan(inputs)?;
        let steps = plan.program.steps();
        let mut streams = Streams { trusted: plan.start(), tested: plan.start(), drifts: HashMap::new() };
        let mut pulse = Pulse::new(self.tested.prepared().device());
        let mut reports = Vec::with_capacity(steps.len());
        let mut stopped: Option<Stopped> = None;
        let mut kept = 0;
        for at in 0..steps.len() {
            let mut report = plan.report(at);
            if stopped.is_none() {
                stopped = self.step(&plan, at, modes, &mut streams, &mut pulse, &mut report)?;
            }
            if let Some(stopped) = &stopped
                && report.isolated.is_none()
            {
                report.verdict = Verdict::NotRun(stopped.briefly());
                report.offender = None;
            }
            kept += usize::from(report.offender.is_some());
            if kept > MOST_KEPT {
                report.offender = None;
            }
            reports.push(report);
            progress(at + 1, steps.len());
        }
        let whole = if stopped.is_none() { Some(self.whole_run(inputs)) } else { None };
        if let Some(Err(error)) = &whole {
            stopped = pulse.lost("the whole run", error).cloned();
        }
        let (whole, whole_run_error) = match whole {
            Some(Ok(whole)) => (Some(whole), None),
            Some(Err(error)) if stopped.is_none() => (None, Some(error.to_string())),
            _ => (None, None),
        };
        let outputs = plan.outputs(self.output_names(), &streams.trusted, &streams.tested, whole.as_deref());
        let mut replayed = Replayed { steps: reports, outputs, whole_run_error, stopped };
        if modes.isolated && replayed.stopped.is_none() {
            self.blame(&plan, &streams.trusted, &mut replayed);
        }
        Ok(replayed)
    }

    /// A step on both devices. Where one of them is lost the report keeps what was measured of the step before.
    fn step(
        &self,
        plan: &Plan,
        at: usize,
        modes: Modes,
        streams: &mut Streams,
        pulse: &mut Pulse<'_>,
        report: &mut StepReport,
    ) -> Result<Option<Stopped>> {
        let step = &plan.program.steps()[at];
        let mut on_trusted = || -> Result<(Vec<HostTensor>, Option<Error>)> {
            let outputs = self.trusted_step(&plan.arguments(step, &streams.trusted), step)?;
            let crashed =
                if modes.isolated { self.isolated(plan, step, &streams.trusted, report)? } else { None };
            Ok((outputs, crashed))
        };
        let (outputs, crashed) = match on_trusted() {
            Ok(both) => both,
            // The trusted device or the oracle: what was measured so far is worth keeping.
            Err(error) if is_of_device(&error) => {
                let device = self.trusted.info().id.clone();
                return Ok(Some(Stopped { device, at: step.name.clone(), reason: error.to_string() }));
            }
            Err(error) => return Err(error),
        };
        let arguments = plan.arguments(step, &streams.tested);
        let found = match crashed.map_or_else(|| self.tested_step(&arguments, step), Err) {
            Ok(found) => {
                pulse.ran(&step.op, &arguments);
                found
            }
            Err(error) => {
                if let Some(stopped) = pulse.lost(&step.name, &error) {
                    return Ok(Some(stopped.clone()));
                }
                report.verdict = failed(&error);
                // The stream goes on with the trusted values, as the report's verdict says.
                plan.stored(step, &outputs)?
            }
        };
        for (&id, (trusted, tested)) in step.outputs.iter().zip(outputs.into_iter().zip(found)) {
            streams.trusted.insert(id, trusted);
            streams.tested.insert(id, tested);
        }
        if modes.cumulative {
            report.cumulative = plan.drift(step, &streams.trusted, &streams.tested, &mut streams.drifts);
        }
        for id in &plan.last_read[at] {
            streams.trusted.remove(id);
            streams.tested.remove(id);
        }
        Ok(None)
    }

    fn plan(&self, inputs: &[(&str, &HostTensor)]) -> Result<Plan> {
        let (bound, inputs) = self.tested.bind(inputs, &RunOptions::new())?;
        let program = bound.program;
        let labels = labels(self.tested.prepared().graph(), &program);
        Ok(Plan { last_read: last_reads(&program), labels, inputs, program })
    }

    /// The trusted device on its own stream.
    fn trusted_step(&self, arguments: &[Argument], step: &Step) -> Result<Vec<HostTensor>> {
        let (op, arguments) = one_op::in_dtype(&step.op, arguments, self.trusted_dtype)?;
        one_op::run(&self.trusted, Fallback::Decompose, &step.name, &op, &arguments)
    }

    fn tested_step(&self, arguments: &[Argument], step: &Step) -> Result<Vec<HostTensor>> {
        let device = self.tested.prepared().device();
        one_op::run(device, Fallback::Deny, &step.name, &step.op, arguments)
    }

    fn terms(&self, step: &Step) -> Terms<'_> {
        let profile = &self.tested.prepared().device().info().numerics;
        Terms { accumulate: step.claim.accumulate, profile }
    }

    /// One step on the trusted stream's values, as the tested device stores them.
    fn trial(&self, plan: &Plan, step: &Step, trusted: &Stream) -> Result<StepTrial> {
        let arguments = plan.stored_arguments(step, trusted)?;
        let storage = plan.program.operand(step.outputs[0]).dtype;
        StepTrial::new(&self.oracle, step, arguments, storage, self.terms(step))
    }

    /// Every step with the trusted stream's values, to be judged on any number of devices that run the same plan. Holds all
    /// of them at once.
    ///
    /// # Errors
    /// Inputs that do not fit; steps that the trusted device or the oracle cannot run.
    pub fn trials(&self, inputs: &[(&str, &HostTensor)]) -> Result<Vec<StepTrial>> {
        let plan = self.plan(inputs)?;
        let mut trusted = plan.start();
        let mut trials = Vec::new();
        for step in plan.program.steps() {
            trials.push(self.trial(&plan, step, &trusted)?);
            let outputs = self.trusted_step(&plan.arguments(step, &trusted), step)?;
            trusted.extend(step.outputs.iter().copied().zip(outputs));
        }
        Ok(trials)
    }

    /// Judges a step alone; gives what the tested device fails with.
    fn isolated(
        &self,
        plan: &Plan,
        step: &Step,
        trusted: &Stream,
        report: &mut StepReport,
    ) -> Result<Option<Error>> {
        let trial = self.trial(plan, step, trusted)?;
        let found = match trial.run(self.tested.prepared().device()) {
            Ok(found) => found,
            Err(error) => {
                report.verdict = failed(&error);
                report.offender = report.verdict.is_guilty().then(|| trial.offender(None, report));
                return Ok(Some(error));
            }
        };
        let mut judgement = trial.judge(&found)?;
        report.verdict = judgement.verdict.clone();
        report.fingerprints = trial.fingerprints(&judgement, &found);
        if self.trusted.info().id != self.oracle.device().info().id {
            let theirs = self.trusted_step(&trial.arguments, step)?.swap_remove(0);
            report.devices_apart = difference(&found, &theirs);
            let accumulate = self.trusted.info().numerics.accumulate_of(self.trusted_dtype);
            let profile = &self.trusted.info().numerics;
            let terms = Terms { accumulate: accumulate.unwrap_or(self.trusted_dtype), profile };
            judgement.note_trusted(&theirs);
            let theirs = self.oracle.judge(&step.op, &trial.arguments, &trial.truth, &theirs, terms)?;
            // The worst case allows it; if the trusted device is about as far off, so be it.
            if judgement.verdict == Verdict::Suspect && judgement.rms_error <= 2.0 * theirs.rms_error {
                report.verdict = Verdict::AsAccurate;
            }
            report.trusted = Some(theirs);
        } else {
            report.devices_apart = difference(&found, &trial.truth);
        }
        report.isolated = Some(judgement);
        report.offender = report.verdict.is_guilty().then(|| trial.offender(Some(found), report));
        Ok(None)
    }

    fn output_names(&self) -> impl Iterator<Item = &str> {
        self.tested.prepared().graph().outputs().iter().map(|(name, _)| name.as_str())
    }

    /// The tested device's outputs of one whole run.
    fn whole_run(&self, inputs: &[(&str, &HostTensor)]) -> Result<Vec<(String, HostTensor)>> {
        Ok(self.tested.run(inputs)?.outputs().to_vec())
    }

    /// Patch blame, for the steps that are guilty or suspect: the tested stream again, with that step's truth in place of
    /// its result.
    fn blame(&self, plan: &Plan, trusted: &Stream, replayed: &mut Replayed) {
        let steps = plan.program.steps();
        let accused = |report: &StepReport| matches!(report.verdict, Verdict::Wrong | Verdict::Suspect);
        for at in 0..steps.len() {
            if !accused(&replayed.steps[at]) {
                continue;
            }
            // A device that fails now takes away the blame, not what was measured.
            let Ok(patched) = self.patched(plan, at) else { continue };
            let error = |stream: &Stream| -> f64 {
                let far = |id: &OperandId| Some(difference(stream.get(id)?, trusted.get(id)?)?.rms.powi(2));
                plan.output_ids().filter_map(|id| far(&plan.root(id))).sum::<f64>().sqrt()
            };
            let before: f64 = replayed.outputs.iter().map(|output| output.difference.rms.powi(2)).sum();
            let before = before.sqrt();
            replayed.steps[at].blame = (before > 0.0).then(|| 1.0 - error(&patched) / before);
        }
    }

    /// The tested stream with the truth of step `patch` in place of its result.
    fn patched(&self, plan: &Plan, patch: usize) -> Result<Stream> {
        let mut stream = plan.start();
        for (at, step) in plan.program.steps().iter().enumerate() {
            let arguments = plan.arguments(step, &stream);
            let outputs = if at == patch {
                plan.stored(step, &self.oracle.truth(&step.name, &step.op, &arguments)?)?
            } else {
                self.tested_step(&arguments, step)?
            };
            stream.extend(step.outputs.iter().copied().zip(outputs));
            for id in &plan.last_read[at] {
                stream.remove(id);
            }
        }
        Ok(stream)
    }
}

fn failed(error: &Error) -> Verdict {
    match error {
        Error::Device(DeviceError::Unsupported { .. }) => Verdict::Unsupported(error.to_string()),
        _ => Verdict::Crash(error.to_string()),
    }
}
