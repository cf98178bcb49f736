//! Comparisons, logic, and choosing by a mask. NaN equals nothing and compares false.

use super::check;
use super::elementwise::{promoted, promoted_scalar};
use super::pointwise::{Function, Pointwise, Source, Value, first_and, function, map, zip};
use crate::exports::operators;
use crate::meta::executor::{Operand, Planned, Refusal, Tensors};
use crate::meta::scalar::value_of;
use crate::numerics::Number;
use crate::numerics::promote::{ARITHMETIC, can_cast};
use lockstep_ascend_abi::{aclDataType, aclScalar, aclTensor};

fn truth<C: Number>(value: bool) -> C {
    if value { C::ONE } else { C::ZERO }
}

macro_rules! comparisons {
    ($($name:ident = |$a:ident, $b:ident| $test:expr;)*) => {$(
        fn $name<C: Number>(blocks: &mut [Vec<C>]) {
            zip(blocks, |$a, $b| truth($test));
        }
    )*};
}
comparisons! {
    equal = |a, b| a == b;
    not_equal = |a, b| a != b;
    less = |a, b| a < b;
    less_or_equal = |a, b| a <= b;
    greater = |a, b| a > b;
    greater_or_equal = |a, b| a >= b;
    both = |a, b| a != C::ZERO && b != C::ZERO;
    either = |a, b| a != C::ZERO || b != C::ZERO;
}

fn not<C: Number>(blocks: &mut [Vec<C>]) {
    map(blocks, |x| truth(x == C::ZERO));
}

/// Block 0 chooses block 1 where it is true, else block 2.
fn choose<C: Number>(blocks: &mut [Vec<C>]) {
    let (first, others) = blocks.split_at_mut(1);
    for ((condition, yes), no) in first[0].iter_mut().zip(&others[0]).zip(&others[1]) {
        *condition = if *condition == C::ZERO { *no } else { *yes };
    }
}

/// Block 0 becomes block 2 where block 1 is true.
fn fill_where<C: Number>(blocks: &mut [Vec<C>]) {
    let value = blocks[2].first().copied().unwrap_or(C::ZERO);
    let (first, mask) = first_and(blocks, 1);
    for (x, mask) in first.iter_mut().zip(mask) {
        if *mask != C::ZERO {
            *x = value;
        }
    }
}

pub(crate) const EQUAL: Function = function!(equal);
pub(crate) const LESS: Function = function!(less);
pub(crate) const LESS_OR_EQUAL: Function = function!(less_or_equal);
pub(crate) const GREATER: Function = function!(greater);
pub(crate) const GREATER_OR_EQUAL: Function = function!(greater_or_equal);
pub(crate) const BOTH: Function = function!(both);
pub(crate) const EITHER: Function = function!(either);

/// Truth values of operands 0 and 1 in operand 2.
pub(crate) fn compare(tensors: &Tensors, function: Function) -> Result<Planned, Refusal> {
    check::dtype(&tensors[0], ARITHMETIC)?;
    check::dtype(&tensors[1], ARITHMETIC)?;
    let dtype = promoted(&tensors[0], &tensors[1])?;
    let sources = vec![Source::Tensor(0), Source::Tensor(1)];
    Pointwise { function, sources, out: 2, dtype, result: aclDataType::BOOL }.plan(tensors)
}

/// Whether operand 0 is false in operand 1.
pub(crate) fn negate(tensors: &Tensors) -> Result<Planned, Refusal> {
    check::dtype(&tensors[0], ARITHMETIC)?;
    let (function, sources) = (function!(not), vec![Source::Tensor(0)]);
    Pointwise { function, sources, out: 1, dtype: tensors[0].dtype, result: aclDataType::BOOL }.plan(tensors)
}

/// Operand 1 where operand 0 is true, else operand 2, in operand 3.
pub(crate) fn select(tensors: &Tensors) -> Result<Planned, Refusal> {
    check::dtype(&tensors[0], &[aclDataType::BOOL, aclDataType::UINT8])?;
    check::dtype(&tensors[1], ARITHMETIC)?;
    check::dtype(&tensors[2], ARITHMETIC)?;
    let dtype = promoted(&tensors[1], &tensors[2])?;
    let sources = vec![Source::Tensor(0), Source::Tensor(1), Source::Tensor(2)];
    Pointwise { function: function!(choose), sources, out: 3, dtype, result: dtype }.plan(tensors)
}

use Operand as Op;

operators! { elementwise;
    fn aclnnEqTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnEqTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, EQUAL) }

    fn aclnnNeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnNeTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, function!(not_equal)) }

    fn aclnnLtTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLtTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, LESS) }

    fn aclnnLeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLeTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, LESS_OR_EQUAL) }

    fn aclnnGtTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGtTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, GREATER) }

    fn aclnnGeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGeTensor
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, GREATER_OR_EQUAL) }

    fn aclnnLogicalAndGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalAnd
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, BOTH) }

    fn aclnnLogicalOrGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalOr
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { compare(tensors, EITHER) }

    fn aclnnLogicalNotGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalNot
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { negate(tensors) }

    fn aclnnEqScalarGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnEqScalar
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let other = value_of(other, "other")?;
        check::dtype(&tensors[0], ARITHMETIC)?;
        let dtype = promoted_scalar(&tensors[0], other, "other")?;
        let sources = vec![Source::Tensor(0), Source::Value(Value::of(other))];
        Pointwise { function: function!(equal), sources, out: 1, dtype, result: aclDataType::BOOL }.plan(tensors)
    }

    fn aclnnSWhereGetWorkspaceSize(
        condition: *const aclTensor, self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnSWhere
    takes [
        Op::input(condition, "condition"), Op::input(self_, "self"), Op::input(other, "other"),
        Op::output(out, "out"),
    ]
    plans |tensors| { select(tensors) }

    fn aclnnInplaceMaskedFillScalarGetWorkspaceSize(
        self_ref: *mut aclTensor, mask: *const aclTensor, value: *const aclScalar,
    ) then aclnnInplaceMaskedFillScalar
    takes [Op::both(self_ref, "selfRef"), Op::input(mask, "mask")]
    plans |tensors| {
        let value = value_of(value, "value")?;
        let x = &tensors[0];
        check::dtype(x, ARITHMETIC)?;
        check::dtype(&tensors[1], &[aclDataType::BOOL])?;
        if !can_cast(value.dtype, x.dtype) {
            return Err(Refusal::invalid(format!("value is {:?}, which {:?} does not hold", value.dtype, x.dtype)));
        }
        let sources = vec![Source::Tensor(0), Source::Tensor(1), Source::Value(Value::of(value))];
        Pointwise { function: function!(fill_where), sources, out: 0, dtype: x.dtype, result: x.dtype }.plan(tensors)
    }
}
