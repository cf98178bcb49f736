//! A run of the tested device, taken apart into steps.

use super::report::{Drift, OutputReport, StepReport};
use crate::compare::difference;
use crate::one_op::Argument;
use crate::verdict::Verdict;
use lockstep_runtime::Result;
use lockstep_runtime::graph::{Graph, Node, Op, ValueId};
use lockstep_runtime::hal::{Location, OperandId, Program, Provenance, Step};
use lockstep_runtime::tensor::HostTensor;
use std::collections::HashMap;
use std::sync::Arc;

/// Values of one stream, by the operand whose memory they are.
pub(super) type Stream = HashMap<OperandId, HostTensor>;

/// A run of the tested device, ready to be taken apart.
pub(super) struct Plan {
    pub(super) program: Arc<Program>,
    pub(super) inputs: Vec<HostTensor>,
    /// For every step, the operands that nothing reads after it and that are no outputs.
    pub(super) last_read: Vec<Vec<OperandId>>,
    /// Names of checkpoints and outputs by the step that computes them.
    pub(super) labels: HashMap<usize, String>,
}

/// The node whose value `id` really is, through reshapes, which are the same memory.
fn computed_by(graph: &Graph, id: ValueId) -> Option<&Node> {
    let mut node = graph.producer(id)?;
    while matches!(node.op, Op::Reshape { .. }) {
        node = graph.producer(node.inputs[0])?;
    }
    Some(node)
}

/// Which step computes which checkpoint or output. A packed plan puts sequences back in their rows for outputs and taps only,
/// by `IndexAdd` into zeros; what is put back is the value meant. A rewritten node's value is its last step's.
pub(super) fn labels(graph: &Graph, program: &Program) -> HashMap<usize, String> {
    let is_zeros = |id| computed_by(graph, id).is_some_and(|node| matches!(node.op, Op::Fill { .. }));
    let mut labels = HashMap::new();
    for (name, id) in graph.outputs().iter().chain(graph.checkpoints()) {
        let Some(mut node) = computed_by(graph, *id) else { continue };
        if matches!(node.op, Op::IndexAdd { .. }) && is_zeros(node.inputs[0]) {
            node = computed_by(graph, node.inputs[2]).unwrap_or(node);
        }
        let is_of_node = |step: &Step| match &step.provenance {
            Provenance::Native => step.name == node.name,
            Provenance::Rewritten { node: of, .. } | Provenance::Decomposed { node: of } => *of == node.name,
        };
        if let Some(at) = program.steps().iter().rposition(is_of_node) {
            labels.entry(at).or_insert_with(|| name.clone());
        }
    }
    labels
}

pub(super) fn last_reads(program: &Program) -> Vec<Vec<OperandId>> {
    let root = |id: OperandId| program.operand(id).view_of.unwrap_or(id);
    let mut last: HashMap<OperandId, usize> = HashMap::new();
    for (at, step) in program.steps().iter().enumerate() {
        for &id in step.inputs.iter().chain(&step.outputs) {
            last.insert(root(id), at);
        }
    }
    let mut freed = vec![Vec::new(); program.steps().len()];
    for (id, at) in last {
        if !program.io().contains(&id) {
            freed[at].push(id);
        }
    }
    freed
}

impl Plan {
    pub(super) fn root(&self, id: OperandId) -> OperandId {
        self.program.operand(id).view_of.unwrap_or(id)
    }

    pub(super) fn output_ids(&self) -> impl Iterator<Item = OperandId> {
        self.program.io()[self.program.input_count()..].iter().copied()
    }

    /// A stream that holds the inputs.
    pub(super) fn start(&self) -> Stream {
        self.program.io().iter().copied().zip(self.inputs.iter().cloned()).collect()
    }

    pub(super) fn report(&self, at: usize) -> StepReport {
        let step = &self.program.steps()[at];
        let output = step.outputs.first().map(|&id| self.program.operand(id));
        let described = |operand: &lockstep_runtime::hal::Operand| {
            let extents: Vec<String> = operand.shape.iter().map(ToString::to_string).collect();
            format!("{}[{}]", operand.dtype, extents.join(", "))
        };
        StepReport {
            node: step.name.clone(),
            op: step.op.to_string(),
            output: output.map(described).unwrap_or_default(),
            provenance: step.provenance.to_string(),
            reads: self.reads(at),
            checkpoint: self.labels.get(&at).cloned(),
            verdict: Verdict::NotRun("not run alone".into()),
            isolated: None,
            fingerprints: Vec::new(),
            trusted: None,
            devices_apart: None,
            cumulative: None,
            blame: None,
            offender: None,
        }
    }

