//! Activations. GELU has three published forms, which differ by design; `numerics::recipes` has them.

use super::elementwise::unary;
use super::pointwise::{Function, function, map};
use crate::exports::operators;
use crate::meta::executor::{Operand, Refusal};
use crate::numerics::elementary::Elementary;
use crate::numerics::promote::{ARITHMETIC, FLOATS, REALS};
use crate::numerics::{Number, recipes};
use lockstep_ascend_abi::{aclDataType, aclTensor};

fn rectify<C: Number>(blocks: &mut [Vec<C>]) {
    map(blocks, |x| recipes::larger(x, C::ZERO));
}

fn error_function<C: Elementary>(blocks: &mut [Vec<C>]) {
    C::erf_all(&mut blocks[0]);
}

fn hyperbolic_tangent<C: Elementary>(blocks: &mut [Vec<C>]) {
    C::tanh_all(&mut blocks[0]);
}

fn sigmoid<C: Elementary>(blocks: &mut [Vec<C>]) {
    map(blocks, Number::negate);
    C::exp_all(&mut blocks[0]);
    map(blocks, |exp| C::ONE.divide(C::ONE.add(exp)));
}

fn sigmoid_linear<C: Elementary>(blocks: &mut [Vec<C>]) {
    let (x, exp) = in_and_scratch(blocks);
    for (exp, x) in exp.iter_mut().zip(x.iter()) {
        *exp = x.negate();
    }
    C::exp_all(exp);
    for (x, exp) in x.iter_mut().zip(exp.iter()) {
        *x = x.divide(C::ONE.add(*exp));
    }
}

/// The operand's block, and the one that [`unary`] leaves free.
fn in_and_scratch<C>(blocks: &mut [Vec<C>]) -> (&mut Vec<C>, &mut Vec<C>) {
    let (x, scratch) = blocks.split_at_mut(1);
    (&mut x[0], &mut scratch[0])
}

pub(crate) const TANH: Function = function!(floats hyperbolic_tangent);
pub(crate) const ERF: Function = function!(floats error_function);
pub(crate) const RELU: Function = function!(rectify);
pub(crate) const SIGMOID: Function = function!(floats sigmoid);

pub(crate) const GELU_TANH: Function = Function {
    single: |blocks| {
        let (x, scratch) = in_and_scratch(blocks);
        recipes::gelu_tanh(x, scratch);
    },
    double: |blocks| {
        let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
        map(blocks, |x| 0.5 * x * (1.0 + libm::tanh(inner(x))));
    },
    integer: None,
};

pub(crate) const GELU_ERF: Function = Function {
    single: |blocks| {
        let (x, scratch) = in_and_scratch(blocks);
        recipes::gelu_erf(x, scratch);
    },
    // By erfc, which keeps its digits where the result is tiny.
    double: |blocks| map(blocks, |x| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)),
    integer: None,
};

const FAST_GELU: Function = Function {
    single: |blocks| {
        let (x, scratch) = in_and_scratch(blocks);
        recipes::fast_gelu(x, scratch);
    },
    double: |blocks| map(blocks, |x| x / (1.0 + libm::exp(-1.702 * x))),
    integer: None,
};

/// Types that a rectifier takes.
pub(crate) const RECTIFIED: &[aclDataType] = &[
    aclDataType::FLOAT,
    aclDataType::FLOAT16,
    aclDataType::BF16,
    aclDataType::INT64,
    aclDataType::INT32,
    aclDataType::INT8,
    aclDataType::UINT8,
];

use Operand as Op;

operators! { activation;
    fn aclnnGeluGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnGelu
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        super::check::same_dtype(&tensors[1], &tensors[0])?;
        unary(tensors, 1, GELU_TANH, FLOATS)
    }

    fn aclnnGeluV2GetWorkspaceSize(
        x: *const aclTensor, approximate: i64, y: *mut aclTensor,
    ) then aclnnGeluV2
    takes [Op::input(x, "x"), Op::output(y, "y")]
    plans |tensors| {
        super::check::same_dtype(&tensors[1], &tensors[0])?;
        match approximate {
            0 => unary(tensors, 1, GELU_ERF, FLOATS),
            1 => unary(tensors, 1, GELU_TANH, FLOATS),
            other => Err(Refusal::invalid(format!("approximate is {other}, expected 0, by erf, or 1, by tanh"))),
        }
    }

    fn aclnnFastGeluGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnFastGelu
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        super::check::same_dtype(&tensors[1], &tensors[0])?;
        unary(tensors, 1, FAST_GELU, FLOATS)
    }

    fn aclnnTanhGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnTanh
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, TANH, ARITHMETIC) }

    fn aclnnInplaceTanhGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceTanh
    takes [Op::both(self_ref, "selfRef")]
    plans |tensors| { unary(tensors, 0, TANH, REALS) }

    fn aclnnErfGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnErf
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, ERF, ARITHMETIC) }

    fn aclnnReluGetWorkspaceSize(self_: *const aclTensor, out: *const aclTensor) then aclnnRelu
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, RELU, RECTIFIED) }

    fn aclnnInplaceReluGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceRelu
    takes [Op::both(self_ref, "selfRef")]
    plans |tensors| { unary(tensors, 0, RELU, RECTIFIED) }

    fn aclnnSigmoidGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnSigmoid
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, SIGMOID, ARITHMETIC) }

    fn aclnnSiluGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnSilu
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { unary(tensors, 1, function!(floats sigmoid_linear), REALS) }
}
