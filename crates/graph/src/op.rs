//! The ops: a closed set, primitives first, then composites.

use crate::{Custom, DType, Dim};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An elementwise function of one float operand ([`UnaryOp::Neg`] and [`UnaryOp::Abs`] also of integers,
/// [`UnaryOp::Not`] of truth values only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Neg,
    Abs,
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

impl UnaryOp {
    /// Every unary function.
    pub const ALL: [UnaryOp; 11] = {
        use UnaryOp::*;
        [Neg, Abs, Exp, Log, Sqrt, Reciprocal, Erf, Tanh, Sigmoid, Relu, Not]
    };
}

/// An elementwise function of two operands of one dtype, broadcast as NumPy does.
///
/// `Max` and `Min` give NaN where either operand is NaN. Integers wrap; an integer divided by zero, or raised to a
/// negative power, is an error. `And` and `Or` take truth values only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
    And,
    Or,
}

impl BinaryOp {
    /// Every binary function.
    pub const ALL: [BinaryOp; 9] = {
        use BinaryOp::*;
        [Add, Sub, Mul, Div, Max, Min, Pow, And, Or]
    };
}

/// A comparison of two operands of one dtype; gives truth values. Anything compared with NaN is false but `Ne`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl CompareOp {
    /// Every comparison.
    pub const ALL: [CompareOp; 6] = {
        use CompareOp::*;
        [Eq, Ne, Lt, Le, Gt, Ge]
    };
}

/// How [`Op::Reduce`] combines elements. Of no elements: `Sum` 0, `Mean` NaN, `Max` -inf, `Min` inf (of integers the
/// dtype's smallest and largest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ReduceOp {
    Sum,
    Mean,
    Max,
    Min,
}

/// Which GELU is meant; the two differ by up to 4.7e-4, so the form is always named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GeluForm {
    /// `x/2 (1 + erf(x/sqrt 2))`.
    Erf,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    Tanh,
}

/// What [`Op::Linear`] applies to its product before the residual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activation {
    /// GELU in the named form.
    Gelu(GeluForm),
    /// Hyperbolic tangent, as in BERT's pooler.
    Tanh,
}

/// The parts of a [`Op::Linear`]; inputs are x, weight, then the bias and the residual if present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Linear {
    /// Whether a bias `[out]` follows the weight.
    pub bias: bool,
    /// What is applied to the product and bias.
    pub activation: Option<Activation>,
    /// Whether a tensor of the output's shape is added last.
    pub residual: bool,
}

/// How the queries, keys and values of [`Op::Attention`] arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operands {
    /// Three inputs q, k, v of `[.., hidden]`.
    Separate,
    /// One input `[.., 3 * hidden]`: q, k and v side by side.
    Merged,
}

/// How [`Op::Attention`] and [`Op::Pool`] know which positions belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sequences {
    /// Operands are `[batch, seq, ..]`, every position counts.
    Dense,
    /// Operands are `[batch, seq, ..]`; a last input bool `[batch, seq]` is true where a key counts.
    KeyMask,
    /// Operands are packed `[tokens, ..]`; a last input i64 `[batch]` gives where each sequence ends (exclusive, ascending;
    /// the first starts at 0, the last ends at `tokens`).
    Ends,
}

/// Multi-head attention: per head, `softmax(scale q k^T) v` over the keys of the same sequence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// How many heads share the hidden extent.
    pub heads: usize,
    /// The factor of the scores, usually `1 / sqrt(hidden / heads)`.
    pub scale: f64,
    /// How q, k and v arrive.
    pub operands: Operands,
    /// Which keys count.
    pub sequences: Sequences,
}

/// How [`Op::Pool`] makes one row of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PoolKind {
    /// The mean of its rows; zeros for an empty sequence.
    Mean,
    /// The largest of each column; -inf for an empty sequence.
    Max,
}

