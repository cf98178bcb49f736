//! Chains, walked from their ends.

use crate::constants::{ConstantId, Constants};
use crate::draft::{Draft, Source};
use crate::view::{elements, whole};
use lockstep_ascend_container::{Binary, DType, Operand, Operator, Reduction, Step, Unary};
use std::collections::HashMap;

/// A draft with who writes and who reads what.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    draft: &'a Draft,
    constants: &'a Constants,
    writers: HashMap<usize, usize>,
    readers: Vec<usize>,
}

impl<'a> Chain<'a> {
    pub(super) fn of(draft: &'a Draft, constants: &'a Constants) -> Self {
        Self { draft, constants, writers: draft.writers(), readers: draft.readers() }
    }

    /// The step that gives this operand, which is all of its value, as the step wrote it, and is read so often and no more.
    pub(super) fn inner(&self, operand: &Operand, readers: usize) -> Option<&'a Step> {
        let step = &self.draft.steps[*self.writers.get(&operand.value)?];
        let is_seen_here_alone = self.readers[operand.value] == readers && step.output == *operand;
        (is_seen_here_alone && self.draft.is_whole(operand)).then_some(step)
    }

    /// As [`Chain::inner`], with the operands of a function of one number.
    pub(super) fn unary(&self, operand: &Operand, op: Unary) -> Option<&'a Operand> {
        let step = self.inner(operand, 1)?;
        (step.operator == Operator::Unary(op)).then(|| step.inputs.first()).flatten()
    }

    /// As [`Chain::inner`], with the operands of a function of two.
    pub(super) fn binary(&self, operand: &Operand, op: Binary, readers: usize) -> Option<[&'a Operand; 2]> {
        operands(self.inner(operand, readers)?, op)
    }

    /// What an inner mean over the last axis is of.
    pub(super) fn mean(&self, operand: &Operand) -> Option<&'a Operand> {
        let step = self.inner(operand, 1)?;
        let x = step.inputs.first().filter(|_| step.operator == Operator::Reduce(Reduction::Mean))?;
        let (last, others) = x.dims.split_last()?;
        (step.output.dims == [others, &[1]].concat() && *last > 0).then_some(x)
    }

    /// Of an operator whose operands may change places, that which `is_first` takes and what it gives for it, with the other.
    pub(super) fn either<T>(
        [a, b]: [&'a Operand; 2],
        is_first: impl Fn(&'a Operand) -> Option<T>,
    ) -> Option<(T, &'a Operand)> {
        is_first(a).map(|found| (found, b)).or_else(|| is_first(b).map(|found| (found, a)))
    }

    /// The one number that an operand is, however it is repeated.
    pub(super) fn scalar(&self, operand: &Operand) -> Option<f64> {
        self.constants.scalar(self.constant(operand)?)
    }

    /// Whether an operand is a number, as the operand's dtype rounds it.
    pub(super) fn is_number(&self, operand: &Operand, number: f64) -> bool {
        // A unit in the last place and a half, of who computed it in that dtype.
        let tolerance = match self.draft.dtype(operand) {
            DType::F16 => 1e-3,
            _ => 2e-7,
        };
        self.scalar(operand).is_some_and(|found| (found - number).abs() <= tolerance * number.abs())
    }

    /// A constant of one row, as long as the last axis, such as gamma; as a step that fuses reads it.
    pub(super) fn row(&self, operand: &Operand, length: i64) -> Option<Operand> {
        self.constant(operand)?;
        let is_row = operand.dims.last() == Some(&length) && elements(&operand.dims) == Some(length);
        (is_row && self.draft.is_whole(operand)).then(|| whole(operand.value, &[length]))
    }

    pub(super) fn is_float(&self, operand: &Operand) -> bool {
        crate::dtype::is_float(self.draft.dtype(operand))
    }

    fn constant(&self, operand: &Operand) -> Option<ConstantId> {
        match self.draft.values[operand.value].source {
            Source::Constant(id) => Some(id),
            Source::Input(_) | Source::Steps => None,
        }
    }
}

/// The two operands of a step, if it is that operator.
pub(super) fn operands(step: &Step, op: Binary) -> Option<[&Operand; 2]> {
    match (&step.inputs[..], step.operator) {
        ([a, b], Operator::Binary(found)) if found == op => Some([a, b]),
        _ => None,
    }
}
