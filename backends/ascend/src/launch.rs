//! What a program does on a device, as plain data: aclnn operators over views of memory, in order.

use lockstep_hal::graph::DType;
use std::fmt;
use std::ops::Range;

/// Where an operand begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the program's arena, at this byte.
    Arena(usize),
    /// In the caller's buffer of that number.
    Io(usize),
    /// In the constant of that number.
    Constant(usize),
}

/// A view of an operand's elements, strided as an `aclTensor` is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View<P = Place> {
    /// Where the operand begins: a place until a run gives it an address.
    pub place: P,
    /// The element type.
    pub dtype: DType,
    /// Extents.
    pub dims: Vec<usize>,
    /// Elements from one position to the next along each axis; 0 where one serves all.
    pub strides: Vec<usize>,
    /// The view's first element, counted from the operand's.
    pub offset: usize,
    /// How many elements the operand has.
    pub storage: usize,
}

/// Strides of extents that lie row-major without gaps.
fn row_major(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis].max(1);
    }
    strides
}

impl<P: Copy> View<P> {
    /// All of an operand.
    pub fn whole(place: P, dtype: DType, dims: &[usize]) -> Self {
        let storage = dims.iter().product();
        Self { place, dtype, dims: dims.to_vec(), strides: row_major(dims), offset: 0, storage }
    }

    /// How many elements are seen.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The same operand's elements in other extents and strides, from `offset` on.
    pub fn strided(&self, dims: &[usize], strides: &[usize], offset: usize) -> Self {
        Self { dims: dims.to_vec(), strides: strides.to_vec(), offset: self.offset + offset, ..self.clone() }
    }

    /// The same elements of a gapless view in other extents.
    pub fn shaped(&self, dims: &[usize]) -> Self {
        Self { dims: dims.to_vec(), strides: row_major(dims), ..self.clone() }
    }

    /// A matrix with rows and columns exchanged.
    pub fn transposed(&self) -> Self {
        let mut view = self.clone();
        let rank = view.dims.len();
        if rank >= 2 {
            view.dims.swap(rank - 2, rank - 1);
            view.strides.swap(rank - 2, rank - 1);
        }
        view
    }

    /// The same view of what lies at the place's address.
    pub fn at<A>(&self, address: impl Fn(P) -> A) -> View<A> {
        View {
            place: address(self.place),
            dtype: self.dtype,
            dims: self.dims.clone(),
            strides: self.strides.clone(),
            offset: self.offset,
            storage: self.storage,
        }
    }
}

/// One value of the host's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// A float.
    F32(f32),
    /// An integer.
    I64(i64),
    /// A truth value.
    Bool(bool),
}

/// Operators of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Unary {
    Abs,
    Erf,
    Exp,
    /// The tanh form.
    Gelu,
    /// The form with the error function, by a rational of exponentials.
    GeluV2,
    Log,
    LogicalNot,
    Neg,
    Reciprocal,
    Relu,
    Sigmoid,
    Sqrt,
    Tanh,
}

/// Operators of two tensors, broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Div,
    Eq,
    Ge,
    Gt,
    Le,
    LogicalAnd,
    LogicalOr,
    Lt,
    Maximum,
    Minimum,
    Mul,
    Ne,
    Pow,
    Sub,
}

/// Reductions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Mean,
    Amax,
    Amin,
}

/// An aclnn operator with its arguments. Outputs come last.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Call<P = Place> {
    Unary(Unary, View<P>, View<P>),
    Binary(Binary, [View<P>; 2], View<P>),
    /// `x` becomes `x * factor`.
    InplaceMuls {
        x: View<P>,
        factor: f32,
    },
    /// Whether each element is `value`.
    EqScalar {
        x: View<P>,
        value: f32,
        out: View<P>,
    },
    /// `condition ? a : b`.
    SWhere {
        condition: View<P>,
        a: View<P>,
        b: View<P>,
        out: View<P>,
    },
    Cast {
        x: View<P>,
        out: View<P>,
    },
    /// In the dtype of its factors with sums in f32, never HF32.
    Matmul {
        a: View<P>,
        b: View<P>,
        out: View<P>,
    },
    /// `bias + a b`.
    Addmm {
        bias: View<P>,
        a: View<P>,
        b: View<P>,
        out: View<P>,
    },
    Softmax {
        x: View<P>,
        axis: usize,
        out: View<P>,
    },
    /// Over the last axis. gamma and beta in f32, whatever x is: otherwise mean and deviation are rounded to x's dtype.
    LayerNorm {
        x: View<P>,
        gamma: View<P>,
        beta: View<P>,
        epsilon: f64,
        out: View<P>,
    },
    Reduce {
        reduction: Reduction,
        x: View<P>,
        axes: Vec<usize>,
        keep_axes: bool,
        out: View<P>,
    },
    Permute {
        x: View<P>,
        permutation: Vec<usize>,
        out: View<P>,
    },
    /// Copies, strided on either side, and broadcasts where strides are 0.
    Copy {
        from: View<P>,
        to: View<P>,
    },
    Slice {
        x: View<P>,
        axis: usize,
        start: usize,
        end: usize,
        step: usize,
        out: View<P>,
    },
    Cat {
        parts: Vec<View<P>>,
        axis: usize,
        out: View<P>,
    },
    Fill {
        out: View<P>,
        value: Scalar,
    },
    /// `0, 1, 2, ..` up to `end`.
    Arange {
        end: i64,
        out: View<P>,
    },
    GatherV2 {
        data: View<P>,
        axis: usize,
        index: View<P>,
        out: View<P>,
    },
    /// Out of place: `out` is no other operand.
    IndexAdd {
        base: View<P>,
        axis: usize,
        index: View<P>,
        source: View<P>,
        out: View<P>,
    },
}

