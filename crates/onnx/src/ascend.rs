//! What Huawei's ATC makes of a model for an Ascend 910B, as far as its documents say, as a check of a finished file.
//!
//! Nothing here was run on such a device. An operator that is in neither table is refused, too: whether this route has it is
//! not known.

use crate::export::EXPORT_OPSET;
use crate::messages::{ModelProto, NodeProto};
use crate::tensor::dtype;
use crate::{Error, Result};
use lockstep_graph::DType;
use prost::Message;
use std::ops::RangeInclusive;

/// The versions of ONNX's operators that ATC's parser takes.
pub const ASCEND_OPSETS: RangeInclusive<i64> = 11..=18;
const _: () = assert!(*ASCEND_OPSETS.start() <= EXPORT_OPSET && EXPORT_OPSET <= *ASCEND_OPSETS.end());

/// Operators that exported models consist of, none of which is known to be lacking. Those of shapes are constants once ATC
/// knows every extent.
const TAKEN: [&str; 44] = [
    "Abs",
    "Add",
    "And",
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Gather",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Log",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Where",
];

/// Operators that are known not to go this way, with the reason.
const LACKING: [(&str, &str); 4] = [
    (
        "ScatterElements",
        "its table of products leaves the 910B out; ScatterElementsV2's has it, and that ATC makes one of the other is documented \
         nowhere. Add rows by a product with a one-hot matrix, as Lockstep's export does",
    ),
    ("Gelu", "it is of opset 20 and ATC reads 11 to 18; write Div, Erf, Add, Mul, Mul"),
    ("Attention", "it is of opset 23 and ATC reads 11 to 18; write MatMul, Mul, Add, Softmax, MatMul"),
    (
        "RMSNormalization",
        "it is of opset 23 and ATC reads 11 to 18; write Pow, ReduceMean, Add, Sqrt, Div, Mul",
    ),
];

/// Dtypes that are known not to go this way, with the reason.
const LACKING_DTYPES: [(DType, &str); 2] = [
    (DType::F64, "the 910B's cores compute in no f64; export f32"),
    (
        DType::Bf16,
        "that ATC reads bf16 from an ONNX file is documented nowhere; export f32 and choose --precision_mode_v2",
    ),
];

/// Why an operator of ONNX does not go to a 910B by ATC, and what to do; `None` where that is not known of it.
pub fn lacking_on_ascend(op_type: &str) -> Option<&'static str> {
    LACKING.iter().find(|(lacking, _)| *lacking == op_type).map(|(_, reason)| *reason)
}

/// Checks that a model file holds nothing of which it is known that ATC or a 910B does not take it.
///
/// # Errors
/// [`Error::Message`] for bytes that are no model; [`Error::Model`] names the first node, input, output or initializer that is
/// not taken, with the reason and what to do; functions and domains other than ONNX's are not.
pub fn check_ascend(bytes: &[u8]) -> Result<()> {
    let model = ModelProto::decode(bytes).map_err(|source| Error::Message { what: "model", source })?;
    for opset in &model.opset_import {
        if !matches!(opset.domain(), "" | "ai.onnx") {
            return Err(Error::model(opset.domain(), "is a domain that ATC does not know"));
        }
        if !ASCEND_OPSETS.contains(&opset.version) {
            let reason = format!(
                "is of opset {}; ATC reads {} to {}",
                opset.version,
                ASCEND_OPSETS.start(),
                ASCEND_OPSETS.end()
            );
            return Err(Error::model("model", reason));
        }
    }
    if let Some(function) = model.functions.first() {
        return Err(Error::model(&function.name, "is a function, which ATC does not read"));
    }
    let graph = model.graph.unwrap_or_default();
    for node in &graph.node {
        check_node(node)?;
    }
    for tensor in &graph.initializer {
        check_dtype(&tensor.name, tensor.data_type)?;
    }
    for value in graph.input.iter().chain(&graph.output) {
        let tensor = value.ty.as_ref().and_then(|ty| ty.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| Error::model(&value.name, "is no tensor"))?;
        check_dtype(&value.name, tensor.elem_type)?;
    }
    Ok(())
}

