//! A step of a compiled model as a kernel of `ops`.
//!
//! The graph engine's operators differ from the single ones in this: inputs have one type, which the result shares;
//! LayerNorm of f16 rounds mean and variance to f16, not the deviation; integers are divided as integers, truncated.

use crate::meta::executor::{Planned, Refusal, Tensors};
use crate::numerics::promote::{ARITHMETIC, FLOATS};
use crate::numerics::recipes::Scale;
use crate::ops::{
    activation, cast, check, compare, elementwise, index, matmul, norm, pointwise::Function, reduce, softmax,
};
use lockstep_ascend_abi::{aclDataType, cube_math_type};
use lockstep_ascend_container::{Binary, Comparison, Operator, Reduction, Unary};

/// What an operator's inputs are called, in order.
pub(super) fn inputs(operator: Operator) -> &'static [&'static str] {
    match operator {
        Operator::Copy | Operator::Cast | Operator::Unary(_) | Operator::Gelu { .. } => &["x"],
        Operator::Reduce(_) | Operator::Softmax => &["x"],
        Operator::Binary(_) | Operator::Compare(_) | Operator::MatMul => &["a", "b"],
        Operator::Select => &["condition", "x", "y"],
        Operator::Gather => &["table", "indices"],
        Operator::LayerNorm { .. } => &["x", "gamma", "beta"],
    }
}

/// How many operands a kernel has behind the result, which a compiled model leaves out: LayerNorm's mean and deviation.
pub(super) fn absent(operator: Operator) -> usize {
    if matches!(operator, Operator::LayerNorm { .. }) { 2 } else { 0 }
}

/// The kernel of an operator whose operands are its inputs, the result, and the [`absent`] ones.
///
/// # Errors
/// Which operand is what and what was expected.
pub(super) fn plan(operator: Operator, tensors: &Tensors) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    match operator {
        Operator::Copy => {
            check::movable(&tensors[0], &tensors[1])?;
            check::broadcasts_to(&tensors[0], &tensors[1].dims)?;
            Ok(cast::converting(0, 1))
        }
        Operator::Cast => {
            check::broadcasts_to(&tensors[0], &tensors[1].dims)?;
            Ok(cast::converting(0, 1))
        }
        Operator::Unary(function) => unary(function, tensors),
        Operator::Binary(function) => binary(function, tensors),
        Operator::Compare(relation) => {
            check::same_dtype(&tensors[1], &tensors[0])?;
            check::dtype(&tensors[2], &[aclDataType::BOOL])?;
            compare::compare(
                tensors,
                match relation {
                    Comparison::Equal => compare::EQUAL,
                    Comparison::Less => compare::LESS,
                    Comparison::LessOrEqual => compare::LESS_OR_EQUAL,
                    Comparison::Greater => compare::GREATER,
                    Comparison::GreaterOrEqual => compare::GREATER_OR_EQUAL,
                },
            )
        }
        Operator::Select => {
            check::dtype(&tensors[0], &[aclDataType::BOOL])?;
            check::same_dtype(&tensors[2], &tensors[1])?;
            check::same_dtype(&tensors[3], &tensors[1])?;
            compare::select(tensors)
        }
        Operator::Reduce(reduction) => reduced(reduction, tensors),
        Operator::Softmax => {
            check::dtype(&tensors[0], FLOATS)?;
            check::same_dtype(&tensors[1], &tensors[0])?;
            check::axes(&tensors[0], 1..=8)?;
            softmax::softmax(tensors, -1, Scale::Probability)
        }
        Operator::MatMul => product(tensors),
        Operator::Gather => {
            check::axes(&tensors[0], 2..=2)?;
            index::take(tensors, 0)
        }
        Operator::LayerNorm { epsilon, is_precise } => {
            check::axes(&tensors[0], 1..=8)?;
            check::same_dtype(&tensors[1], &tensors[0])?;
            check::same_dtype(&tensors[2], &tensors[0])?;
            norm::layer_norm_of_graph(tensors, epsilon, is_precise)
        }
        Operator::Gelu { is_tanh } => {
            let function = if is_tanh { activation::GELU_TANH } else { activation::GELU_ERF };
            of_one(tensors, function, FLOATS)
        }
    }
}

