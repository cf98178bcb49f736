//! ONNX's nodes as steps, for one set of extents.
//!
//! Nodes are walked once, in order. What is known at compile time is computed (`fold`), what only looks at elements otherwise
//! becomes a view, and the rest becomes steps. Shapes need no inference of their own: every extent is a number here.

mod gather;
mod layout;
mod matmul;
mod pointwise;
mod reduce;
mod rules;
mod shape;
mod slots;

use crate::constants::{ConstantId, Constants};
use crate::draft::{Draft, Given, Source};
use crate::model::Model;
use crate::view::whole;
use crate::{Error, Result};
use lockstep_ascend_container::{DType, Operand};
use lockstep_onnx::messages::NodeProto;
pub(crate) use rules::check_operators;
use rules::rule;
use std::collections::HashMap;

/// What a name of the model stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// Its elements are known.
    Known(ConstantId),
    /// A run computes them.
    Run(Operand),
}

/// A gear on the way.
#[derive(Debug)]
struct Lowering<'a> {
    opset: i64,
    constants: &'a mut Constants,
    draft: Draft,
    slots: HashMap<&'a str, Slot>,
    /// The values of constants that steps read.
    read: HashMap<ConstantId, Operand>,
}

/// The steps of a model whose inputs have these extents.
///
/// # Errors
/// [`Error::Node`] for nodes whose operands do not fit or are not simulated; [`Error::Tensor`] for names that nothing gives, or
/// that are given twice.
pub(crate) fn lowered(model: &Model, extents: &[Vec<i64>], constants: &mut Constants) -> Result<Draft> {
    let mut lowering = Lowering {
        opset: model.opset,
        constants,
        draft: Draft::default(),
        slots: HashMap::new(),
        read: HashMap::new(),
    };
    for (name, id) in &model.initializers {
        lowering.name(name, Slot::Known(*id))?;
    }
    for (at, (input, dims)) in model.inputs.iter().zip(extents).enumerate() {
        let all = lowering.draft.value(&input.name, input.dtype, dims, Source::Input(at));
        let all = all.map_err(|reason| Error::tensor(&input.name, reason))?;
        lowering.name(&input.name, Slot::Run(all))?;
    }
    for node in &model.nodes {
        let [result] = &node.output[..] else {
            return Err(wrong(node, format!("has {} results; atc-sim takes one", node.output.len())));
        };
        let slot = lowering.node(node)?;
        lowering.name(result, slot)?;
    }
    for output in &model.outputs {
        let slot = lowering.slots.get(output.name.as_str()).cloned().ok_or_else(|| {
            Error::tensor(&output.name, "is an output that no node, input or initializer gives")
        })?;
        let operand = lowering.operand(&slot).map_err(|reason| Error::tensor(&output.name, reason))?;
        let found = lowering.draft.dtype(&operand);
        if let Some(said) = output.dtype.filter(|said| *said != found) {
            let reason = format!("is {found:?}, and the model says that this output is {said:?}");
            return Err(Error::tensor(&output.name, reason));
        }
        lowering.draft.given.push(Given { name: output.name.clone(), dtype: found, operand });
    }
    Ok(lowering.draft.without_unread())
}

/// An error of a node.
fn wrong(node: &NodeProto, reason: impl Into<String>) -> Error {
    Error::Node { name: node.name.clone(), operator: node.op_type.clone(), reason: reason.into() }
}

impl<'a> Lowering<'a> {
    fn name(&mut self, name: &'a str, slot: Slot) -> Result<()> {
        match self.slots.insert(name, slot) {
            None => Ok(()),
            Some(_) => Err(Error::tensor(name, "is given twice")),
        }
    }

    fn node(&mut self, node: &NodeProto) -> Result<Slot> {
        // Operators without a rule were refused before, all at once.
        let rule = rule(&node.op_type).ok_or_else(|| wrong(node, "is not simulated"))?;
        rule.apply(self, node)
    }

    /// What a node's result is called.
    fn result(node: &NodeProto) -> &str {
        node.output.first().map_or("", String::as_str)
    }

    /// A fresh value for a node's result.
    fn fresh(&mut self, node: &NodeProto, dtype: DType, dims: &[i64]) -> Result<Operand> {
        self.draft.value(Self::result(node), dtype, dims, Source::Steps).map_err(|reason| wrong(node, reason))
    }

    /// A view as a step reads it; a constant becomes a value when it is first read.
    fn operand(&mut self, slot: &Slot) -> std::result::Result<Operand, String> {
        let id = match slot {
            Slot::Run(operand) => return Ok(operand.clone()),
            Slot::Known(id) => *id,
        };
        if let Some(known) = self.read.get(&id) {
            return Ok(known.clone());
        }
        let dtype = crate::dtype::compiled(self.constants.tensor(id).dtype())?;
        let (name, dims) = (self.constants.name(id).to_owned(), self.constants.dims(id));
        let all = self.draft.value(&name, dtype, &dims, Source::Constant(id))?;
        self.read.insert(id, whole(all.value, &dims));
        Ok(all)
    }
}
