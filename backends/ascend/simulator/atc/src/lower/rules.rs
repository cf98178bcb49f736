//! Which operators are simulated, each with what becomes of it.

use super::{Lowering, Slot};
use crate::error::Lacking;
use crate::{Error, Result};
use lockstep_ascend_container::{Binary, Comparison, Reduction, Unary};
use lockstep_onnx::lacking_on_ascend;
use lockstep_onnx::messages::NodeProto;
use std::collections::HashMap;

/// What becomes of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule<'m> {
    Unary(Unary),
    Binary(Binary),
    /// As a binary one, of any number of operands.
    Chain(Binary),
    Compare(Comparison),
    Reduce(Reduction),
    Own(fn(&mut Lowering<'m>, &NodeProto) -> Result<Slot>),
}

/// The rule of an operator of ONNX; `None` for one that is not simulated.
pub(super) fn rule<'m>(op_type: &str) -> Option<Rule<'m>> {
    Some(match op_type {
        "Abs" => Rule::Unary(Unary::Abs),
        "Neg" => Rule::Unary(Unary::Neg),
        "Exp" => Rule::Unary(Unary::Exp),
        "Log" => Rule::Unary(Unary::Log),
        "Sqrt" => Rule::Unary(Unary::Sqrt),
        "Reciprocal" => Rule::Unary(Unary::Reciprocal),
        "Erf" => Rule::Unary(Unary::Erf),
        "Tanh" => Rule::Unary(Unary::Tanh),
        "Sigmoid" => Rule::Unary(Unary::Sigmoid),
        "Relu" => Rule::Unary(Unary::Relu),
        "Not" => Rule::Unary(Unary::Not),
        "Add" => Rule::Binary(Binary::Add),
        "Sub" => Rule::Binary(Binary::Sub),
        "Mul" => Rule::Binary(Binary::Mul),
        "Div" => Rule::Binary(Binary::Div),
        "Pow" => Rule::Binary(Binary::Pow),
        "And" => Rule::Binary(Binary::And),
        "Or" => Rule::Binary(Binary::Or),
        "Max" => Rule::Chain(Binary::Max),
        "Min" => Rule::Chain(Binary::Min),
        "Equal" => Rule::Compare(Comparison::Equal),
        "Less" => Rule::Compare(Comparison::Less),
        "LessOrEqual" => Rule::Compare(Comparison::LessOrEqual),
        "Greater" => Rule::Compare(Comparison::Greater),
        "GreaterOrEqual" => Rule::Compare(Comparison::GreaterOrEqual),
        "ReduceSum" => Rule::Reduce(Reduction::Sum),
        "ReduceMean" => Rule::Reduce(Reduction::Mean),
        "ReduceMax" => Rule::Reduce(Reduction::Max),
        "ReduceMin" => Rule::Reduce(Reduction::Min),
        "Cast" => Rule::Own(Lowering::cast),
        "Concat" => Rule::Own(Lowering::concat),
        "Constant" => Rule::Own(Lowering::constant_node),
        "ConstantOfShape" => Rule::Own(Lowering::constant_of_shape),
        "Expand" => Rule::Own(Lowering::expand),
        "Flatten" => Rule::Own(Lowering::flatten),
        "Gather" => Rule::Own(Lowering::gather),
        "Gemm" => Rule::Own(Lowering::gemm),
        "Identity" => Rule::Own(|lowering, node| Ok(lowering.exactly::<1>(node)?[0].clone())),
        "MatMul" => Rule::Own(Lowering::matmul),
        "Range" => Rule::Own(Lowering::range),
        "Reshape" => Rule::Own(Lowering::reshape_node),
        "Shape" => Rule::Own(Lowering::shape),
        "Slice" => Rule::Own(Lowering::slice),
        "Softmax" => Rule::Own(Lowering::softmax),
        "Squeeze" => Rule::Own(Lowering::squeeze),
        "Transpose" => Rule::Own(Lowering::transpose),
        "Unsqueeze" => Rule::Own(Lowering::unsqueeze),
        "Where" => Rule::Own(Lowering::choose),
        _ => return None,
    })
}

impl<'m> Rule<'m> {
    pub(super) fn apply(self, lowering: &mut Lowering<'m>, node: &NodeProto) -> Result<Slot> {
        match self {
            Rule::Unary(op) => lowering.unary(node, op),
            Rule::Binary(op) => lowering.binary(node, op),
            Rule::Chain(op) => lowering.chain(node, op),
            Rule::Compare(op) => lowering.compare(node, op),
            Rule::Reduce(op) => lowering.reduce(node, op),
            Rule::Own(apply) => apply(lowering, node),
        }
    }
}

/// Refuses every operator that is not simulated, at once.
///
/// # Errors
/// [`Error::Lacking`].
pub(crate) fn check_operators(nodes: &[NodeProto]) -> Result<()> {
    let mut lacking: Vec<Lacking> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for node in nodes {
        let Some((operator, reason)) = refusal(node) else { continue };
        let number = *numbers.entry(operator).or_insert_with_key(|operator| {
            lacking.push(Lacking { operator: operator.clone(), nodes: vec![], reason });
            lacking.len() - 1
        });
        lacking[number].nodes.push(node.name.clone());
    }
    if lacking.is_empty() { Ok(()) } else { Err(Error::Lacking(lacking)) }
}

fn refusal(node: &NodeProto) -> Option<(String, String)> {
    let op_type = node.op_type.as_str();
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        let operator = format!("{}.{op_type}", node.domain);
        return Some((operator, "is of a domain that ATC does not know".to_owned()));
    }
    if let Some(reason) = lacking_on_ascend(op_type) {
        return Some((op_type.to_owned(), format!("does not go to a 910B by ATC: {reason}")));
    }
    let has_rule = rule(op_type).is_some();
    (!has_rule).then(|| (op_type.to_owned(), format!("atc-sim has no {op_type}; the real ATC may")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op_type: &str, domain: &str) -> NodeProto {
        NodeProto {
            name: name.to_owned(),
            op_type: op_type.to_owned(),
            domain: domain.to_owned(),
            ..NodeProto::default()
        }
    }

    #[test]
    fn every_operator_that_is_lacking_is_named_with_its_nodes() {
        let nodes = [
            node("a", "Conv", ""),
            node("b", "Add", ""),
            node("c", "Conv", ""),
            node("d", "ScatterElements", ""),
            node("e", "FusedMatMul", "com.microsoft"),
        ];
        let said = check_operators(&nodes).unwrap_err().to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "Conv: atc-sim has no Conv; the real ATC may (`a`, `c`)");
        assert!(
            lines[1].contains("ScatterElements")
                && lines[1].contains("one-hot")
                && lines[1].ends_with("(`d`)")
        );
        assert!(lines[2].contains("com.microsoft.FusedMatMul"));
        assert!(check_operators(&nodes[1..2]).is_ok());
    }

    #[test]
    fn as_many_operators_as_nodes_are_told_apart_in_time() {
        let nodes: Vec<NodeProto> = (0..1 << 17).map(|at| node("n", &format!("Op{at}"), "")).collect();
        let Err(Error::Lacking(lacking)) = check_operators(&[&nodes[..], &nodes[..1]].concat()) else {
            panic!("none is known")
        };
        assert_eq!((lacking.len(), lacking[0].nodes.len(), lacking[1].nodes.len()), (1 << 17, 2, 1));
    }
}