fn of_one(tensors: &Tensors, function: Function, accepted: &[aclDataType]) -> Result<Planned, Refusal> {
    check::same_dtype(&tensors[1], &tensors[0])?;
    elementwise::unary(tensors, 1, function, accepted)
}

fn unary(function: Unary, tensors: &Tensors) -> Result<Planned, Refusal> {
    let (function, accepted) = match function {
        Unary::Abs => (elementwise::MAGNITUDE, elementwise::SIGNED),
        Unary::Neg => (elementwise::NEGATE, elementwise::SIGNED),
        Unary::Exp => (elementwise::EXPONENTIAL, FLOATS),
        Unary::Log => (elementwise::LOGARITHM, FLOATS),
        Unary::Sqrt => (elementwise::SQUARE_ROOT, FLOATS),
        Unary::Reciprocal => (elementwise::RECIPROCAL, FLOATS),
        Unary::Erf => (activation::ERF, FLOATS),
        Unary::Tanh => (activation::TANH, FLOATS),
        Unary::Sigmoid => (activation::SIGMOID, FLOATS),
        Unary::Relu => (activation::RELU, activation::RECTIFIED),
        Unary::Not => {
            check::dtype(&tensors[0], &[aclDataType::BOOL])?;
            check::same_dtype(&tensors[1], &tensors[0])?;
            return compare::negate(tensors);
        }
    };
    of_one(tensors, function, accepted)
}

fn binary(function: Binary, tensors: &Tensors) -> Result<Planned, Refusal> {
    check::same_dtype(&tensors[1], &tensors[0])?;
    check::same_dtype(&tensors[2], &tensors[0])?;
    let function = match function {
        Binary::Add => elementwise::ADD,
        Binary::Sub => elementwise::SUBTRACT,
        Binary::Mul => elementwise::MULTIPLY,
        Binary::Div => elementwise::DIVIDE_OF_GRAPH,
        Binary::Pow => elementwise::POWER,
        Binary::Max => elementwise::MAXIMUM,
        Binary::Min => elementwise::MINIMUM,
        Binary::And | Binary::Or => {
            check::dtype(&tensors[0], &[aclDataType::BOOL])?;
            let is_and = function == Binary::And;
            return compare::compare(tensors, if is_and { compare::BOTH } else { compare::EITHER });
        }
    };
    elementwise::binary_of_graph(tensors, function)
}

fn reduced(reduction: Reduction, tensors: &Tensors) -> Result<Planned, Refusal> {
    let (x, out) = (&tensors[0], &tensors[1]);
    check::same_dtype(out, x)?;
    check::axes(out, x.dims.len()..=x.dims.len())?;
    let pairs = x.dims.iter().zip(&out.dims).enumerate();
    let axes: Vec<usize> = pairs.filter(|(_, (x, out))| x != out).map(|(axis, _)| axis).collect();
    match reduction {
        Reduction::Sum => {
            check::dtype(x, ARITHMETIC)?;
            reduce::reduce(tensors, axes, true, x.dtype, reduce::TOTAL)
        }
        Reduction::Mean => {
            check::dtype(x, FLOATS)?;
            reduce::reduce(tensors, axes, true, x.dtype, reduce::MEAN)
        }
        Reduction::Max => reduce::extreme(tensors, axes, true, reduce::LARGEST),
        Reduction::Min => reduce::extreme(tensors, axes, true, reduce::SMALLEST),
    }
}

/// f32 is multiplied as f32, since ATC's `--allow_hf32` is reserved.
fn product(tensors: &Tensors) -> Result<Planned, Refusal> {
    let (a, b, out) = (&tensors[0], &tensors[1], &tensors[2]);
    check::axes(a, 2..=8)?;
    check::axes(b, 2..=8)?;
    check::same_dtype(b, a)?;
    check::dtype(out, &[a.dtype, aclDataType::FLOAT])?;
    matmul::multiply(tensors, cube_math_type::KEEP_DTYPE)
}
