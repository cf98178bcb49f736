//! Arithmetic element by element.
//!
//! Our reading where the documents leave it open: `alpha` and scalars enter in the type that is computed in, so
//! that an f16 tensor times 0.1 is rounded once; integers wrap; maximum and minimum pass NaN on, as PyTorch.

use super::check;
use super::pointwise::{Function, Pointwise, Source, Value, first_and, function, map, zip};
use crate::exports::operators;
use crate::meta::executor::{Described, Operand, Planned, Refusal, Tensors};
use crate::meta::scalar::{Scalar, value_of};
use crate::numerics::elementary::Elementary;
use crate::numerics::promote::{ARITHMETIC, Kind, kind, promote, promote_scalar};
use crate::numerics::{Number, recipes};
use lockstep_ascend_abi::{aclDataType, aclScalar, aclTensor};

fn add_scaled<C: Number>(blocks: &mut [Vec<C>]) {
    let alpha = blocks[2].first().copied().unwrap_or(C::ONE);
    zip(blocks, |a, b| a.add(alpha.multiply(b)));
}

fn subtract_scaled<C: Number>(blocks: &mut [Vec<C>]) {
    let alpha = blocks[2].first().copied().unwrap_or(C::ONE);
    zip(blocks, |a, b| a.subtract(alpha.multiply(b)));
}

fn multiply<C: Number>(blocks: &mut [Vec<C>]) {
    zip(blocks, Number::multiply);
}

fn divide<C: Number>(blocks: &mut [Vec<C>]) {
    zip(blocks, Number::divide);
}

fn power<C: Number>(blocks: &mut [Vec<C>]) {
    let (_, exponents) = first_and(blocks, 1);
    // A square is a product on every device, and exact where the general power is not.
    if exponents.iter().all(|exponent| *exponent == C::ONE.add(C::ONE)) {
        map(blocks, |x| x.multiply(x));
    } else {
        zip(blocks, Number::power);
    }
}

fn maximum<C: Number>(blocks: &mut [Vec<C>]) {
    zip(blocks, recipes::larger);
}

fn minimum<C: Number>(blocks: &mut [Vec<C>]) {
    zip(blocks, recipes::smaller);
}

fn negate<C: Number>(blocks: &mut [Vec<C>]) {
    map(blocks, Number::negate);
}

fn magnitude<C: Number>(blocks: &mut [Vec<C>]) {
    map(blocks, Number::magnitude);
}

fn exponential<C: Elementary>(blocks: &mut [Vec<C>]) {
    C::exp_all(&mut blocks[0]);
}

fn logarithm<C: Elementary>(blocks: &mut [Vec<C>]) {
    C::log_all(&mut blocks[0]);
}

fn square_root<C: Elementary>(blocks: &mut [Vec<C>]) {
    map(blocks, Elementary::square_root);
}

fn reciprocal_root<C: Elementary>(blocks: &mut [Vec<C>]) {
    map(blocks, |x| C::ONE.divide(x.square_root()));
}

fn reciprocal<C: Elementary>(blocks: &mut [Vec<C>]) {
    map(blocks, |x| C::ONE.divide(x));
}

/// An operator of one operand, number 0, whose result is number `out`; what is not a float is computed as f32
/// where the function has no integer form.
pub(crate) fn unary(
    tensors: &Tensors,
    out: usize,
    function: Function,
    accepted: &[aclDataType],
) -> Result<Planned, Refusal> {
    let x = &tensors[0];
    check::dtype(x, accepted)?;
    let is_float = kind(x.dtype) == Some(Kind::Float);
    let dtype = if is_float || function.integer.is_some() { x.dtype } else { aclDataType::FLOAT };
    Pointwise { function, sources: vec![Source::Tensor(0), Source::Scratch], out, dtype, result: dtype }
        .plan(tensors)
}

/// The second operand of a binary operator.
#[derive(Clone, Copy)]
enum Other {
    /// Operand 1.
    Tensor,
    /// A scalar parameter.
    Scalar(Scalar),
}

/// What a binary operator makes of integers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Integers {
    /// Integers again.
    Kept,
    /// f32.
    AsFloats,
}