    /// The steps before this one whose results it reads.
    fn reads(&self, at: usize) -> Vec<usize> {
        let steps = self.program.steps();
        let writer = |&id: &OperandId| {
            let root = self.root(id);
            steps[..at].iter().rposition(|step| step.outputs.iter().any(|&output| self.root(output) == root))
        };
        let mut reads: Vec<usize> = steps[at].inputs.iter().filter_map(writer).collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }

    /// What a step reads in a stream.
    pub(super) fn arguments(&self, step: &Step, stream: &Stream) -> Vec<Argument> {
        let argument = |&id: &OperandId| {
            let operand = self.program.operand(id);
            if let Location::Constant(constant) = &operand.location {
                if constant.tensor().shape() == operand.shape {
                    return Some(Argument::Constant(constant.clone()));
                }
                return constant.tensor().reshape(&operand.shape).ok().map(Argument::Given);
            }
            // Programs read nothing that was not written before.
            let value = stream.get(&self.root(id))?;
            value.reshape(&operand.shape).ok().map(Argument::Given)
        };
        step.inputs.iter().filter_map(argument).collect()
    }

    /// What a step reads in the trusted stream, in the dtypes that the tested device stores.
    pub(super) fn stored_arguments(&self, step: &Step, trusted: &Stream) -> Result<Vec<Argument>> {
        let arguments = self.arguments(step, trusted);
        let stored = |(argument, &id): (&Argument, &OperandId)| argument.cast(self.program.operand(id).dtype);
        arguments.iter().zip(&step.inputs).map(stored).collect()
    }

    /// Outputs of a step in the dtypes that the tested device stores.
    pub(super) fn stored(&self, step: &Step, outputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let stored =
            |(value, &id): (&HostTensor, &OperandId)| Ok(value.cast(self.program.operand(id).dtype)?);
        outputs.iter().zip(&step.outputs).map(stored).collect()
    }

    /// The difference of the streams after a step. `drifts` keeps the relative one by operand.
    pub(super) fn drift(
        &self,
        step: &Step,
        trusted: &Stream,
        tested: &Stream,
        drifts: &mut HashMap<OperandId, f64>,
    ) -> Option<Drift> {
        let &id = step.outputs.first()?;
        let difference = difference(tested.get(&id)?, trusted.get(&id)?)?;
        let before = step.inputs.iter().filter_map(|&input| drifts.get(&self.root(input)));
        let before = before.copied().fold(0.0, f64::max);
        drifts.insert(id, difference.relative());
        let amplification = (before > 0.0).then(|| difference.relative() / before);
        Some(Drift { difference, amplification })
    }

    pub(super) fn outputs<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
        trusted: &Stream,
        tested: &Stream,
        whole: Option<&[(String, HostTensor)]>,
    ) -> Vec<OutputReport> {
        let report = |(at, (id, name)): (usize, (OperandId, &str))| {
            let (theirs, ours) = (trusted.get(&self.root(id))?, tested.get(&self.root(id))?);
            Some(OutputReport {
                name: name.to_owned(),
                difference: difference(ours, theirs)?,
                agreeing_rows: agreeing_rows(ours, theirs),
                whole_run_equals_steps: whole
                    .and_then(|whole| whole.get(at))
                    .map(|(_, ran)| ran.bytes() == ours.bytes()),
            })
        };
        self.output_ids().zip(names).enumerate().filter_map(report).collect()
    }
}

/// In how many rows along the last axis the largest element is at the same place, and how many rows there are.
fn agreeing_rows(a: &HostTensor, b: &HostTensor) -> (usize, usize) {
    let width = a.shape().last().copied().unwrap_or(1).max(1);
    let largest = |tensor: &HostTensor| -> Vec<usize> {
        let place = |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        tensor.to_f64().chunks(width).map(place).collect()
    };
    let (a, b) = (largest(a), largest(b));
    (a.iter().zip(&b).filter(|(a, b)| a == b).count(), a.len())
}
