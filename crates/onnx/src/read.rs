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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{int, ints, text};
    use crate::graph_bytes;
    use crate::messages::{AttributeProto, OperatorSetIdProto};
    use lockstep_graph::{CompareOp, DType, GeluForm, HostTensor};

    fn every_form() -> Graph {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2, 3])).unwrap();
        let index = b.input("index", TensorType::fixed(DType::I64, &[4])).unwrap();
        let table = HostTensor::from_slice(&[5, 3], &[0.5f32; 15]).unwrap();
        let table = b.constant("table", table);
        let rows = b.single("rows", Op::Gather { axis: 0 }, &[table, index]).unwrap();
        let both = b.single("both", Op::Concat { axis: 0 }, &[x, rows]).unwrap();
        let turned = b.transpose("turned", both, &[1, 0]).unwrap();
        let gelu = b.gelu("gelu", turned, GeluForm::Tanh).unwrap();
        let differs = b.compare("differs", CompareOp::Ne, gelu, turned).unwrap();
        let chosen = b.select("chosen", differs, gelu, turned).unwrap();
        let cast = b.cast("cast", chosen, DType::F16).unwrap();
        b.output("y", cast).unwrap();
        b.finish().unwrap()
    }

    #[test]
    fn a_graph_comes_back_as_it_was() {
        let graph = every_form();
        let back = read_graph(&graph_bytes(&graph).unwrap()).unwrap();
        assert_eq!(back.to_json().unwrap(), graph.to_json().unwrap());
    }

    #[test]
    fn damaged_files_are_refused_or_read_but_never_panic() {
        let good = graph_bytes(&every_form()).unwrap();
        for length in 0..good.len() {
            let _ = read_graph(&good[..length]);
        }
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            let _ = read_graph(&bytes);
        }
        assert!(read_graph(&good[..good.len() / 2]).unwrap_err().to_string().contains("cut short"));
        assert!(read_graph(b"").unwrap_err().to_string().contains("has no graph"));
    }

    /// A model of one node that reads `x`, f32 `[2, 3]`.
    fn refused(node: NodeProto, change: impl FnOnce(&mut ModelProto)) -> String {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2, 3])).unwrap();
        let y = b.add("node", x, x).unwrap();
        b.output("y", y).unwrap();
        let bytes = graph_bytes(&b.finish().unwrap()).unwrap();
        let mut model = ModelProto::decode(&*bytes).unwrap();
        model.graph.as_mut().unwrap().node = vec![node];
        change(&mut model);
        read_graph(&model.encode_to_vec()).unwrap_err().to_string()
    }

    fn node(op_type: &str, attribute: Vec<AttributeProto>) -> NodeProto {
        NodeProto {
            input: vec!["x".to_owned()],
            output: vec!["y".to_owned()],
            name: "node".to_owned(),
            op_type: op_type.to_owned(),
            attribute,
            domain: String::new(),
        }
    }

    #[test]
    fn what_is_not_read_is_refused_by_its_node() {
        let in_domain = |domain: &str, node: NodeProto| NodeProto { domain: domain.to_owned(), ..node };
        let reading = |name: &str| NodeProto { input: vec![name.to_owned()], ..node("Neg", vec![]) };
        let giving = |name: &str| NodeProto { output: vec![name.to_owned()], ..node("Neg", vec![]) };
        for (node, says) in [
            (node("Conv", vec![]), "`node`: Conv is not read"),
            (
                in_domain("com.microsoft", node("FusedMatMul", vec![])),
                "FusedMatMul of the domain `com.microsoft`",
            ),
            (in_domain("lockstep", node("Warp", vec![text("op", "{\"Warp\":{}}")])), "Warp holds no op"),
            (in_domain("lockstep", node("Softmax", vec![])), "Softmax holds no op"),
            (node("Cast", vec![int("to", 8)]), "`to` is a data type that is none of ours"),
            (node("Cast", vec![text("to", "f32")]), "`to` is of kind 3, expected 2"),
            (node("Gather", vec![int("axis", i64::MIN)]), "has no axis"),
            (node("Transpose", vec![ints("perm", vec![0, 0])]), "not a permutation"),
            (node("Concat", vec![]), "has no `axis`"),
            (reading("z"), "reads `z`, which nothing before it writes"),
            (reading("y"), "reads `y`, which nothing before it writes"),
            (giving("x"), "`x`: is written twice"),
            (NodeProto { output: vec![], ..node("Neg", vec![]) }, "has 0 outputs, its op gives 1"),
        ] {
            let said = refused(node, |_| {});
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn models_that_say_too_little_or_too_new_are_refused() {
        let neg = || node("Neg", vec![]);
        let newer = |model: &mut ModelProto| model.opset_import = vec![OperatorSetIdProto::new(DOMAIN, 2)];
        assert!(refused(neg(), newer).contains("newer Lockstep"));
        let input = |model: &mut ModelProto, change: &dyn Fn(&mut ValueInfoProto)| {
            change(&mut model.graph.as_mut().unwrap().input[0]);
        };
        assert!(
            refused(neg(), |model| input(model, &|x| x.ty = None))
                .contains("`x`: is an input that is no tensor")
        );
        let unknown = |x: &mut ValueInfoProto| {
            x.ty.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut().unwrap().dim[0].dim_value =
                Some(-1);
        };
        assert!(refused(neg(), |model| input(model, &unknown)).contains("extents that are not known"));
    }
}
