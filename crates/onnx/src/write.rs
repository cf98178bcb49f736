//! A graph as an ONNX model.

use crate::attributes::text;
use crate::function::function;
use crate::messages::{
    AttributeProto, DimensionProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::standard::operator;
use crate::tensor::{code, to_message};
use crate::{DOMAIN, DOMAIN_VERSION, Error, IR_VERSION, OP_ATTRIBUTE, OPSET, Result};
use lockstep_graph::{Graph, Node, Origin, TensorType, Value, ValueId};
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The bytes of a model file. Constants become initializers; checkpoints are not kept.
///
/// # Errors
/// [`Error::Model`] for extents that are not known, names that are taken twice, outputs that no node gives, and ops that
/// have no form in ONNX or in JSON.
pub fn graph_bytes(graph: &Graph) -> Result<Vec<u8>> {
    let names = names(graph)?;
    let named = |ids: &[ValueId]| -> Vec<String> { ids.iter().map(|id| names[id].clone()).collect() };
    let mut functions = Functions::default();
    let mut nodes = Vec::new();
    for node in graph.nodes() {
        let (op_type, attribute, domain) = match operator(&node.op) {
            Some((operator, attributes)) => (operator.to_owned(), attributes, ""),
            None => (functions.of(graph, node)?, vec![op_attribute(node)?], DOMAIN),
        };
        let (input, output) = (named(&node.inputs), named(&node.outputs));
        let domain = domain.to_owned();
        nodes.push(NodeProto { input, output, name: node.name.clone(), op_type, attribute, domain });
    }
    let initializer = |(id, value): (ValueId, &Value)| match &value.origin {
        Origin::Constant(constant) => Some(to_message(&names[&id], constant.tensor())),
        _ => None,
    };
    let described =
        |id: &ValueId| ValueInfoProto { name: names[id].clone(), ty: Some(type_of(&graph.value(*id).ty)) };
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "lockstep".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(GraphProto {
            node: nodes,
            name: "lockstep".to_owned(),
            initializer: graph.values().filter_map(initializer).collect(),
            input: graph.inputs().iter().map(described).collect(),
            output: graph.outputs().iter().map(|(_, id)| described(id)).collect(),
        }),
        opset_import: vec![
            OperatorSetIdProto::new("", OPSET),
            OperatorSetIdProto::new(DOMAIN, DOMAIN_VERSION),
        ],
        functions: functions.all,
    };
    Ok(model.encode_to_vec())
}

fn op_attribute(node: &Node) -> Result<AttributeProto> {
    let json = serde_json::to_string(&node.op);
    Ok(text(OP_ATTRIBUTE, &json.map_err(|error| Error::model(&node.name, error.to_string()))?))
}

/// What each value is called in the file: outputs as in the graph, others by their own names.
fn names(graph: &Graph) -> Result<HashMap<ValueId, String>> {
    let mut outputs: HashMap<ValueId, &String> = HashMap::new();
    for (name, id) in graph.outputs() {
        if graph.producer(*id).is_none() || outputs.insert(*id, name).is_some() {
            let reason =
                "is an input, a constant or another output under a second name; ONNX wants a node in between";
            return Err(Error::model(name, reason));
        }
    }
    let (mut names, mut taken) = (HashMap::new(), HashSet::new());
    for (id, value) in graph.values() {
        let name = outputs.get(&id).map_or(&value.name, |output| output);
        if !taken.insert(name) {
            return Err(Error::model(name, "two values have this name; ONNX tells them apart by it"));
        }
        names.insert(id, name.clone());
    }
    Ok(names)
}

/// The functions of a model. Nodes of one op over the same types share theirs.
#[derive(Debug, Default)]
struct Functions {
    all: Vec<FunctionProto>,
    /// How many there are of each op's name.
    alike: BTreeMap<String, usize>,
}

