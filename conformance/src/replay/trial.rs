//! One step with the values that it is to be judged on.

use super::report::StepReport;
use crate::fingerprint::{Fingerprint, fingerprints};
use crate::judgement::Judgement;
use crate::one_op::{self, Argument};
use crate::oracle::{Limits, Oracle, Terms};
use crate::repro::Offender;
use crate::verdict::Verdict;
use lockstep_runtime::graph::Op;
use lockstep_runtime::hal::Step;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Fallback, Result};
use std::sync::Arc;

/// A step, what the tested device is given for it, and what is right.
#[derive(Clone, Debug)]
pub struct StepTrial {
    /// The node's name.
    pub node: String,
    /// What it computes.
    pub op: Op,
    /// The dtype that the tested device stores its result in.
    pub storage: DType,
    pub(super) arguments: Vec<Argument>,
    pub(super) truth: HostTensor,
    limits: Limits,
    accumulate: DType,
}

impl StepTrial {
    pub(super) fn new(
        oracle: &Oracle,
        step: &Step,
        arguments: Vec<Argument>,
        storage: DType,
        terms: Terms<'_>,
    ) -> Result<Self> {
        let truth = oracle.truth(&step.name, &step.op, &arguments)?.swap_remove(0);
        let limits = oracle.limits(&step.op, &arguments, &truth, storage, terms)?;
        let (node, op) = (step.name.clone(), step.op.clone());
        Ok(Self { node, op, storage, arguments, truth, limits, accumulate: terms.accumulate })
    }

    /// What the step reads, as the tested device stores it.
    pub fn inputs(&self) -> Vec<HostTensor> {
        self.arguments.iter().map(|argument| argument.tensor().clone()).collect()
    }

    /// What a device gives.
    ///
    /// # Errors
    /// What the device says.
    pub fn run(&self, device: &Arc<dyn Device>) -> Result<HostTensor> {
        let mut outputs = one_op::run(device, Fallback::Deny, &self.node, &self.op, &self.arguments)?;
        Ok(outputs.swap_remove(0))
    }

    /// Judges what a device gave.
    ///
    /// # Errors
    /// As [`Limits::judge`].
    pub fn judge(&self, found: &HostTensor) -> Result<Judgement> {
        self.limits.judge(&self.truth, found)
    }

    /// What a result looks like, if it is WRONG; the best first.
    pub fn fingerprints(&self, judgement: &Judgement, found: &HostTensor) -> Vec<Fingerprint> {
        match judgement.verdict {
            Verdict::Wrong => fingerprints(&self.op, &self.inputs(), &self.truth, found),
            _ => Vec::new(),
        }
    }

    /// The step as evidence against the device: what it gave, or that it failed, and what follows.
    pub(super) fn offender(self, found: Option<HostTensor>, report: &StepReport) -> Offender {
        Offender {
            node: self.node,
            op: self.op,
            arguments: self.arguments,
            truth: self.truth,
            worst_case: self.limits.worst_case,
            found,
            storage: self.storage,
            accumulate: self.accumulate,
            verdict: report.verdict.clone(),
            of_worst_case: report.isolated.as_ref().map(|judgement| judgement.of_worst_case),
            fits: report.fingerprints.first().map(|first| first.fault.describe().to_owned()),
        }
    }
}
