//! Nodes that compute each element on its own.

use super::{Lowering, Slot, wrong};
use crate::draft::Source;
use crate::dtype::{compiled, is_float};
use crate::view::broadcast;
use crate::{Result, fold};
use lockstep_ascend_container::{Binary, Comparison, DType, Operand, Operator, Unary};
use lockstep_onnx::messages::{NodeProto, dtype_of};

impl Lowering<'_> {
    pub(super) fn unary(&mut self, node: &NodeProto, op: Unary) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let dtype = self.dtype(node, &x)?;
        let is_taken = match op {
            Unary::Not => dtype == DType::Bool,
            Unary::Abs | Unary::Neg | Unary::Relu => dtype != DType::Bool,
            _ => is_float(dtype),
        };
        if !is_taken {
            return Err(wrong(node, format!("is not defined on {dtype:?}")));
        }
        if let Some(known) = self.known(&x) {
            let folded = fold::unary(op, known);
            if let Some(slot) = self.folded(node, folded)? {
                return Ok(slot);
            }
        }
        self.computed(node, Operator::Unary(op), &[x], dtype)
    }

    pub(super) fn binary(&mut self, node: &NodeProto, op: Binary) -> Result<Slot> {
        let [a, mut b] = self.exactly(node)?;
        let dtype = self.dtype(node, &a)?;
        // An exponent alone may be of another dtype: a float base takes it as its own. That of an integer one would be cut, 0.5 to 0.
        let of_b = self.dtype(node, &b)?;
        if op == Binary::Pow && of_b != dtype {
            if !is_float(dtype) {
                let reason =
                    format!("its base is {dtype:?} and its exponent {of_b:?}; cast the base to a float");
                return Err(wrong(node, reason));
            }
            b = self.converted(node, &b, dtype)?;
        }
        self.pair(node, op, &a, &b)
    }

    /// Operands from the left to the right, any number of them.
    pub(super) fn chain(&mut self, node: &NodeProto, op: Binary) -> Result<Slot> {
        let mut result = self.slot(node, 0)?;
        for at in 1..node.input.len() {
            let next = self.slot(node, at)?;
            result = self.pair(node, op, &result, &next)?;
        }
        Ok(result)
    }

    /// One step, or none where both operands are known.
    pub(super) fn pair(&mut self, node: &NodeProto, op: Binary, a: &Slot, b: &Slot) -> Result<Slot> {
        let dtype = self.same_dtype(node, a, b)?;
        if (dtype == DType::Bool) != matches!(op, Binary::And | Binary::Or) {
            return Err(wrong(node, format!("is not defined on {dtype:?}")));
        }
        if let (Some(x), Some(y)) = (self.known(a), self.known(b)) {
            let folded = fold::binary(op, x, y);
            if let Some(slot) = self.folded(node, folded)? {
                return Ok(slot);
            }
        }
        self.computed(node, Operator::Binary(op), &[a.clone(), b.clone()], dtype)
    }

    pub(super) fn compare(&mut self, node: &NodeProto, op: Comparison) -> Result<Slot> {
        let [a, b] = self.exactly(node)?;
        let dtype = self.same_dtype(node, &a, &b)?;
        if dtype == DType::Bool && op != Comparison::Equal {
            return Err(wrong(node, "is not defined on bool"));
        }
        if let (Some(x), Some(y)) = (self.known(&a), self.known(&b)) {
            let folded = fold::compare(op, x, y);
            if let Some(slot) = self.folded(node, folded)? {
                return Ok(slot);
            }
        }
        self.computed(node, Operator::Compare(op), &[a, b], DType::Bool)
    }

    /// Where.
    pub(super) fn choose(&mut self, node: &NodeProto) -> Result<Slot> {
        let [condition, x, y] = self.exactly(node)?;
        let dtype = self.same_dtype(node, &x, &y)?;
        let of = self.dtype(node, &condition)?;
        if of != DType::Bool {
            return Err(wrong(node, format!("its condition is {of:?}, not Bool")));
        }
        if let (Some(c), Some(a), Some(b)) = (self.known(&condition), self.known(&x), self.known(&y)) {
            let folded = fold::select(c, a, b);
            if let Some(slot) = self.folded(node, folded)? {
                return Ok(slot);
            }
        }
        self.computed(node, Operator::Select, &[condition, x, y], dtype)
    }

    pub(super) fn cast(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let code = node.int("to")?.ok_or_else(|| wrong(node, "does not say what to cast `to`"))?;
        let to = i32::try_from(code).ok().and_then(dtype_of);
        let to = to.ok_or_else(|| wrong(node, format!("casts to ONNX's data type {code}")))?;
        let to = compiled(to).map_err(|reason| wrong(node, format!("what it gives {reason}")))?;
        self.converted(node, &x, to)
    }

    /// A slot in another dtype. Constants are converted here, however large.
    pub(super) fn converted(&mut self, node: &NodeProto, x: &Slot, to: DType) -> Result<Slot> {
        if self.dtype(node, x)? == to {
            return Ok(x.clone());
        }
        let operand = match x {
            Slot::Known(id) => return Ok(Slot::Known(self.constants.cast(*id, to)?)),
            Slot::Run(operand) => operand,
        };
        // A part of a constant, such as the first rows of a table, is the same part of a cast one.
        if let Source::Constant(id) = self.draft.values[operand.value].source {
            let cast = Slot::Known(self.constants.cast(id, to)?);
            let all = self.reads(node, &cast)?;
            return Ok(Slot::Run(Operand { value: all.value, ..operand.clone() }));
        }
        self.computed(node, Operator::Cast, std::slice::from_ref(x), to)
    }

    /// A step on operands that broadcast.
    fn computed(&mut self, node: &NodeProto, operator: Operator, slots: &[Slot], to: DType) -> Result<Slot> {
        let all: Vec<Vec<i64>> = slots.iter().map(|slot| self.dims(slot)).collect();
        let dims = broadcast(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
            .ok_or_else(|| wrong(node, format!("the extents {all:?} of its operands do not broadcast")))?;
        let operands = slots.iter().map(|slot| self.reads(node, slot)).collect::<Result<Vec<_>>>()?;
        let result = self.fresh(node, to, &dims)?;
        self.draft.step(&node.name, operator, operands, result.clone());
        Ok(Slot::Run(result))
    }

    fn same_dtype(&self, node: &NodeProto, a: &Slot, b: &Slot) -> Result<DType> {
        let [a, b] = [self.dtype(node, a)?, self.dtype(node, b)?];
        match a == b {
            true => Ok(a),
            false => Err(wrong(node, format!("its operands are {a:?} and {b:?}; cast one"))),
        }
    }
}
