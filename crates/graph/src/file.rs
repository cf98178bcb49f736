//! Graphs as JSON. Tensors stay outside: the file names each constant with its type and digest, and whoever reads it
//! hands them over, so that a graph file is small and its weights are mapped from safetensors.

use crate::{
    Custom, CustomOp, Error, Graph, GraphBuilder, HostTensor, Op, Origin, Result, TensorType, ValueId,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The version of the format; files of another are refused.
const VERSION: u32 = 1;

/// Makes the implementation of a custom op from its attributes, by the op's name.
pub type CustomOps =
    BTreeMap<String, fn(&serde_json::Value) -> std::result::Result<Arc<dyn CustomOp>, String>>;

#[derive(Serialize, Deserialize)]
struct GraphFile {
    lockstep_graph: u32,
    inputs: Vec<InputEntry>,
    constants: Vec<ConstantEntry>,
    nodes: Vec<NodeEntry>,
    outputs: Vec<(String, u32)>,
    checkpoints: Vec<(String, u32)>,
}

#[derive(Serialize, Deserialize)]
struct InputEntry {
    id: u32,
    name: String,
    #[serde(flatten)]
    ty: TensorType,
}

#[derive(Serialize, Deserialize)]
struct ConstantEntry {
    id: u32,
    name: String,
    #[serde(flatten)]
    ty: TensorType,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct NodeEntry {
    name: String,
    op: Op,
    inputs: Vec<u32>,
    outputs: Vec<u32>,
}

impl Graph {
    /// The graph as JSON, without its tensors.
    ///
    /// # Errors
    /// [`Error::File`] if an op holds what JSON cannot (a NaN fill).
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.to_file())
            .map_err(|e| Error::File { reason: format!("cannot be written: {e}") })
    }

    /// A digest of structure and tensors, 16 hexadecimal digits (FNV-1a, 64 bits): equal graphs have equal digests. It
    /// tells graphs apart by accident, not against an adversary.
    pub fn digest(&self) -> String {
        // Bytes of the JSON form; ops that JSON cannot hold are covered by their debug form.
        let text = self.to_json().unwrap_or_else(|_| format!("{:?}", self.nodes));
        format!("{:016x}", fnv1a(text.as_bytes()))
    }

    /// The constants, in the order in which nodes, outputs and checkpoints first read them; those that nothing reads last.
    fn constants_by_use(&self) -> Vec<ValueId> {
        let read = self.nodes.iter().flat_map(|node| &node.inputs).copied();
        let named = self.outputs.iter().chain(&self.checkpoints).map(|(_, id)| *id);
        let mut seen = HashSet::new();
        (read.chain(named).chain(self.values().map(|(id, _)| id)))
            .filter(|&id| self.constant(id).is_some() && seen.insert(id))
            .collect()
    }

    /// Values are numbered anew: inputs, constants, then what nodes write. How a graph came to be leaves no trace.
    fn to_file(&self) -> GraphFile {
        let constants = self.constants_by_use();
        let written = self.nodes.iter().flat_map(|node| &node.outputs);
        let order = self.inputs.iter().chain(&constants).chain(written);
        let numbers: HashMap<ValueId, u32> = order.zip(0..).map(|(&id, number)| (id, number)).collect();
        let ids = |list: &[ValueId]| list.iter().map(|id| numbers[id]).collect();
        let named =
            |list: &[(String, ValueId)]| list.iter().map(|(name, id)| (name.clone(), numbers[id])).collect();
        GraphFile {
            lockstep_graph: VERSION,
            inputs: (self.inputs.iter())
                .map(|&id| {
                    let value = self.value(id);
                    InputEntry { id: numbers[&id], name: value.name.clone(), ty: value.ty.clone() }
                })
                .collect(),
            constants: (constants.iter())
                .map(|&id| (id, self.value(id)))
                .filter_map(|(id, value)| match &value.origin {
                    Origin::Constant(constant) => Some(ConstantEntry {
                        id: numbers[&id],
                        name: value.name.clone(),
                        ty: value.ty.clone(),
                        digest: format!("{:016x}", fnv1a(constant.tensor().bytes())),
                    }),
                    _ => None,
                })
                .collect(),
            nodes: (self.nodes.iter())
                .map(|node| NodeEntry {
                    name: node.name.clone(),
                    op: node.op.clone(),
                    inputs: ids(&node.inputs),
                    outputs: ids(&node.outputs),
                })
                .collect(),
            outputs: named(&self.outputs),
            checkpoints: named(&self.checkpoints),
        }
    }

    /// The graph of a JSON text; `tensor` gives each constant by name, `custom_ops` the custom ops it uses.
    ///
    /// # Errors
    /// [`Error::File`] for a text that is not a graph of this version, or a tensor of another type or digest than the
    /// file says; [`Error::Shape`] for nodes that do not fit.
    pub fn from_json(
        text: &str,
        custom_ops: &CustomOps,
        mut tensor: impl FnMut(&str) -> Result<HostTensor>,
    ) -> Result<Graph> {
        let bad = |reason: String| Error::File { reason };
        let file: GraphFile = serde_json::from_str(text).map_err(|e| bad(format!("is not a graph: {e}")))?;
        if file.lockstep_graph != VERSION {
            return Err(bad(format!("is of version {}, this program reads {VERSION}", file.lockstep_graph)));
        }
        let mut builder = GraphBuilder::new();
        let mut map: HashMap<u32, ValueId> = HashMap::new();
        for input in file.inputs {
            map.insert(input.id, builder.input(&input.name, input.ty)?);
        }
        for constant in file.constants {
            let found = tensor(&constant.name)?;
            let ty = TensorType::fixed(found.dtype(), found.shape());
            if ty != constant.ty || constant.digest != format!("{:016x}", fnv1a(found.bytes())) {
                return Err(bad(format!(
                    "tensor `{}` is {ty}, the graph was written with {} of digest {}; are the weights of another model?",
                    constant.name, constant.ty, constant.digest
                )));
            }
            map.insert(constant.id, builder.constant(&constant.name, found));
        }
        let find = |map: &HashMap<u32, ValueId>, id: u32| {
            map.get(&id).copied().ok_or_else(|| bad(format!("value {id} is read before anything writes it")))
        };
        for node in file.nodes {
            let inputs = node.inputs.iter().map(|&id| find(&map, id)).collect::<Result<Vec<_>>>()?;
            let outputs = builder.node(&node.name, resolved(node.op, custom_ops)?, &inputs)?;
            if outputs.len() != node.outputs.len() {
                return Err(bad(format!(
                    "{} has {} outputs, the op gives {}",
                    node.name,
                    node.outputs.len(),
                    outputs.len()
                )));
            }
            map.extend(node.outputs.into_iter().zip(outputs));
        }
        for (name, id) in &file.outputs {
            builder.output(name, find(&map, *id)?)?;
        }
        for (name, id) in &file.checkpoints {
            builder.checkpoint(name, find(&map, *id)?)?;
        }
        builder.finish()
    }
}

fn resolved(op: Op, custom_ops: &CustomOps) -> Result<Op> {
    let Op::Custom(custom) = &op else { return Ok(op) };
    let make = custom_ops.get(custom.name()).ok_or_else(|| Error::File {
        reason: format!("uses the custom op `{}`, whose implementation was not given", custom.name()),
    })?;
    let implementation = make(custom.attributes())
        .map_err(|reason| Error::File { reason: format!("custom op `{}`: {reason}", custom.name()) })?;
    Ok(Op::Custom(Custom::new(implementation)))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
