//! A graph from an ONNX model.

use crate::messages::{ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::{dtype, from_message};
use crate::{DOMAIN, DOMAIN_VERSION, Error, OP_ATTRIBUTE, Result, standard};
use lockstep_graph::{Graph, GraphBuilder, Op, TensorType, ValueId};
use prost::Message;
use std::collections::{HashMap, HashSet};

/// Reads a model from the bytes of a file. Initializers become constants; functions are not looked at, since a node of the
/// domain `lockstep` holds its op.
///
/// # Errors
/// [`Error::Message`] for bytes that are no model; [`Error::Model`] for inputs without a type or with extents that are not
/// numbers, for nodes that are not read (see the crate's documentation), for values that are read before they are written or
/// written twice; [`Error::Graph`] for ops that do not fit their inputs.
pub fn read_graph(bytes: &[u8]) -> Result<Graph> {
    let model = ModelProto::decode(bytes).map_err(|source| Error::Message { what: "model", source })?;
    let ours = model.opset_import.iter().find(|opset| opset.domain() == DOMAIN);
    if let Some(newer) = ours.filter(|opset| opset.version > DOMAIN_VERSION) {
        let reason = format!(
            "version {} of the domain was written by a newer Lockstep; this one reads {DOMAIN_VERSION}",
            newer.version
        );
        return Err(Error::model(DOMAIN, reason));
    }
    let graph =
        model.graph.ok_or_else(|| Error::model("model", "has no graph; is it another kind of file?"))?;
    let mut values = Values::default();
    for tensor in &graph.initializer {
        let id = values.builder.constant(&tensor.name, from_message(tensor)?);
        values.add(&tensor.name, id)?;
    }
    let initialized: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    // Old files list initializers among the inputs, too.
    for input in graph.input.iter().filter(|input| !initialized.contains(input.name.as_str())) {
        let id = values.builder.input(&input.name, type_of(input)?)?;
        values.add(&input.name, id)?;
    }
    for node in &graph.node {
        values.node(node)?;
    }
    for output in &graph.output {
        let id = values.get("output", &output.name)?;
        values.builder.output(&output.name, id)?;
    }
    Ok(values.builder.finish()?)
}

/// The graph so far, and its values by their names in the file.
#[derive(Debug, Default)]
struct Values {
    builder: GraphBuilder,
    by_name: HashMap<String, ValueId>,
}

impl Values {
    fn add(&mut self, name: &str, id: ValueId) -> Result<()> {
        match self.by_name.insert(name.to_owned(), id) {
            None => Ok(()),
            Some(_) => Err(Error::model(name, "is written twice")),
        }
    }

    fn get(&self, reader: &str, name: &str) -> Result<ValueId> {
        let id = self.by_name.get(name).copied();
        id.ok_or_else(|| Error::model(reader, format!("reads `{name}`, which nothing before it writes")))
    }

    fn node(&mut self, node: &NodeProto) -> Result<()> {
        let inputs = node.input.iter().map(|name| self.get(&node.name, name)).collect::<Result<Vec<_>>>()?;
        let types: Vec<&TensorType> = inputs.iter().map(|&id| self.builder.ty(id)).collect();
        let op = op(node, &types)?;
        let outputs = self.builder.node(&node.name, op, &inputs)?;
        if outputs.len() != node.output.len() {
            let reason = format!("has {} outputs, its op gives {}", node.output.len(), outputs.len());
            return Err(Error::model(&node.name, reason));
        }
        for (name, id) in node.output.iter().zip(outputs) {
            self.add(name, id)?;
        }
        Ok(())
    }
}

fn op(node: &NodeProto, inputs: &[&TensorType]) -> Result<Op> {
    match node.domain.as_str() {
        "" | "ai.onnx" => standard::op(node, inputs),
        DOMAIN => {
            let json = node.text(OP_ATTRIBUTE)?.unwrap_or_default();
            serde_json::from_slice(json).map_err(|error| {
                let reason = format!("{} holds no op of this version of Lockstep: {error}", node.op_type);
                Error::model(&node.name, reason)
            })
        }
        other => {
            let reason = format!("{} of the domain `{other}` is not read", node.op_type);
            Err(Error::model(&node.name, reason))
        }
    }
}

fn type_of(input: &ValueInfoProto) -> Result<TensorType> {
    let wrong = |reason: &str| Error::model(&input.name, reason);
    let tensor = input.ty.as_ref().and_then(|ty| ty.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| wrong("is an input that is no tensor, or has no type"))?;
    let dtype = dtype(tensor.elem_type).ok_or_else(|| wrong("has a data type that is none of ours"))?;
    let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice()).unwrap_or_default();
    let extents = dims.iter().map(|dim| dim.dim_value.and_then(|extent| usize::try_from(extent).ok()));
    let extents: Option<Vec<usize>> = extents.collect();
    Ok(TensorType::fixed(dtype, &extents.ok_or_else(|| wrong("has extents that are not known"))?))
}
