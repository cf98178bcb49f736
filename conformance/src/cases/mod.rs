//! Small, hostile cases for every op: empty axes, single elements, odd extents, broadcasting, duplicates, masked rows.
//!
//! Floats are given in f64 and stand for the dtype that a device is tested in; a float in another dtype is a weight that is
//! stored so. Integers and truth values are given as they are.

mod composite;
mod hostile;
mod positions;
mod primitive;
mod sizes;

use crate::one_op::Argument;
use crate::random::Random;
use lockstep_runtime::graph::{Constant, Dim, Op};
use lockstep_runtime::tensor::{DType, HostTensor};

/// One node to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it computes.
    pub op: Op,
    /// What on.
    pub inputs: Vec<HostTensor>,
    /// Inputs from this one on are constants of the graph; kernels prepare those differently.
    pub constants_from: usize,
}

impl Case {
    /// All operands are given at the run.
    pub fn new(op: Op, inputs: Vec<HostTensor>) -> Self {
        let constants_from = inputs.len();
        Self { op, inputs, constants_from }
    }

    /// Operands from that one on are constants of the graph.
    pub fn with_constants(op: Op, inputs: Vec<HostTensor>, constants_from: usize) -> Self {
        Self { op, inputs, constants_from }
    }

    /// The same with f64, which stands for the device's dtype, replaced by it.
    pub fn in_dtype(&self, dtype: DType) -> Case {
        let op = match &self.op {
            Op::Cast { to: DType::F64 } => Op::Cast { to: dtype },
            Op::Fill { dtype: DType::F64, value, shape } => {
                Op::Fill { dtype, value: *value, shape: shape.clone() }
            }
            Op::EmbedLayerNorm { dtype: DType::F64, epsilon } => {
                Op::EmbedLayerNorm { dtype, epsilon: *epsilon }
            }
            other => other.clone(),
        };
        let narrow = |x: &HostTensor| if x.dtype() == DType::F64 { stored(x, dtype) } else { x.clone() };
        Case { op, inputs: self.inputs.iter().map(narrow).collect(), constants_from: self.constants_from }
    }

    /// Its operands as a device gets them. Each call makes constants of their own.
    pub fn arguments(&self) -> Vec<Argument> {
        let argument = |(at, x): (usize, &HostTensor)| match at < self.constants_from {
            true => Argument::Given(x.clone()),
            false => Argument::Constant(Constant::new(x.clone())),
        };
        self.inputs.iter().enumerate().map(argument).collect()
    }

    /// What op on which dtypes and shapes.
    pub fn describe(&self) -> String {
        let types: Vec<String> =
            self.inputs.iter().map(|x| format!("{}{:?}", x.dtype(), x.shape())).collect();
        format!("{:?} of {}, constants from {}", self.op, types.join(", "), self.constants_from)
    }
}

/// Every case.
pub fn all() -> Vec<Case> {
    let mut cases = primitive::cases();
    cases.extend(composite::cases());
    cases.extend(hostile::cases());
    cases.extend(sizes::cases());
    cases.extend(positions::cases());
    cases
}

/// Names each kind of op once; without a wildcard, so that an op that is added must be named here, and has no case until it
/// gets one.
macro_rules! kinds {
    ($($pattern:pat => $name:literal),* $(,)?) => {
        /// The kind of an op, without its attributes.
        pub fn kind(op: &Op) -> &'static str {
            match op {
                $($pattern => $name),*
            }
        }

        /// Every kind.
        pub const KINDS: &[&str] = &[$($name),*];
    };
}

kinds! {
    Op::Unary(_) => "Unary",
    Op::Binary(_) => "Binary",
    Op::Compare(_) => "Compare",
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
    Op::Reduce { .. } => "Reduce",
    Op::Fill { .. } => "Fill",
    Op::Iota { .. } => "Iota",
    Op::Softmax { .. } => "Softmax",
    Op::LayerNorm { .. } => "LayerNorm",
    Op::AddLayerNorm { .. } => "AddLayerNorm",
    Op::EmbedLayerNorm { .. } => "EmbedLayerNorm",
    Op::Gelu(_) => "Gelu",
    Op::Linear(_) => "Linear",
    Op::Attention(_) => "Attention",
    Op::Pool { .. } => "Pool",
    Op::Custom(_) => "Custom",
}

/// Known extents.
pub fn dims(extents: &[usize]) -> Vec<Dim> {
    extents.iter().map(|&extent| Dim::from(extent)).collect()
}

/// Floats of the dtype under test.
pub fn floats(shape: &[usize], values: &[f64]) -> HostTensor {
    HostTensor::from_slice(shape, values).unwrap_or_else(|error| unreachable!("a case of ours: {error}"))
}

/// Integers, i64.
pub fn integers(shape: &[usize], values: &[i64]) -> HostTensor {
    HostTensor::from_slice(shape, values).unwrap_or_else(|error| unreachable!("a case of ours: {error}"))
}

/// Truth values.
pub fn truths(shape: &[usize], values: &[bool]) -> HostTensor {
    HostTensor::from_bools(shape, values).unwrap_or_else(|error| unreachable!("a case of ours: {error}"))
}

/// The same in another dtype.
pub fn stored(tensor: &HostTensor, dtype: DType) -> HostTensor {
    tensor.cast(dtype).unwrap_or_else(|error| unreachable!("a cast of a small tensor: {error}"))
}

/// A float tensor of values between `-scale` and `scale`.
pub fn random(random: &mut Random, shape: &[usize], scale: f64) -> HostTensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.value() * scale).collect();
    floats(shape, &values)
}