/// An operator of operand 0 and `other`, with `alpha` if it has one, whose result is operand `out`.
fn binary(
    tensors: &Tensors,
    other: Other,
    alpha: Option<Scalar>,
    out: usize,
    function: Function,
    integers: Integers,
) -> Result<Planned, Refusal> {
    let x = &tensors[0];
    check::dtype(x, ARITHMETIC)?;
    let (source, met) = match other {
        Other::Tensor => {
            check::dtype(&tensors[1], ARITHMETIC)?;
            (Source::Tensor(1), promoted(x, &tensors[1])?)
        }
        Other::Scalar(scalar) => (Source::Value(Value::of(scalar)), promoted_scalar(x, scalar, "other")?),
    };
    let dtype = if integers == Integers::AsFloats && kind(met) != Some(Kind::Float) {
        aclDataType::FLOAT
    } else {
        met
    };
    let mut sources = vec![Source::Tensor(0), source];
    if let Some(alpha) = alpha {
        if kind(alpha.dtype) > kind(dtype) {
            return Err(Refusal::invalid(format!(
                "alpha is {:?}, which {dtype:?} does not hold",
                alpha.dtype
            )));
        }
        sources.push(Source::Value(Value::of(alpha)));
    }
    Pointwise { function, sources, out, dtype, result: dtype }.plan(tensors)
}

/// Operands 0 and 1, of one type, in operand 2: the operators of compiled graphs, which have no `alpha`.
pub(crate) fn binary_of_graph(tensors: &Tensors, function: Function) -> Result<Planned, Refusal> {
    let dtype = tensors[0].dtype;
    check::dtype(&tensors[0], ARITHMETIC)?;
    check::same_dtype(&tensors[1], &tensors[0])?;
    let alpha = Source::Value(Value { real: 1.0, integer: 1 });
    let sources = vec![Source::Tensor(0), Source::Tensor(1), alpha];
    Pointwise { function, sources, out: 2, dtype, result: dtype }.plan(tensors)
}

/// The type in which two operands meet.
pub(super) fn promoted(a: &Described, b: &Described) -> Result<aclDataType, Refusal> {
    promote(a.dtype, b.dtype).ok_or_else(|| {
        Refusal::invalid(format!(
            "dtypes {:?} of {} and {:?} of {} are not promoted",
            a.dtype, a.name, b.dtype, b.name
        ))
    })
}

/// The type in which an operand meets a scalar parameter.
pub(super) fn promoted_scalar(
    tensor: &Described,
    scalar: Scalar,
    name: &str,
) -> Result<aclDataType, Refusal> {
    promote_scalar(tensor.dtype, scalar.dtype).ok_or_else(|| {
        Refusal::invalid(format!(
            "dtypes {:?} of {} and {:?} of {name} are not promoted",
            tensor.dtype, tensor.name, scalar.dtype
        ))
    })
}

/// Types that have negative numbers.
pub(crate) const SIGNED: &[aclDataType] = &[
    aclDataType::FLOAT,
    aclDataType::FLOAT16,
    aclDataType::BF16,
    aclDataType::DOUBLE,
    aclDataType::INT64,
    aclDataType::INT32,
    aclDataType::INT16,
    aclDataType::INT8,
];

pub(crate) const ADD: Function = function!(add_scaled);
pub(crate) const SUBTRACT: Function = function!(subtract_scaled);
pub(crate) const MULTIPLY: Function = function!(multiply);
const DIVIDE: Function = function!(floats divide);
pub(crate) const POWER: Function = function!(power);
/// Integers stay integers, truncated: the operator of compiled graphs.
pub(crate) const DIVIDE_OF_GRAPH: Function = function!(divide);
pub(crate) const EXPONENTIAL: Function = function!(floats exponential);
pub(crate) const LOGARITHM: Function = function!(floats logarithm);
pub(crate) const SQUARE_ROOT: Function = function!(floats square_root);
pub(crate) const RECIPROCAL: Function = function!(floats reciprocal);
pub(crate) const NEGATE: Function = function!(negate);
pub(crate) const MAGNITUDE: Function = function!(magnitude);
pub(crate) const MAXIMUM: Function = function!(maximum);
pub(crate) const MINIMUM: Function = function!(minimum);

use Integers::{AsFloats, Kept};
use Operand as Op;

