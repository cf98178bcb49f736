//! What is computed, one operator at a time.

use serde::{Deserialize, Serialize};

/// One operator over views of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The node that it is, or the last of those that it was fused of.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// What it reads, in the operator's order.
    pub inputs: Vec<Operand>,
    /// What it writes, each element once.
    pub output: Operand,
}

/// A view of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// The value's number in its gear.
    pub value: usize,
    /// Extents.
    pub dims: Vec<i64>,
    /// Elements from one index to the next, per axis; 0 repeats.
    pub strides: Vec<i64>,
    /// Element 0, in elements from the value's beginning.
    pub offset: i64,
}

/// An operator. Inputs broadcast as ONNX's do where nothing else is said, and have one dtype, which the output shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operator {
    /// `[x]`: the same elements, in the output's strides.
    Copy,
    /// `[x]`: converted to the output's dtype.
    Cast,
    /// `[x]`.
    Unary(Unary),
    /// `[a, b]`.
    Binary(Binary),
    /// `[a, b]`; the output is bool.
    Compare(Comparison),
    /// `[condition, x, y]`: x where the bool condition holds, else y.
    Select,
    /// `[x]`: over the axes in which the output, of as many axes, has extent 1 and x has not.
    Reduce(Reduction),
    /// `[x]`: over the last axis.
    Softmax,
    /// `[a, b]`: batched matrix products, of at least two axes each. A f32 output of f16 operands is not rounded to f16.
    MatMul,
    /// `[table, indices]`: rows of a table with two axes; the output has the indices' axes, then one of a row.
    Gather,
    /// `[x, gamma, beta]`: over the last axis, mean and variance rounded to f16 where x is f16.
    LayerNorm {
        /// Added to the variance.
        epsilon: f64,
        /// Whether 1/sqrt is computed as that, instead of exp(-0.5 ln).
        is_precise: bool,
    },
    /// `[x]`.
    Gelu {
        /// The tanh form instead of the erf form.
        is_tanh: bool,
    },
}

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // They are called what they are.
pub enum Unary {
    Abs,
    Neg,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Erf,
    Tanh,
    Sigmoid,
    Relu,
    Not,
}

/// Functions of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // They are called what they are.
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
    And,
    Or,
}

/// Relations of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // They are called what they are.
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a reduction gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // They are called what they are.
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
}