/// One operation of a graph. Shapes and dtypes of its outputs are [`infer`](crate::infer)red.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Elementwise, of one operand.
    Unary(UnaryOp),
    /// Elementwise, of two operands, broadcast.
    Binary(BinaryOp),
    /// Elementwise comparison, broadcast; gives bool.
    Compare(CompareOp),
    /// `condition ? a : b`, elementwise, broadcast; inputs bool, a, b.
    Select,
    /// To another dtype: floats round to nearest even, float to integer truncates and saturates (NaN gives 0), integer
    /// to integer keeps the low bits, to bool is `!= 0`.
    Cast {
        /// The dtype of the output.
        to: DType,
    },
    /// `[.., m, k] x [.., k, n] -> [.., m, n]`, leading axes broadcast; at least f32 accumulation.
    MatMul,
    /// Axes in another order: output axis `i` is input axis `permutation[i]`.
    Transpose {
        /// A permutation of the axes.
        permutation: Vec<usize>,
    },
    /// The same elements in another shape of the same count.
    Reshape {
        /// The output's shape.
        shape: Vec<Dim>,
    },
    /// Repeats along axes of extent 1 and new leading axes, as NumPy broadcasts.
    Expand {
        /// The output's shape.
        shape: Vec<Dim>,
    },
    /// `length` positions of an axis from `start`, every `step`-th.
    Slice {
        /// The axis.
        axis: usize,
        /// The first position.
        start: usize,
        /// The distance of positions, at least 1.
        step: usize,
        /// How many positions.
        length: Dim,
    },
    /// Inputs one after another along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Picks positions of an axis: inputs data and index (i64 or i32, in range); the axis is replaced by the index's
    /// shape.
    Gather {
        /// The axis of data.
        axis: usize,
    },
    /// `out = base; out[index[i]] += source[i]` along an axis: inputs base, index (1-D i64 or i32, in range), source.
    /// Duplicates add up in ascending position.
    IndexAdd {
        /// The axis of base.
        axis: usize,
    },
    /// Combines elements along axes.
    Reduce {
        /// How.
        op: ReduceOp,
        /// Which axes, ascending.
        axes: Vec<usize>,
        /// Whether reduced axes stay, with extent 1.
        keep_axes: bool,
    },
    /// A tensor of one value; no inputs.
    Fill {
        /// The output's dtype.
        dtype: DType,
        /// The value, cast to the dtype.
        #[serde(with = "any_float")]
        value: f64,
        /// The output's shape.
        shape: Vec<Dim>,
    },
    /// `0, 1, 2, ..` as i64; no inputs.
    Iota {
        /// How many.
        length: Dim,
    },

    /// `exp(x - max) / sum` along an axis; a row whose largest element is -inf (fully masked) gives zeros.
    Softmax {
        /// The axis.
        axis: usize,
    },
    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis; inputs x, gamma, beta. gamma and beta
    /// may be stored in another float dtype.
    LayerNorm {
        /// Inside the root.
        epsilon: f64,
    },
    /// LayerNorm of `x + residual`; inputs x, residual, gamma, beta.
    AddLayerNorm {
        /// Inside the root.
        epsilon: f64,
    },
    /// LayerNorm of a sum of table rows: `LayerNorm(table_1[index_1] + table_2[index_2] + ..)`, as BERT begins. Inputs are
    /// table `[rows, hidden]` and index (i64 or i32 in range, all of one shape) for each, then gamma and beta; every table may be
    /// stored in a float dtype of its own. In f32 where the output is narrower, with one rounding at the end.
    EmbedLayerNorm {
        /// The output's dtype.
        dtype: DType,
        /// Inside the root.
        epsilon: f64,
    },
    /// GELU in the named form.
    Gelu(GeluForm),
    /// `activation(x weight^T + bias) + residual`: x `[.., in]`, weight `[out, in]`; weight and bias may be stored in
    /// another float dtype.
    Linear(Linear),
    /// Multi-head attention.
    Attention(Attention),
    /// One row per sequence: `[batch, seq, hidden]` or packed `[tokens, hidden]` to `[batch, hidden]`; inputs data, then
    /// the mask or ends.
    Pool {
        /// How.
        kind: PoolKind,
        /// Where sequences are.
        sequences: Sequences,
    },
    /// An op from outside; it brings its shape rule, its decomposition and its reference.
    Custom(Custom),
}

