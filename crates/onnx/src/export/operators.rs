//! Primitives and Softmax in operators of [`EXPORT_OPSET`](super::EXPORT_OPSET), for extents that a run fixes.
//!
//! A shape is written as constants wherever ONNX can say it so: 0 keeps the input's extent, -1 is what is left. Only what
//! remains is computed from the inputs' shapes.

use super::extents::{Extents, number};
use super::nodes::Nodes;
use crate::attributes::{int, ints, tensor};
use crate::standard::operator;
use crate::{Error, Result};
use lockstep_graph::{CompareOp, DType, Dim, HostTensor, Node, Op, ReduceOp, TensorType};

/// Where a node is written to, and what it reads.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) nodes: &'a mut Nodes,
    pub(super) extents: &'a mut Extents,
}

impl Writer<'_> {
    /// Adds what computes `node` from `operands`, the names of its inputs, which are of these `types`, as the value `output`.
    ///
    /// # Errors
    /// [`Error::Model`] for an op that is no primitive, and for extents that a model cannot say.
    pub(super) fn write(
        &mut self,
        node: &Node,
        operands: &[&str],
        types: &[&TensorType],
        output: &str,
    ) -> Result<()> {
        if let Some((op_type, attributes)) = operator(&node.op) {
            self.nodes.named(output, op_type, operands, attributes);
            return Ok(());
        }
        let part = |what: &str| format!("{output}.{what}");
        match (&node.op, operands) {
            (Op::Compare(CompareOp::Ne), _) => {
                let equal = self.nodes.part(&part("equal"), "Equal", operands, vec![]);
                self.nodes.named(output, "Not", &[&equal], vec![]);
            }
            (Op::Softmax { axis }, _) => {
                self.nodes.named(output, "Softmax", operands, vec![int("axis", number(*axis)?)]);
            }
            (Op::Reshape { shape }, &[x]) => {
                let from = types.first().map(|ty| ty.shape.as_slice()).unwrap_or_default();
                let shape = self.reshaped(node, from, shape)?;
                self.nodes.named(output, "Reshape", &[x, &shape], vec![]);
            }
            (Op::Expand { shape }, &[x]) => {
                let shape = self.extents.list(self.nodes, shape)?;
                self.nodes.named(output, "Expand", &[x, &shape], vec![]);
            }
            (Op::Slice { axis, start, step, length }, &[x]) => {
                let end = self.end(&part("end"), *start, *step, length)?;
                let [start, axis, step] = [*start, *axis, *step].map(number);
                let [start, axis, step] = [
                    self.nodes.numbers(&[start?])?,
                    self.nodes.numbers(&[axis?])?,
                    self.nodes.numbers(&[step?])?,
                ];
                self.nodes.named(output, "Slice", &[x, &start, &end, &axis, &step], vec![]);
            }
            // Without axes nothing is combined; ONNX would take them all.
            (Op::Reduce { axes, .. }, _) if axes.is_empty() => {
                self.nodes.named(output, "Identity", operands, vec![]);
            }
            (Op::Reduce { op, axes, keep_axes }, &[x]) => {
                let axes = axes.iter().map(|&axis| number(axis)).collect::<Result<Vec<_>>>()?;
                let keep = int("keepdims", (*keep_axes).into());
                // In this version of the operators the sum alone has its axes as an input.
                if *op == ReduceOp::Sum {
                    let axes = self.nodes.numbers(&axes)?;
                    self.nodes.named(output, node.op.name(), &[x, &axes], vec![keep]);
                } else {
                    self.nodes.named(output, node.op.name(), &[x], vec![ints("axes", axes), keep]);
                }
            }
            (Op::Fill { dtype, value, shape }, _) => {
                let shape = self.extents.list(self.nodes, shape)?;
                // ConstantOfShape knows no bf16; the cast is exact.
                let wide = if *dtype == DType::Bf16 { DType::F32 } else { *dtype };
                let rounded =
                    filled(*dtype, *value, &[1])?.cast(wide).map_err(lockstep_graph::Error::from)?;
                let attributes = vec![tensor("value", &rounded)];
                if wide == *dtype {
                    self.nodes.named(output, "ConstantOfShape", &[&shape], attributes);
                } else {
                    let filled = self.nodes.part(&part("f32"), "ConstantOfShape", &[&shape], attributes);
                    let to = crate::tensor::code(*dtype).into();
                    self.nodes.named(output, "Cast", &[&filled], vec![int("to", to)]);
                }
            }
            (Op::Iota { length }, _) => {
                let [first, step] = [0i64, 1]
                    .map(|value| self.nodes.shared(&format!("i64.{value}"), HostTensor::scalar(value)));
                let length = self.extents.value(self.nodes, length)?;
                let axes = self.nodes.numbers(&[0])?;
                let end = self.nodes.part(&part("end"), "Squeeze", &[&length, &axes], vec![]);
                self.nodes.named(output, "Range", &[&first, &end, &step], vec![]);
            }
            (op, _) => {
                let reason = format!("{op} has no form in standard operators");
                return Err(Error::model(&node.name, reason));
            }
        }
        Ok(())
    }

    /// The shape operand of a Reshape.
    fn reshaped(&mut self, node: &Node, from: &[Dim], to: &[Dim]) -> Result<String> {
        if to.iter().any(|dim| dim.as_const() == Some(0)) {
            let reason = "has an extent of 0, which Reshape takes for the input's";
            return Err(Error::model(&node.name, reason));
        }
        let mut numbers = Vec::with_capacity(to.len());
        let mut left = 0;
        for (axis, dim) in to.iter().enumerate() {
            numbers.push(match dim.as_const() {
                Some(extent) => number(extent)?,
                None if from.get(axis) == Some(dim) => 0,
                None => {
                    left += 1;
                    -1
                }
            });
        }
        if left <= 1 { self.nodes.numbers(&numbers) } else { self.extents.list(self.nodes, to) }
    }

    /// Where a slice ends, exclusive; the operator stops at the axis's end.
    fn end(&mut self, name: &str, start: usize, step: usize, length: &Dim) -> Result<String> {
        if let Some(length) = length.as_const() {
            let reason = "slices beyond i64";
            let end = length.checked_mul(step).and_then(|length| length.checked_add(start));
            return self.nodes.numbers(&[number(end.ok_or_else(|| Error::model(name, reason))?)?]);
        }
        let mut end = self.extents.value(self.nodes, length)?;
        if step != 1 {
            let step = self.nodes.numbers(&[number(step)?])?;
            end = self.nodes.part(name, "Mul", &[&end, &step], vec![]);
        }
        if start != 0 {
            let start = self.nodes.numbers(&[number(start)?])?;
            end = self.nodes.part(name, "Add", &[&end, &start], vec![]);
        }
        Ok(end)
    }
}

/// A tensor of one value.
///
/// # Errors
/// None in practice: the shape has one element.
pub(super) fn filled(dtype: DType, value: f64, shape: &[usize]) -> Result<HostTensor> {
    Ok(HostTensor::from_f64(dtype, shape, &[value]).map_err(lockstep_graph::Error::from)?)
}
