//! The nodes of a whole model, and what each value is called.

use super::Port;
use super::extents::Extents;
use super::nodes::Nodes;
use super::operators::{Writer, filled};
use crate::{Error, Result};
use lockstep_graph::{Graph, HostTensor, Node, Op, Origin, TensorType, ValueId};
use std::collections::HashMap;

/// A model's parts.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) nodes: Nodes,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

/// Writes every node of a graph of primitives and Softmax.
///
/// # Errors
/// [`Error::Model`] for what standard operators cannot say.
pub(super) fn assembled(graph: &Graph) -> Result<Assembled> {
    let mut nodes = Nodes::default();
    // Inputs and outputs take their names before anything else does.
    let mut port = |name: &str, id: ValueId| Port { name: nodes.name(name), ty: graph.value(id).ty.clone() };
    let inputs: Vec<Port> = graph.inputs().iter().map(|&id| port(&graph.value(id).name, id)).collect();
    let outputs: Vec<Port> = graph.outputs().iter().map(|(name, id)| port(name, *id)).collect();

    let mut names: HashMap<ValueId, String> = HashMap::new();
    for (&id, port) in graph.inputs().iter().zip(&inputs) {
        names.insert(id, port.name.clone());
    }
    for (id, value) in graph.values() {
        if let Origin::Constant(constant) = &value.origin {
            names.insert(id, nodes.weight(&value.name, constant.tensor().clone()));
        }
    }
    let results = results(graph, &outputs);
    let mut extents = Extents::new(&inputs);
    for node in graph.nodes() {
        let &[result] = &node.outputs[..] else {
            return Err(Error::model(&node.name, format!("{} has several results", node.op)));
        };
        let name = match scalar(node) {
            Some((wanted, value)) => nodes.shared(&wanted, value?),
            None => {
                // Nodes come after those whose results they read.
                let operands: Vec<&str> =
                    node.inputs.iter().filter_map(|id| names.get(id)).map(String::as_str).collect();
                let types: Vec<&TensorType> = node.inputs.iter().map(|&id| &graph.value(id).ty).collect();
                let name = match results.get(&result) {
                    Some(output) => (*output).to_owned(),
                    None => nodes.name(&node.name),
                };
                let mut writer = Writer { nodes: &mut nodes, extents: &mut extents };
                writer.write(node, &operands, &types, &name)?;
                name
            }
        };
        names.insert(result, name);
    }
    // An output is the result of a node of its own: not an input, a constant, or another output.
    for ((_, id), output) in graph.outputs().iter().zip(&outputs) {
        let name = names.get(id).cloned().unwrap_or_default();
        if name != output.name {
            nodes.named(&output.name, "Identity", &[&name], vec![]);
        }
    }
    Ok(Assembled { nodes, inputs, outputs })
}

/// The output that each value of a node is called by: the first, if it has several names.
fn results<'a>(graph: &Graph, outputs: &'a [Port]) -> HashMap<ValueId, &'a str> {
    let mut results = HashMap::new();
    for ((_, id), output) in graph.outputs().iter().zip(outputs) {
        if graph.producer(*id).is_some_and(|node| scalar(node).is_none()) {
            results.entry(*id).or_insert(output.name.as_str());
        }
    }
    results
}

/// The name and value of a scalar, which is an initializer that its readers share.
fn scalar(node: &Node) -> Option<(String, Result<HostTensor>)> {
    match &node.op {
        Op::Fill { dtype, value, shape } if shape.is_empty() => {
            Some((format!("{dtype}.{value}"), filled(*dtype, *value, &[])))
        }
        _ => None,
    }
}