operators! { elementwise;
    fn aclnnAddGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnAdd
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, Some(value_of(alpha, "alpha")?), 2, ADD, Kept) }

    fn aclnnAddsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnAdds
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let other = Other::Scalar(value_of(other, "other")?);
        binary(tensors, other, Some(value_of(alpha, "alpha")?), 1, ADD, Kept)
    }

    fn aclnnInplaceAddGetWorkspaceSize(
        self_ref: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar,
    ) then aclnnInplaceAdd
    takes [Op::both(self_ref, "selfRef"), Op::input(other, "other")]
    plans |tensors| { binary(tensors, Other::Tensor, Some(value_of(alpha, "alpha")?), 0, ADD, Kept) }

    fn aclnnInplaceAddsGetWorkspaceSize(
        self_ref: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar,
    ) then aclnnInplaceAdds
    takes [Op::both(self_ref, "selfRef")]
    plans |tensors| {
        let other = Other::Scalar(value_of(other, "other")?);
        binary(tensors, other, Some(value_of(alpha, "alpha")?), 0, ADD, Kept)
    }

    fn aclnnSubGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnSub
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, Some(value_of(alpha, "alpha")?), 2, SUBTRACT, Kept) }

    fn aclnnSubsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnSubs
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let other = Other::Scalar(value_of(other, "other")?);
        binary(tensors, other, Some(value_of(alpha, "alpha")?), 1, SUBTRACT, Kept)
    }

    fn aclnnMulGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMul
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 2, MULTIPLY, Kept) }

    fn aclnnMulsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnMuls
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Scalar(value_of(other, "other")?), None, 1, MULTIPLY, Kept) }

    fn aclnnInplaceMulGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclTensor,
    ) then aclnnInplaceMul
    takes [Op::both(self_ref, "selfRef"), Op::input(other, "other")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 0, MULTIPLY, Kept) }

    fn aclnnInplaceMulsGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclScalar,
    ) then aclnnInplaceMuls
    takes [Op::both(self_ref, "selfRef")]
    plans |tensors| { binary(tensors, Other::Scalar(value_of(other, "other")?), None, 0, MULTIPLY, Kept) }

    fn aclnnDivGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnDiv
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 2, DIVIDE, AsFloats) }

    fn aclnnDivsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnDivs
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Scalar(value_of(other, "other")?), None, 1, DIVIDE, AsFloats) }

    fn aclnnInplaceDivsGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclScalar,
    ) then aclnnInplaceDivs
    takes [Op::both(self_ref, "selfRef")]
    plans |tensors| { binary(tensors, Other::Scalar(value_of(other, "other")?), None, 0, DIVIDE, AsFloats) }

    fn aclnnDivModGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, mode: core::ffi::c_int, out: *mut aclTensor,
    ) then aclnnDivMod
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| {
        // Which of 1 and 2 truncates and which rounds down is not known; a guess would be worse than a refusal.
        if mode != 0 {
            return Err(Refusal::invalid(format!("mode is {mode}; the simulator knows 0, true division")));
        }
        binary(tensors, Other::Tensor, None, 2, DIVIDE, AsFloats)
    }

    fn aclnnPowTensorScalarGetWorkspaceSize(
        self_: *const aclTensor, exponent: *const aclScalar, out: *const aclTensor,
    ) then aclnnPowTensorScalar
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let exponent = Other::Scalar(value_of(exponent, "exponent")?);
        binary(tensors, exponent, None, 1, POWER, Kept)
    }

    fn aclnnPowTensorTensorGetWorkspaceSize(
        self_: *const aclTensor, exponent: *const aclTensor, out: *mut aclTensor,
    ) then aclnnPowTensorTensor
    takes [Op::input(self_, "self"), Op::input(exponent, "exponent"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 2, POWER, Kept) }

    fn aclnnMaximumGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMaximum
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 2, MAXIMUM, Kept) }

    fn aclnnMinimumGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMinimum
    takes [Op::input(self_, "self"), Op::input(other, "other"), Op::output(out, "out")]
    plans |tensors| { binary(tensors, Other::Tensor, None, 2, MINIMUM, Kept) }

    fn aclnnExpGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnExp
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, EXPONENTIAL, ARITHMETIC) }

    fn aclnnLogGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnLog
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, LOGARITHM, ARITHMETIC) }

    fn aclnnSqrtGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnSqrt
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, SQUARE_ROOT, ARITHMETIC) }

    fn aclnnRsqrtGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnRsqrt
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, function!(floats reciprocal_root), ARITHMETIC) }

    fn aclnnReciprocalGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnReciprocal
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, RECIPROCAL, ARITHMETIC) }

    fn aclnnNegGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnNeg
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, NEGATE, SIGNED) }

    fn aclnnAbsGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnAbs
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, MAGNITUDE, ARITHMETIC) }
}
