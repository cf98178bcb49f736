//! The function of an op: its decomposition into primitives, as standard ONNX nodes.

use crate::attributes::{int, tensor};
use crate::messages::{AttributeProto, FunctionProto, NodeProto, OperatorSetIdProto};
use crate::primitives::write_primitive;
use crate::tensor::code;
use crate::{DOMAIN, Error, OP_ATTRIBUTE, OPSET, Result};
use lockstep_graph::{
    DType, Graph, GraphBuilder, HostTensor, Op, Origin, Rewriter, TensorType, ValueId, decompose, infer,
};
use std::collections::HashMap;

/// How often a decomposition may decompose again; the deepest of ours takes 3. A custom op's could go on for ever.
pub(crate) const DEEPEST: usize = 8;

/// The nodes of a function, as they are added.
#[derive(Debug, Default)]
pub(crate) struct Body {
    nodes: Vec<NodeProto>,
}

/// The function that computes an op on inputs of these types. It has the op's name; who adds several of one name to a model
/// numbers them.
///
/// In half precision it computes in f32 and rounds once, at the end, as the op is specified; rounded at every node, a GELU
/// would be a hundred times as far from the truth as a device may be.
///
/// # Errors
/// [`Error::Graph`] for inputs that the op cannot take; [`Error::Model`] for extents that are not known, and for a custom
/// op whose decomposition does not end in primitives.
pub(crate) fn function(op: &Op, inputs: &[TensorType]) -> Result<FunctionProto> {
    let outputs = infer(op.name(), op, &inputs.iter().collect::<Vec<_>>())?;
    let graph = primitives_of(op, &inputs.iter().map(|ty| computed_as(op, ty)).collect::<Vec<_>>())?;
    let mut body = Body::default();
    let mut names: HashMap<ValueId, String> = HashMap::new();
    let mut given = Vec::new();
    for (at, (&id, ty)) in graph.inputs().iter().zip(inputs).enumerate() {
        let name = format!("in{at}");
        let dtype = graph.value(id).ty.dtype;
        names.insert(id, if dtype == ty.dtype { name.clone() } else { body.cast(&name, dtype) });
        given.push(name);
    }
    for (id, value) in graph.values() {
        if let Origin::Constant(constant) = &value.origin {
            names.insert(id, body.constant(constant.tensor()));
        }
    }
    for node in graph.nodes() {
        // Nodes come after those whose results they read.
        let operands: Vec<&str> =
            node.inputs.iter().filter_map(|id| names.get(id)).map(String::as_str).collect();
        let types: Vec<&TensorType> = node.inputs.iter().map(|&id| &graph.value(id).ty).collect();
        let result = write_primitive(&mut body, &node.op, &operands, &types).ok_or_else(|| {
            let reason = format!("{} has no form in ONNX, or extents that are not known", node.op);
            Error::model(op.name(), reason)
        })?;
        names.insert(node.outputs[0], result);
    }
    let mut gives = Vec::new();
    for ((_, id), ty) in graph.outputs().iter().zip(&outputs) {
        let name = names.get(id).cloned().unwrap_or_default();
        // An output of a function is the result of a node of its own, whatever it was before.
        let is_so = graph.value(*id).ty.dtype == ty.dtype;
        gives.push(if is_so { body.node("Identity", &[&name], vec![]) } else { body.cast(&name, ty.dtype) });
    }
    Ok(FunctionProto {
        name: op.name().to_owned(),
        input: given,
        output: gives,
        attribute: vec![OP_ATTRIBUTE.to_owned()],
        node: body.nodes,
        opset_import: vec![OperatorSetIdProto::new("", OPSET)],
        domain: DOMAIN.to_owned(),
    })
}

/// The type that a function computes an operand in: in half precision f32, unless the op only moves elements, or is someone
/// else's.
fn computed_as(op: &Op, ty: &TensorType) -> TensorType {
    let computes = match op {
        Op::Custom(_) => false,
        Op::IndexAdd { .. } | Op::Reduce { .. } => true,
        other => !other.is_primitive(),
    };
    match ty.dtype {
        DType::F16 | DType::Bf16 if computes => TensorType::new(DType::F32, ty.shape.clone()),
        _ => ty.clone(),
    }
}

impl Body {
    /// Adds a node of one output and gives its name.
    pub(crate) fn node(&mut self, op_type: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = format!("t{}", self.nodes.len());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op_type.to_owned(),
            attribute,
            domain: String::new(),
        });
        output
    }

    /// Adds a cast and gives its name.
    pub(crate) fn cast(&mut self, x: &str, to: DType) -> String {
        self.node("Cast", &[x], vec![int("to", code(to).into())])
    }

    /// Adds a tensor and gives its name.
    pub(crate) fn constant(&mut self, value: &HostTensor) -> String {
        self.node("Constant", &[], vec![tensor("value", value)])
    }

    /// Adds a list of whole numbers, such as a shape, and gives its name.
    pub(crate) fn numbers(&mut self, numbers: &[i64]) -> Option<String> {
        Some(self.constant(&HostTensor::from_slice(&[numbers.len()], numbers).ok()?))
    }
}

/// The op alone, decomposed until nothing but primitives is left.
fn primitives_of(op: &Op, inputs: &[TensorType]) -> Result<Graph> {
    let mut b = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, ty) in inputs.iter().enumerate() {
        ids.push(b.input(&at.to_string(), ty.clone())?);
    }
    for (at, id) in b.node("op", op.clone(), &ids)?.into_iter().enumerate() {
        b.output(&at.to_string(), id)?;
    }
    let mut graph = b.finish()?;
    for _ in 0..DEEPEST {
        if graph.nodes().iter().all(|node| node.op.is_primitive()) {
            return Ok(graph);
        }
        let mut rewriter = Rewriter::new(&graph)?;
        for node in graph.nodes() {
            let inputs = rewriter.values(&node.inputs)?;
            match decompose(&node.op, &mut rewriter.builder, &inputs)? {
                None => rewriter.copy(node)?,
                Some(outputs) => {
                    for (&old, new) in node.outputs.iter().zip(outputs) {
                        rewriter.replace(old, new);
                    }
                }
            }
        }
        graph = rewriter.finish()?;
    }
    Err(Error::model(op.name(), "its decomposition does not end in primitives"))
}
