//! A pack's op on a device, once more.
//!
//! It is judged here on its own, beside the replay of its graph: an op without operands is computed when a plan is made, so
//! that a replay has no step left to judge.

use super::{Error, Pack, Result};
use crate::one_op;
use crate::oracle::{Oracle, Terms};
use crate::verdict::Verdict;
use lockstep_runtime::graph::TensorType;
use lockstep_runtime::hal::{OpQuery, Support};
use lockstep_runtime::{Device, Fallback};
use serde::Serialize;
use std::sync::Arc;

/// What a device gives for a pack's op now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Again {
    /// The device.
    pub device: String,
    /// Whether it is a simulator.
    pub simulated: bool,
    /// What follows.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The largest error as a multiple of the worst-case bound; `None` where nothing was computed.
    pub of_worst_case: Option<f64>,
    /// Whether these are the bits that were found then; `None` where there is nothing to compare.
    pub as_found: Option<bool>,
    /// What was found then, in words; `None` for a pack that does not say.
    pub then: Option<String>,
}

impl Pack {
    /// Runs the pack's op on a device and judges it; `None` for a model of several nodes, which only a replay can judge.
    ///
    /// # Errors
    /// Those of the reference. What the device fails at is no error but [`Verdict::Crash`].
    pub fn again(&self, device: &Arc<dyn Device>) -> Result<Option<Again>> {
        let Some((node, arguments)) = self.node() else { return Ok(None) };
        let info = device.info();
        let again = |verdict, of_worst_case, as_found| {
            Ok(Some(Again {
                device: info.id.clone(),
                simulated: info.simulated,
                verdict,
                of_worst_case,
                as_found,
                then: self.finding.as_ref().map(|finding| finding.in_words()),
            }))
        };
        let types: Vec<&TensorType> = node.inputs.iter().map(|&id| &self.graph.value(id).ty).collect();
        let outputs: Vec<TensorType> =
            node.outputs.iter().map(|&id| self.graph.value(id).ty.clone()).collect();
        let accumulate = match device.support(&OpQuery { op: &node.op, inputs: &types, outputs: &outputs }) {
            Support::Native(claim) => claim.accumulate,
            // A decomposition rounds to storage at every primitive.
            Support::Rewrite(_) => self.dtype(),
            Support::No(reason) => return again(Verdict::Unsupported(reason.to_string()), None, None),
        };
        let found = match one_op::run(device, Fallback::Deny, &node.name, &node.op, &arguments) {
            Ok(mut outputs) => outputs.swap_remove(0),
            Err(error) => return again(Verdict::Crash(error.to_string()), None, None),
        };
        let oracle = Oracle::new()?;
        let truth = oracle.truth(&node.name, &node.op, &arguments).map_err(Error::Run)?.swap_remove(0);
        let terms = Terms { accumulate, profile: &info.numerics };
        let judged = oracle.judge(&node.op, &arguments, &truth, &found, terms)?;
        let as_found = self.found.as_ref().map(|then| {
            (then.dtype(), then.shape(), then.bytes()) == (found.dtype(), found.shape(), found.bytes())
        });
        again(judged.verdict, Some(judged.of_worst_case), as_found)
    }
}

impl Again {
    /// What is said of it in a line.
    pub fn in_words(&self) -> String {
        let simulated = if self.simulated { " (simulated)" } else { "" };
        let multiple =
            self.of_worst_case.map(|multiple| format!(", {multiple:.2}x bound")).unwrap_or_default();
        let now = format!("{}{simulated} is {}{multiple}", self.device, self.verdict);
        match (&self.then, self.as_found) {
            (Some(then), Some(true)) => format!("AGAIN the same bits as found then: {now}; {then}"),
            (Some(then), _) => format!("AGAIN other than found then: {now}; {then}"),
            (None, _) => format!("AGAIN {now}"),
        }
    }
}
