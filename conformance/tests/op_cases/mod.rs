//! Small, hostile cases for every op: empty axes, single elements, odd extents, broadcasting, duplicates, masked rows.
//!
//! Floats are given in f64 and stand for the dtype that a device is tested in; a float in another dtype is a weight that is
//! stored so. Integers and truth values are given as they are.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses its own part.

mod composite;
mod primitive;

use crate::folders::Random;
use lockstep_runtime::graph::{Dim, Op};
use lockstep_runtime::tensor::{DType, HostTensor};

/// One node to run.
#[derive(Clone, Debug)]
pub struct Case {
    pub op: Op,
    pub inputs: Vec<HostTensor>,
    /// Inputs from this one on are constants of the graph; kernels prepare those differently.
    pub constants_from: usize,
}

impl Case {
    pub fn new(op: Op, inputs: Vec<HostTensor>) -> Self {
        let constants_from = inputs.len();
        Self { op, inputs, constants_from }
    }

    pub fn with_constants(op: Op, inputs: Vec<HostTensor>, constants_from: usize) -> Self {
        Self { op, inputs, constants_from }
    }

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
    cases
}

/// Names each kind of op once; without a wildcard, so that an op that is added must be named here, and has no case until it
/// gets one.
macro_rules! kinds {
    ($($pattern:pat => $name:literal),* $(,)?) => {
        pub fn kind(op: &Op) -> &'static str {
            match op {
                $($pattern => $name),*
            }
        }

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
    Op::Gelu(_) => "Gelu",
    Op::Linear(_) => "Linear",
    Op::Attention(_) => "Attention",
    Op::Pool { .. } => "Pool",
    Op::Custom(_) => "Custom",
}

pub fn dims(extents: &[usize]) -> Vec<Dim> {
    extents.iter().map(|&extent| Dim::from(extent)).collect()
}

pub fn floats(shape: &[usize], values: &[f64]) -> HostTensor {
    HostTensor::from_slice(shape, values).expect("as many values as the shape holds")
}

pub fn integers(shape: &[usize], values: &[i64]) -> HostTensor {
    HostTensor::from_slice(shape, values).expect("as many values as the shape holds")
}

pub fn truths(shape: &[usize], values: &[bool]) -> HostTensor {
    HostTensor::from_bools(shape, values).expect("as many values as the shape holds")
}

pub fn stored(tensor: &HostTensor, dtype: DType) -> HostTensor {
    tensor.cast(dtype).expect("a cast of a small tensor")
}

/// A float tensor of values between `-scale` and `scale`.
pub fn random(random: &mut Random, shape: &[usize], scale: f64) -> HostTensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.value() * scale).collect();
    floats(shape, &values)
}
