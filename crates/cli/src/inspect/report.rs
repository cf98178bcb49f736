//! What `inspect` finds out, as its JSON says it.

use crate::arguments::Shape;
use crate::failure::{Failure, Outcome};
use lockstep_bert::{BertModel, Head};
use lockstep_runtime::graph::{Cost, Graph, Symbol, ValueId};
use lockstep_runtime::hal::{CompiledModel, Provenance, Support};
use lockstep_runtime::plan::{self, NodePlan, Prepared};
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, PackingOutcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A model on a device.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) head: &'static str,
    pub(super) device: String,
    pub(super) dtype: DType,
    /// The model that the device runs whole, in place of nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compiled: Option<CompiledModel>,
    pub(super) inputs: Vec<NamedType>,
    pub(super) outputs: Vec<NamedType>,
    pub(super) checkpoints: Vec<String>,
    pub(super) parameters: usize,
    /// Bytes of the constants as they are held.
    pub(super) parameter_bytes: u64,
    pub(super) shape: ReportedShape,
    pub(super) per_sequence: ReportedCost,
    /// Nodes by op: as built, after fusion for this device, and as planned (rewritten, packed, folded).
    pub(super) nodes: Vec<OpCount>,
    /// Nodes after fusion, by the device's answer.
    pub(super) native: usize,
    pub(super) rewritten: usize,
    pub(super) refused: Vec<Refusal>,
    pub(super) runs: bool,
    /// Why it does not run, where that is not one of `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    pub(super) packing: ReportedPacking,
    pub(super) buckets: ReportedBuckets,
    pub(super) warnings: Vec<String>,
}

