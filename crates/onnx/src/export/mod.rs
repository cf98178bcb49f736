//! A graph as a model for compilers: ONNX's own operators alone, any extents, one file.
//!
//! [`graph_bytes`](crate::graph_bytes) keeps our ops, in a domain of ours and with functions, so that they come back.
//! A compiler such as Huawei's ATC knows neither. Here every composite is written as the operators that compilers
//! recognise (`lower.rs`), masks are added to scores (`mask.rs`), weights are constants where they are read (`fold.rs`),
//! IndexAdd is a product (`one_hot.rs`), and symbols such as `batch` stay symbols (`extents.rs`).

mod assemble;
mod extents;
mod fold;
mod lower;
mod mask;
mod nodes;
mod one_hot;
mod operators;
#[cfg(test)]
mod tests;
mod weights;

use crate::messages::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use crate::write::type_of;
use crate::{Error, Result};
use assemble::{Assembled, assembled};
use lockstep_graph::{Graph, TensorType};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{self, Write};
pub use weights::WEIGHTS_FILE;
use weights::{External, LARGEST_FILE};

/// The version of ONNX's operators in exported models. ATC takes 11 to 18. In 13 Softmax is along one axis, as ours, which it
/// was not before; ReduceMean has its axes as an attribute, as in the LayerNorms that fusion passes were written for, which
/// it has not from 18 on.
pub const EXPORT_OPSET: i64 = 13;

/// The version of ONNX's file format that came with it.
const IR_VERSION: i64 = 7;

/// An input or output of an exported model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// Its dtype and shape; symbols are dimensions that a run fixes.
    pub ty: TensorType,
}

/// A model, ready to be written.
#[derive(Debug)]
pub struct Export {
    model: ModelProto,
    external: External,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    checkpoints: Vec<(String, String)>,
}

/// Writes a graph in standard operators, with these of its checkpoints as outputs after its own.
///
/// Checkpoints keep their names but for characters other than letters, digits, `.`, `_`, `/` and `-`. One that is an output
/// under the same name already is not written twice. What an exported model gives where a graph has an error or another value:
///
/// * a mask row without any key weighs its keys as if there were no mask;
/// * an IndexAdd of a row that is not finite spreads NaN to every row (`one_hot.rs`);
/// * an index that is out of range is the runtime's to judge.
///
/// # Errors
/// [`Error::Model`] for a checkpoint that the graph does not have, and for what standard operators cannot say: custom ops
/// without a decomposition, an IndexAdd of integers, extents that no input has.
pub fn export(graph: &Graph, checkpoints: &[&str]) -> Result<Export> {
    export_within(graph, checkpoints, LARGEST_FILE)
}

/// As [`export`]; weights lie in a file of their own where the model would take more than `largest` bytes.
fn export_within(graph: &Graph, checkpoints: &[&str], largest: usize) -> Result<Export> {
    let graph = portable(&with_checkpoints(graph, checkpoints)?)?;
    let Assembled { nodes, inputs, outputs } = assembled(&graph)?;
    let output_of = |checkpoint: &str| {
        let at = graph.outputs().iter().position(|(name, _)| name == checkpoint)?;
        Some((checkpoint.to_owned(), outputs.get(at)?.name.clone()))
    };
    let checkpoints = checkpoints.iter().filter_map(|checkpoint| output_of(checkpoint)).collect();
    let described = |port: &Port| ValueInfoProto { name: port.name.clone(), ty: Some(type_of(&port.ty)) };
    let (initializer, external) = weights::placed(nodes.initializers, largest);
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "lockstep".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(GraphProto {
            node: nodes.nodes,
            name: "lockstep".to_owned(),
            initializer,
            input: inputs.iter().map(described).collect(),
            output: outputs.iter().map(described).collect(),
        }),
        opset_import: vec![OperatorSetIdProto::new("", EXPORT_OPSET)],
        functions: vec![],
    };
    Ok(Export { model, external, inputs, outputs, checkpoints })
}

/// The same graph in ops that are standard operators, weights as their readers want them.
fn portable(graph: &Graph) -> Result<Graph> {
    let graph = lower::lowered(graph)?;
    let graph = one_hot::without_index_add(&graph)?;
    let graph = mask::with_added_masks(&graph)?;
    fold::folded(&graph)
}

/// The graph with checkpoints as outputs after its own, and without those that were not asked for.
fn with_checkpoints(graph: &Graph, checkpoints: &[&str]) -> Result<Graph> {
    let mut outputs = graph.outputs().to_vec();
    for &wanted in checkpoints {
        let found = graph.checkpoints().iter().find(|(name, _)| name == wanted);
        let (name, id) = found.ok_or_else(|| Error::model(wanted, "is no checkpoint of the graph"))?;
        match outputs.iter().find(|(output, _)| output == name) {
            None => outputs.push((name.clone(), *id)),
            Some((_, same)) if same == id => {}
            Some(_) => return Err(Error::model(wanted, "is the name of another output, too")),
        }
    }
    Ok(graph.giving(outputs)?)
}

impl Export {
    /// The bytes of the model file.
    pub fn model_bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Whether weights lie in a file of their own, [`WEIGHTS_FILE`] beside the model, since the model would be larger than an
    /// ONNX file can be.
    pub fn has_weights_file(&self) -> bool {
        !self.external.is_empty()
    }

    /// Writes the bytes of [`WEIGHTS_FILE`].
    ///
    /// # Errors
    /// What the stream says.
    pub fn write_weights(&self, stream: &mut impl Write) -> io::Result<()> {
        self.external.write(stream)
    }

    /// What a run must be given, in order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What a run gives, in order: the graph's outputs, then checkpoints.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Each checkpoint that was asked for, with the output that gives it.
    pub fn checkpoints(&self) -> &[(String, String)] {
        &self.checkpoints
    }

    /// How many nodes there are of each operator.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for node in self.model.graph.iter().flat_map(|graph| &graph.node) {
            *counts.entry(node.op_type.clone()).or_insert(0) += 1;
        }
        counts
    }
}