impl Functions {
    /// The name of a node's function, which is added unless it is there.
    fn of(&mut self, graph: &Graph, node: &Node) -> Result<String> {
        let types: Vec<TensorType> = node.inputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
        if let Some(unknown) = types.iter().find(|ty| ty.fixed_shape().is_none()) {
            return Err(Error::model(&node.name, format!("reads {unknown}, whose extents are not known")));
        }
        let made = function(&node.op, &types)?;
        let is_same = |known: &&FunctionProto| known.node == made.node && known.input == made.input;
        if let Some(known) = self.all.iter().find(is_same) {
            return Ok(known.name.clone());
        }
        let alike = self.alike.entry(made.name.clone()).or_insert(0);
        *alike += 1;
        let name = if *alike == 1 { made.name.clone() } else { format!("{}_{alike}", made.name) };
        self.all.push(FunctionProto { name: name.clone(), ..made });
        Ok(name)
    }
}

/// A type as a file has it; an extent that is not known is a name, such as `batch`.
pub(crate) fn type_of(ty: &TensorType) -> TypeProto {
    let dim = ty.shape.iter().map(|dim| match dim.as_const() {
        Some(extent) => DimensionProto { dim_value: Some(extent as i64), dim_param: None },
        None => DimensionProto { dim_value: None, dim_param: Some(dim.to_string()) },
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    TypeProto { tensor_type: Some(TensorTypeProto { elem_type: code(ty.dtype), shape }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_graph::{DType, GraphBuilder, Op};

    /// `count` LayerNorms in a row in `dtype`, and a sum.
    fn model(count: usize, dtype: DType) -> ModelProto {
        let mut b = GraphBuilder::new();
        let mut x = b.input("x", TensorType::fixed(dtype, &[2, 8])).unwrap();
        let weight = b.input("weight", TensorType::fixed(dtype, &[8])).unwrap();
        for _ in 0..count {
            x = b.single("norm", Op::LayerNorm { epsilon: 1e-5 }, &[x, weight, weight]).unwrap();
        }
        let sum = b.add("sum", x, x).unwrap();
        b.output("y", sum).unwrap();
        ModelProto::decode(&*graph_bytes(&b.finish().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_primitive_is_written_as_its_operator_and_a_composite_with_its_decomposition() {
        let model = model(1, DType::F32);
        let nodes = model.graph.unwrap().node;
        let written: Vec<_> =
            nodes.iter().map(|node| (node.domain.as_str(), node.op_type.as_str())).collect();
        assert_eq!(written, [("lockstep", "LayerNorm"), ("", "Add")]);
        let body = &model.functions[0].node;
        assert!(body.iter().all(|node| node.domain.is_empty()), "{body:?}");
        for part in ["ReduceMean", "Sqrt", "Div"] {
            assert!(body.iter().any(|node| node.op_type == part), "no {part}");
        }
    }

    #[test]
    fn nodes_of_one_op_over_the_same_types_share_a_function() {
        let model = model(3, DType::F32);
        assert_eq!(model.functions.len(), 1);
        assert_eq!(model.graph.unwrap().node.len(), 4);
    }

    #[test]
    fn in_half_precision_a_function_rounds_once_at_its_end() {
        let body = &model(1, DType::F16).functions[0].node;
        let casts: Vec<usize> = (0..body.len()).filter(|&at| body[at].op_type == "Cast").collect();
        assert_eq!(casts, [0, 1, 2, body.len() - 1]);
    }

    #[test]
    fn what_onnx_cannot_name_is_refused() {
        let refused = |b: GraphBuilder| graph_bytes(&b.finish().unwrap()).unwrap_err().to_string();
        let mut given_back = GraphBuilder::new();
        let x = given_back.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        given_back.output("y", x).unwrap();
        assert!(refused(given_back).contains("`y`: is an input"));
        let mut symbolic = GraphBuilder::new();
        let ty = TensorType::new(DType::F32, vec![lockstep_graph::Dim::symbol("batch")]);
        let x = symbolic.input("x", ty).unwrap();
        let y = symbolic.softmax("soft", x, 0).unwrap();
        symbolic.output("y", y).unwrap();
        assert!(refused(symbolic).contains("`soft`: reads f32[batch]"));
        let mut twice = GraphBuilder::new();
        let x = twice.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        let y = twice.add("sum", x, x).unwrap();
        twice.output("x", y).unwrap();
        assert!(refused(twice).contains("`x`: two values have this name"));
    }
}
