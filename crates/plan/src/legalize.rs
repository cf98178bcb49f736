//! Making every node one that the device runs, or saying of all that are not why.

use crate::{Fallback, Result, query::support_of};
use lockstep_hal::graph::{Graph, Node, Rewriter, decompose};
use lockstep_hal::{Device, Error, NodeReason, Provenance, Support};
use std::collections::BTreeMap;

/// How often a decomposition may decompose again; the deepest of ours (attention to softmax) takes 2.
const DEEPEST: usize = 8;

/// A graph whose every node the device runs natively, and where its nodes came from, by name; nodes that are not listed
/// are the graph's own.
pub(crate) struct Legalized {
    pub(crate) graph: Graph,
    pub(crate) provenance: BTreeMap<String, Provenance>,
}

/// Applies the device's rewrites, and decompositions where the caller allows them.
///
/// # Errors
/// [`Error::Unsupported`] with every node that is left over.
pub(crate) fn legalize(
    graph: &Graph,
    device: &dyn Device,
    fallback: Fallback,
    mut provenance: BTreeMap<String, Provenance>,
) -> Result<Legalized> {
    let mut graph = graph.clone();
    for _ in 0..DEEPEST {
        let mut refused = Vec::new();
        let mut rewrites: BTreeMap<String, Provenance> = BTreeMap::new();
        for node in graph.nodes() {
            let origin = || match provenance.get(&node.name) {
                Some(Provenance::Rewritten { node, .. } | Provenance::Decomposed { node }) => node.clone(),
                _ => node.name.clone(),
            };
            match (support_of(device, &graph, node), fallback) {
                (Support::Native(_), _) => {}
                (Support::Rewrite(rule), _) if !node.op.is_primitive() => {
                    rewrites.insert(node.name.clone(), Provenance::Rewritten { node: origin(), rule });
                }
                (Support::No(_), Fallback::Decompose) if !node.op.is_primitive() => {
                    rewrites.insert(node.name.clone(), Provenance::Decomposed { node: origin() });
                }
                (Support::Rewrite(rule), _) => {
                    refused.push(reason(
                        &graph,
                        node,
                        format!("declares {rule}, but it is a primitive"),
                        fallback,
                    ));
                }
                (Support::No(why), _) => refused.push(reason(&graph, node, why.to_string(), fallback)),
            }
        }
        if !refused.is_empty() {
            return Err(Error::Unsupported { device: device.info().id.clone(), nodes: refused }.into());
        }
        if rewrites.is_empty() {
            return Ok(Legalized { graph, provenance });
        }
        graph = rewrite(&graph, &rewrites, &mut provenance)?;
    }
    Err(Error::program(format!("{} declares rewrites that never end", device.info().id)).into())
}

fn reason(graph: &Graph, node: &Node, why: String, fallback: Fallback) -> NodeReason {
    let tried = match (fallback, node.op.is_primitive()) {
        (_, true) => "it is a primitive, so there is no decomposition".to_owned(),
        (Fallback::Deny, false) => "its decomposition was not allowed; allow it to try".to_owned(),
        (Fallback::Decompose, false) => "its decomposition was tried".to_owned(),
    };
    NodeReason {
        node: node.name.clone(),
        op: node.op.name().to_owned(),
        inputs: node.inputs.iter().map(|&id| graph.value(id).ty.to_string()).collect(),
        reason: why,
        tried,
    }
}

fn rewrite(
    graph: &Graph,
    rewrites: &BTreeMap<String, Provenance>,
    provenance: &mut BTreeMap<String, Provenance>,
) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut made: Vec<(String, Provenance)> = Vec::new();
    for node in graph.nodes() {
        let Some(origin) = rewrites.get(&node.name) else {
            rewriter.copy(node)?;
            continue;
        };
        let inputs = rewriter.values(&node.inputs)?;
        let before = rewriter.builder.node_count();
        let outputs = rewriter.builder.scoped(&node.name, |builder| decompose(&node.op, builder, &inputs))?;
        for name in rewriter.builder.node_names_from(before) {
            made.push((name.to_owned(), origin.clone()));
        }
        for (&old, new) in node.outputs.iter().zip(outputs.unwrap_or_default()) {
            rewriter.replace(old, new);
        }
    }
    provenance.extend(made);
    Ok(rewriter.finish()?)
}