impl Op {
    /// The op's name in the field's terms, without attributes: `LayerNorm`, `MatMul`, `Add`.
    pub fn name(&self) -> &str {
        match self {
            Op::Unary(op) => match op {
                UnaryOp::Neg => "Neg",
                UnaryOp::Abs => "Abs",
                UnaryOp::Exp => "Exp",
                UnaryOp::Log => "Log",
                UnaryOp::Sqrt => "Sqrt",
                UnaryOp::Reciprocal => "Reciprocal",
                UnaryOp::Erf => "Erf",
                UnaryOp::Tanh => "Tanh",
                UnaryOp::Sigmoid => "Sigmoid",
                UnaryOp::Relu => "Relu",
                UnaryOp::Not => "Not",
            },
            Op::Binary(op) => match op {
                BinaryOp::Add => "Add",
                BinaryOp::Sub => "Sub",
                BinaryOp::Mul => "Mul",
                BinaryOp::Div => "Div",
                BinaryOp::Max => "Max",
                BinaryOp::Min => "Min",
                BinaryOp::Pow => "Pow",
                BinaryOp::And => "And",
                BinaryOp::Or => "Or",
            },
            Op::Compare(op) => match op {
                CompareOp::Eq => "Equal",
                CompareOp::Ne => "NotEqual",
                CompareOp::Lt => "Less",
                CompareOp::Le => "LessOrEqual",
                CompareOp::Gt => "Greater",
                CompareOp::Ge => "GreaterOrEqual",
            },
            Op::Select => "Select",
            Op::Cast { .. } => "Cast",
            Op::MatMul => "MatMul",
            Op::Transpose { .. } => "Transpose",
            Op::Reshape { .. } => "Reshape",
            Op::Expand { .. } => "Expand",
            Op::Slice { .. } => "Slice",
            Op::Concat { .. } => "Concat",
            Op::Gather { .. } => "Gather",
            Op::IndexAdd { .. } => "IndexAdd",
            Op::Reduce { op, .. } => match op {
                ReduceOp::Sum => "ReduceSum",
                ReduceOp::Mean => "ReduceMean",
                ReduceOp::Max => "ReduceMax",
                ReduceOp::Min => "ReduceMin",
            },
            Op::Fill { .. } => "Fill",
            Op::Iota { .. } => "Iota",
            Op::Softmax { .. } => "Softmax",
            Op::LayerNorm { .. } => "LayerNorm",
            Op::AddLayerNorm { .. } => "AddLayerNorm",
            Op::EmbedLayerNorm { .. } => "EmbedLayerNorm",
            Op::Gelu(GeluForm::Erf) => "GeluErf",
            Op::Gelu(GeluForm::Tanh) => "GeluTanh",
            Op::Linear(linear) => match (linear.activation, linear.residual) {
                (None, false) => "Linear",
                (None, true) => "LinearAdd",
                (Some(Activation::Gelu(_)), false) => "LinearGelu",
                (Some(Activation::Gelu(_)), true) => "LinearGeluAdd",
                (Some(Activation::Tanh), false) => "LinearTanh",
                (Some(Activation::Tanh), true) => "LinearTanhAdd",
            },
            Op::Attention(_) => "Attention",
            Op::Pool { kind: PoolKind::Mean, .. } => "PoolMean",
            Op::Pool { kind: PoolKind::Max, .. } => "PoolMax",
            Op::Custom(custom) => custom.name(),
        }
    }

    /// Whether its input of that number, out of `count`, is a table of which it reads as many rows as it writes.
    pub fn picks_rows_of(&self, input: usize, count: usize) -> bool {
        match self {
            Op::Gather { .. } => input == 0,
            Op::EmbedLayerNorm { .. } => input + 2 < count && input.is_multiple_of(2),
            _ => false,
        }
    }

    /// Whether it is one of the primitives, which have no decomposition.
    pub fn is_primitive(&self) -> bool {
        !matches!(
            self,
            Op::Softmax { .. }
                | Op::LayerNorm { .. }
                | Op::AddLayerNorm { .. }
                | Op::EmbedLayerNorm { .. }
                | Op::Gelu(_)
                | Op::Linear(_)
                | Op::Attention(_)
                | Op::Pool { .. }
                | Op::Custom(_)
        )
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// JSON has no infinities and no NaN; a fill may be either, so its value is written as text.
mod any_float {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