impl<P: Copy> Call<P> {
    /// The operator's symbol.
    pub fn symbol(&self) -> &'static str {
        match self {
            Call::Unary(unary, ..) => match unary {
                Unary::Abs => "aclnnAbs",
                Unary::Erf => "aclnnErf",
                Unary::Exp => "aclnnExp",
                Unary::Gelu => "aclnnGelu",
                Unary::GeluV2 => "aclnnGeluV2",
                Unary::Log => "aclnnLog",
                Unary::LogicalNot => "aclnnLogicalNot",
                Unary::Neg => "aclnnNeg",
                Unary::Reciprocal => "aclnnReciprocal",
                Unary::Relu => "aclnnRelu",
                Unary::Sigmoid => "aclnnSigmoid",
                Unary::Sqrt => "aclnnSqrt",
                Unary::Tanh => "aclnnTanh",
            },
            Call::Binary(binary, ..) => match binary {
                Binary::Add => "aclnnAdd",
                Binary::Div => "aclnnDiv",
                Binary::Eq => "aclnnEqTensor",
                Binary::Ge => "aclnnGeTensor",
                Binary::Gt => "aclnnGtTensor",
                Binary::Le => "aclnnLeTensor",
                Binary::LogicalAnd => "aclnnLogicalAnd",
                Binary::LogicalOr => "aclnnLogicalOr",
                Binary::Lt => "aclnnLtTensor",
                Binary::Maximum => "aclnnMaximum",
                Binary::Minimum => "aclnnMinimum",
                Binary::Mul => "aclnnMul",
                Binary::Ne => "aclnnNeTensor",
                Binary::Pow => "aclnnPowTensorTensor",
                Binary::Sub => "aclnnSub",
            },
            Call::InplaceMuls { .. } => "aclnnInplaceMuls",
            Call::EqScalar { .. } => "aclnnEqScalar",
            Call::SWhere { .. } => "aclnnSWhere",
            Call::Cast { .. } => "aclnnCast",
            Call::Matmul { .. } => "aclnnMatmul",
            Call::Addmm { .. } => "aclnnAddmm",
            Call::Softmax { .. } => "aclnnSoftmax",
            Call::LayerNorm { .. } => "aclnnLayerNorm",
            Call::Reduce { reduction, .. } => match reduction {
                Reduction::Sum => "aclnnReduceSum",
                Reduction::Mean => "aclnnMean",
                Reduction::Amax => "aclnnAmax",
                Reduction::Amin => "aclnnAmin",
            },
            Call::Permute { .. } => "aclnnPermute",
            Call::Copy { .. } => "aclnnInplaceCopy",
            Call::Slice { .. } => "aclnnSlice",
            Call::Cat { .. } => "aclnnCat",
            Call::Fill { .. } => "aclnnInplaceFillScalar",
            Call::Arange { .. } => "aclnnArange",
            Call::GatherV2 { .. } => "aclnnGatherV2",
            Call::IndexAdd { .. } => "aclnnIndexAdd",
        }
    }

    /// The views that it reads and writes, outputs last.
    pub fn views(&self) -> Vec<&View<P>> {
        match self {
            Call::Unary(_, x, out)
            | Call::EqScalar { x, out, .. }
            | Call::Cast { x, out }
            | Call::Softmax { x, out, .. }
            | Call::Reduce { x, out, .. }
            | Call::Permute { x, out, .. }
            | Call::Copy { from: x, to: out }
            | Call::Slice { x, out, .. } => vec![x, out],
            Call::Binary(_, [a, b], out)
            | Call::Matmul { a, b, out }
            | Call::GatherV2 { data: a, index: b, out, .. } => vec![a, b, out],
            Call::SWhere { condition, a, b, out } => vec![condition, a, b, out],
            Call::Addmm { bias, a, b, out } => vec![bias, a, b, out],
            Call::LayerNorm { x, gamma, beta, out, .. } => vec![x, gamma, beta, out],
            Call::IndexAdd { base, index, source, out, .. } => vec![base, index, source, out],
            Call::Cat { parts, out, .. } => parts.iter().chain([out]).collect(),
            Call::InplaceMuls { x, .. } => vec![x],
            Call::Fill { out, .. } | Call::Arange { out, .. } => vec![out],
        }
    }

    /// The same call with an address for each place.
    pub fn at<A>(&self, address: &dyn Fn(P) -> A) -> Call<A> {
        let of = |view: &View<P>| view.at(address);
        match self {
            Call::Unary(op, x, out) => Call::Unary(*op, of(x), of(out)),
            Call::Binary(op, [a, b], out) => Call::Binary(*op, [of(a), of(b)], of(out)),
            Call::InplaceMuls { x, factor } => Call::InplaceMuls { x: of(x), factor: *factor },
            Call::EqScalar { x, value, out } => Call::EqScalar { x: of(x), value: *value, out: of(out) },
            Call::SWhere { condition, a, b, out } => {
                Call::SWhere { condition: of(condition), a: of(a), b: of(b), out: of(out) }
            }
            Call::Cast { x, out } => Call::Cast { x: of(x), out: of(out) },
            Call::Matmul { a, b, out } => Call::Matmul { a: of(a), b: of(b), out: of(out) },
            Call::Addmm { bias, a, b, out } => {
                Call::Addmm { bias: of(bias), a: of(a), b: of(b), out: of(out) }
            }
            Call::Softmax { x, axis, out } => Call::Softmax { x: of(x), axis: *axis, out: of(out) },
            Call::LayerNorm { x, gamma, beta, epsilon, out } => Call::LayerNorm {
                x: of(x),
                gamma: of(gamma),
                beta: of(beta),
                epsilon: *epsilon,
                out: of(out),
            },
            Call::Reduce { reduction, x, axes, keep_axes, out } => Call::Reduce {
                reduction: *reduction,
                x: of(x),
                axes: axes.clone(),
                keep_axes: *keep_axes,
                out: of(out),
            },
            Call::Permute { x, permutation, out } => {
                Call::Permute { x: of(x), permutation: permutation.clone(), out: of(out) }
            }
            Call::Copy { from, to } => Call::Copy { from: of(from), to: of(to) },
            Call::Slice { x, axis, start, end, step, out } => {
                Call::Slice { x: of(x), axis: *axis, start: *start, end: *end, step: *step, out: of(out) }
            }
            Call::Cat { parts, axis, out } => {
                Call::Cat { parts: parts.iter().map(of).collect(), axis: *axis, out: of(out) }
            }
            Call::Fill { out, value } => Call::Fill { out: of(out), value: *value },
            Call::Arange { end, out } => Call::Arange { end: *end, out: of(out) },
            Call::GatherV2 { data, axis, index, out } => {
                Call::GatherV2 { data: of(data), axis: *axis, index: of(index), out: of(out) }
            }
            Call::IndexAdd { base, axis, index, source, out } => Call::IndexAdd {
                base: of(base),
                axis: *axis,
                index: of(index),
                source: of(source),
                out: of(out),
            },
        }
    }
}

/// An index whose every element must be in `0..rows`. The device does not look; the host does, before the step runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexCheck {
    /// The index, gapless.
    pub index: View,
    /// The rows there are.
    pub rows: usize,
}

/// The calls of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCalls {
    /// The node's name.
    pub node: String,
    /// Its op.
    pub op: String,
    /// Which of [`CallList::calls`].
    pub calls: Range<usize>,
    /// What must hold before they run.
    pub checks: Vec<IndexCheck>,
}

/// A compiled program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallList {
    /// What to do, in order.
    pub calls: Vec<Call>,
    /// Which calls belong to which step, in order.
    pub steps: Vec<StepCalls>,
}

/// A line per call: the node, the operator, and the views.
impl fmt::Display for CallList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            for call in &self.calls[step.calls.clone()] {
                let views = call
                    .views()
                    .iter()
                    .map(|view| format!("{}{:?}", view.dtype, view.dims))
                    .collect::<Vec<_>>();
                writeln!(f, "{} ({}): {} {}", step.node, step.op, call.symbol(), views.join(" "))?;
            }
        }
        Ok(())
    }
}