fn check_node(node: &NodeProto) -> Result<()> {
    let op_type = node.op_type.as_str();
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        let reason = format!("{op_type} is of the domain `{}`, which ATC does not know", node.domain);
        return Err(Error::model(&node.name, reason));
    }
    if let Some(reason) = lacking_on_ascend(op_type) {
        return Err(Error::model(&node.name, format!("{op_type} does not go to a 910B by ATC: {reason}")));
    }
    if !TAKEN.contains(&op_type) {
        let reason = format!("{op_type}: that it goes to a 910B by ATC is not known");
        return Err(Error::model(&node.name, reason));
    }
    match node.int("to")? {
        Some(to) if op_type == "Cast" => check_dtype(&node.name, i32::try_from(to).unwrap_or_default()),
        _ => Ok(()),
    }
}

fn check_dtype(name: &str, code: i32) -> Result<()> {
    let dtype = dtype(code).ok_or_else(|| Error::model(name, format!("is of ONNX's data type {code}")))?;
    match LACKING_DTYPES.iter().find(|(lacking, _)| *lacking == dtype) {
        Some((_, reason)) => Err(Error::model(name, format!("is {dtype}: {reason}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::int;
    use crate::messages::{FunctionProto, OperatorSetIdProto};
    use crate::{export, graph_bytes};
    use lockstep_graph::{GraphBuilder, TensorType};

    fn model(change: impl FnOnce(&mut ModelProto)) -> Result<()> {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        let y = b.add("sum", x, x).unwrap();
        b.output("y", y).unwrap();
        let bytes = export(&b.finish().unwrap(), &[]).unwrap().model_bytes();
        let mut model = ModelProto::decode(&*bytes).unwrap();
        change(&mut model);
        check_ascend(&model.encode_to_vec())
    }

    fn refused(change: impl FnOnce(&mut ModelProto)) -> String {
        model(change).unwrap_err().to_string()
    }

    fn of_node(change: impl FnOnce(&mut NodeProto)) -> String {
        refused(|model| change(&mut model.graph.as_mut().unwrap().node[0]))
    }

    #[test]
    fn no_operator_is_both_taken_and_lacking_or_there_twice() {
        let mut all: Vec<&str> = TAKEN.iter().copied().chain(LACKING.iter().map(|(name, _)| *name)).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_does_not_go_this_way_is_refused_by_its_node_with_the_reason() {
        model(|_| {}).unwrap();
        let said = of_node(|node| node.op_type = "ScatterElements".to_owned());
        assert!(said.contains("`y`: ScatterElements") && said.contains("one-hot"), "{said}");
        assert!(of_node(|node| node.op_type = "Einsum".to_owned()).contains("is not known"));
        assert!(of_node(|node| node.domain = "lockstep".to_owned()).contains("domain `lockstep`"));
        let to_f64 = |node: &mut NodeProto| {
            node.op_type = "Cast".to_owned();
            node.attribute = vec![int("to", 11)];
        };
        assert!(of_node(to_f64).contains("`y`: is f64"));
        let set = |version| move |model: &mut ModelProto| model.opset_import[0].version = version;
        assert!(refused(set(10)).contains("opset 10") && refused(set(19)).contains("opset 19"));
        let ours = |model: &mut ModelProto| model.opset_import.push(OperatorSetIdProto::new("lockstep", 1));
        assert!(refused(ours).contains("`lockstep`: is a domain"));
        let function = |model: &mut ModelProto| {
            model.functions.push(FunctionProto { name: "f".to_owned(), ..Default::default() })
        };
        assert!(refused(function).contains("`f`: is a function"));
        assert!(check_ascend(b"no model").is_err());
    }

    #[test]
    fn a_model_in_our_own_domain_is_refused() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        let y = b.softmax("soft", x, 0).unwrap();
        b.output("y", y).unwrap();
        let error = check_ascend(&graph_bytes(&b.finish().unwrap()).unwrap()).unwrap_err();
        assert!(error.to_string().contains("lockstep"), "{error}");
    }

    #[test]
    fn dtypes_that_the_route_lacks_are_refused() {
        for dtype in [DType::F64, DType::Bf16] {
            let mut b = GraphBuilder::new();
            let x = b.input("x", TensorType::fixed(dtype, &[2])).unwrap();
            let y = b.add("sum", x, x).unwrap();
            b.output("y", y).unwrap();
            let bytes = export(&b.finish().unwrap(), &[]).unwrap().model_bytes();
            let said = check_ascend(&bytes).unwrap_err().to_string();
            assert!(said.contains(&format!("`x`: is {dtype}")), "{said}");
        }
    }
}
