//! Reductions and Softmax.

use super::slots::axis;
use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::dtype::is_float;
use crate::view::{elements, transposed};
use lockstep_ascend_container::{DType, Operator, Reduction};
use lockstep_onnx::messages::NodeProto;

/// The first version of ONNX's operators whose Softmax is along one axis.
const SOFTMAX_OF_ONE_AXIS: i64 = 13;

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, node: &NodeProto, op: Reduction) -> Result<Slot> {
        let x = self.slot(node, 0)?;
        let (has, dtype) = (self.dims(&x), self.dtype(node, &x)?);
        if dtype == DType::Bool || (op == Reduction::Mean && !is_float(dtype)) {
            return Err(wrong(node, format!("is not defined on {dtype:?}")));
        }
        let axes = self.axes(node, 1, has.len())?.unwrap_or_default();
        let axes = match axes.is_empty() {
            true if node.int("noop_with_empty_axes")?.unwrap_or(0) != 0 => return Ok(x),
            true => (0..has.len()).collect(),
            false => axes,
        };
        let kept: Vec<i64> =
            (0..has.len()).map(|axis| if axes.contains(&axis) { 1 } else { has[axis] }).collect();
        if op != Reduction::Sum && elements(&has) == Some(0) {
            return Err(wrong(node, format!("its operand has the extents {has:?}, of which there is none")));
        }
        let from = self.reads(node, &x)?;
        let result = self.fresh(node, dtype, &kept)?;
        self.draft.step(&node.name, Operator::Reduce(op), vec![from], result.clone());
        if node.int("keepdims")?.unwrap_or(1) != 0 {
            return Ok(Slot::Run(result));
        }
        let left: Vec<i64> =
            (0..has.len()).filter(|axis| !axes.contains(axis)).map(|axis| has[axis]).collect();
        self.reshape(node, &Slot::Run(result), &left)
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let (has, dtype) = (self.dims(&x), self.dtype(node, &x)?);
        if !is_float(dtype) {
            return Err(wrong(node, format!("is not defined on {dtype:?}")));
        }
        let is_of_one_axis = self.opset >= SOFTMAX_OF_ONE_AXIS;
        let along = axis(node, node.int("axis")?.unwrap_or(if is_of_one_axis { -1 } else { 1 }), has.len())?;
        let last = has.len() - 1;
        if along == last || is_of_one_axis {
            return self.softmax_along(node, &x, along);
        }
        // Before, it was along all axes from that one on.
        let extent = |dims: &[i64]| elements(dims).unwrap_or(0);
        let rows = self.reshape(node, &x, &[extent(&has[..along]), extent(&has[along..])])?;
        let weights = self.softmax_along(node, &rows, 1)?;
        self.reshape(node, &weights, &has)
    }

    fn softmax_along(&mut self, node: &NodeProto, x: &Slot, along: usize) -> Result<Slot> {
        let from = self.reads(node, x)?;
        let result = self.fresh(node, self.draft.dtype(&from), &from.dims)?;
        // The step is along the last axis, wherever that lies in memory.
        let mut order: Vec<usize> = (0..from.dims.len()).collect();
        order.swap(along, from.dims.len() - 1);
        let (seen, written) = (transposed(&from, &order), transposed(&result, &order));
        self.draft.step(&node.name, Operator::Softmax, vec![seen], written);
        Ok(Slot::Run(result))
    }
}
