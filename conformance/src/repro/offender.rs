//! A guilty op, with what it takes to show it to someone else.

use crate::one_op::Argument;
use crate::verdict::Verdict;
use lockstep_runtime::graph::Op;
use lockstep_runtime::tensor::{DType, HostTensor};

/// So many offenders of a run are kept with their tensors. One fault in a kernel makes every layer's op guilty, and memory
/// must not grow with the model.
pub const MOST_KEPT: usize = 8;

/// A guilty op with its tensors, which share their memory with the run that it was found in.
#[derive(Clone, Debug)]
pub struct Offender {
    /// The node's name.
    pub node: String,
    /// What it computes.
    pub op: Op,
    /// What the device was given, as it stores it.
    pub arguments: Vec<Argument>,
    /// What is right: in f64 if it is a float.
    pub truth: HostTensor,
    /// How far each element may be off at worst; empty where it must be equal.
    pub worst_case: Vec<f64>,
    /// What the device gave; `None` if it failed.
    pub found: Option<HostTensor>,
    /// The dtype that the device stores the result in.
    pub storage: DType,
    /// The dtype that it promised sums to be carried in.
    pub accumulate: DType,
    /// Why it is guilty.
    pub verdict: Verdict,
    /// Its largest error as a multiple of the worst-case bound; `None` if it failed.
    pub of_worst_case: Option<f64>,
    /// The fault that explains most of the error, in words.
    pub fits: Option<String>,
}

/// The same step, judged the same for the same bits.
impl PartialEq for Offender {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |offender: &Self| offender.found.as_ref().map(|found| found.bytes().to_vec());
        self.node == other.node
            && self.op == other.op
            && self.verdict == other.verdict
            && bytes(self) == bytes(other)
    }
}