/// A value at the graph's edge.
#[derive(Debug, Serialize)]
pub(super) struct NamedType {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ReportedShape {
    pub(super) batch: usize,
    pub(super) seq: usize,
}

/// The costs of one of the shape's sequences.
#[derive(Debug, Serialize)]
pub(super) struct ReportedCost {
    pub(super) flops: u64,
    pub(super) product_flops: u64,
    pub(super) bytes: u64,
    pub(super) constant_bytes: u64,
    pub(super) activation_bytes: u64,
}

/// How many nodes of an op there are at each stage, and how the device runs it.
#[derive(Debug, Default, Serialize)]
pub(super) struct OpCount {
    pub(super) op: String,
    pub(super) built: usize,
    pub(super) fused: usize,
    pub(super) planned: usize,
    /// The device's answers for the fused nodes.
    pub(super) support: Vec<String>,
}

/// A node that the device does not run.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) node: String,
    pub(super) op: String,
    pub(super) inputs: Vec<String>,
    pub(super) reason: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ReportedPacking {
    pub(super) packed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// Whether programs serve buckets of batches.
#[derive(Debug, Serialize)]
pub(super) struct ReportedBuckets {
    pub(super) bucketed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl Report {
    /// # Errors
    /// A shape that the graph does not take.
    pub(super) fn new(
        folder: &Path,
        model: &BertModel,
        device: &dyn Device,
        dtype: DType,
        shape: Shape,
        survey: &[NodePlan],
        plan: plan::Result<Prepared>,
    ) -> Outcome<Self> {
        let graph: &Graph = model.graph();
        let named =
            |name: &str, id: ValueId| NamedType { name: name.to_owned(), ty: graph.value(id).ty.to_string() };
        let refused: Vec<Refusal> = survey.iter().filter_map(refusal).collect();
        let planned = match &plan {
            Ok(plan) if device.compiled_model().is_none() => plan.nodes(),
            _ => Vec::new(),
        };
        let packing = match plan.as_ref().map(Prepared::packing) {
            Ok(PackingOutcome::Packed) => ReportedPacking { packed: true, reason: None },
            Ok(PackingOutcome::Padded(why)) => ReportedPacking { packed: false, reason: Some(why.clone()) },
            Err(_) => {
                ReportedPacking { packed: false, reason: Some("the device does not run the model".into()) }
            }
        };
        let why_exact = match plan.as_ref().map(Prepared::why_exact) {
            Ok(why) => why.map(str::to_owned),
            Err(_) => packing.reason.clone(),
        };
        let buckets = ReportedBuckets { bucketed: why_exact.is_none(), reason: why_exact };
        let constants = graph.values().filter_map(|(id, _)| graph.constant(id));
        Ok(Self {
            model: folder.display().to_string(),
            head: head(model.head()),
            device: device.info().id.clone(),
            dtype,
            compiled: device.compiled_model().cloned(),
            inputs: graph.inputs().iter().map(|&id| named(&graph.value(id).name, id)).collect(),
            outputs: graph.outputs().iter().map(|(name, id)| named(name, *id)).collect(),
            checkpoints: graph.checkpoints().iter().map(|(name, _)| name.clone()).collect(),
            parameters: model.parameter_count(),
            parameter_bytes: constants.map(|constant| constant.tensor().bytes().len() as u64).sum(),
            shape: ReportedShape { batch: shape.batch, seq: shape.seq },
            per_sequence: ReportedCost::new(cost(graph, shape)?, shape.batch as u64),
            nodes: count_ops(graph, survey, &planned),
            native: survey.iter().filter(|node| matches!(node.support, Support::Native(_))).count(),
            rewritten: survey.iter().filter(|node| matches!(node.support, Support::Rewrite(_))).count(),
            runs: plan.is_ok(),
            error: plan.err().filter(|_| refused.is_empty()).map(|error| error.to_string()),
            refused,
            packing,
            buckets,
            warnings: model.warnings().to_vec(),
        })
    }
}

/// What a whole batch costs.
///
/// # Errors
/// A shape that the graph does not take.
pub(crate) fn cost(graph: &Graph, shape: Shape) -> Outcome<Cost> {
    let extents = [("batch", shape.batch), ("seq", shape.seq)];
    let values = extents.into_iter().map(|(name, extent)| (Symbol::new(name), extent)).collect();
    graph.cost(&values).map_err(|error| Failure::of(&error))
}

impl ReportedCost {
    fn new(cost: Cost, batch: u64) -> Self {
        Self {
            flops: cost.flops() / batch,
            product_flops: cost.product_flops / batch,
            bytes: cost.bytes() / batch,
            constant_bytes: cost.constant_bytes / batch,
            activation_bytes: cost.activation_bytes / batch,
        }
    }
}

fn head(head: &Head) -> &'static str {
    match head {
        Head::Encoder => "encoder",
        Head::SequenceClassification { .. } => "sequence classification",
        Head::TokenClassification => "token classification",
        Head::Embedding(_) => "embedding",
        _ => "other",
    }
}

fn refusal(node: &NodePlan) -> Option<Refusal> {
    let Support::No(reason) = &node.support else { return None };
    Some(Refusal {
        node: node.name.clone(),
        op: node.op.clone(),
        inputs: node.inputs.clone(),
        reason: reason.to_string(),
    })
}

/// Ops of all three stages by name.
fn count_ops(graph: &Graph, survey: &[NodePlan], planned: &[NodePlan]) -> Vec<OpCount> {
    let mut counts: BTreeMap<String, OpCount> = BTreeMap::new();
    for node in graph.nodes() {
        counts.entry(node.op.name().to_owned()).or_default().built += 1;
    }
    for node in survey {
        let count = counts.entry(node.op.clone()).or_default();
        count.fused += 1;
        let answer = match &node.support {
            Support::Native(_) => "native".to_owned(),
            Support::Rewrite(rule) => format!("by {rule}"),
            Support::No(reason) => format!("refused: {reason}"),
        };
        if !count.support.contains(&answer) {
            count.support.push(answer);
        }
    }
    for node in planned {
        let count = counts.entry(node.op.clone()).or_default();
        count.planned += 1;
        // What only a rewrite brought in was in no survey.
        if count.fused == 0 {
            let answer = match node.provenance {
                Provenance::Native => "native".to_owned(),
                Provenance::Rewritten { .. } | Provenance::Decomposed { .. } => {
                    "native, from a rewrite".to_owned()
                }
            };
            if !count.support.contains(&answer) {
                count.support.push(answer);
            }
        }
    }
    counts.into_iter().map(|(op, count)| OpCount { op, ..count }).collect()
}
