//! Ways to compute an op on the host: honest ones, which differ in order and formula, and wrong ones.
//!
//! Honest recipes are what a judge must never accuse; faulty ones are what it must not miss, and the hypotheses by which a
//! guilty op is explained. They compute in f32 as an accelerator with f32 accumulation would, element by element, and are
//! written apart from every backend.

mod attention;
mod elementwise;
mod fault;
mod index;
mod linear;
mod norm;
mod order;
mod reduce;
mod softmax;

pub use fault::Fault;
pub use order::Order;

use half::{bf16, f16};
use lockstep_runtime::graph::Op;
use lockstep_runtime::tensor::{DType, HostTensor};

/// One way to compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// In which order sums are taken.
    pub order: Order,
    /// Whether products are added with one rounding.
    pub fma: bool,
    /// Whether the other of two equivalent formulas is used: Welford's for two passes, online softmax, division for
    /// multiplication by a reciprocal.
    pub other_formula: bool,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

impl Recipe {
    /// From the first term to the last, each product rounded, textbook formulas.
    pub const PLAIN: Recipe = Recipe { order: Order::Forward, fma: false, other_formula: false, fault: None };

    /// The plain recipe with a fault.
    pub fn faulty(fault: Fault) -> Self {
        Recipe { fault: Some(fault), ..Self::PLAIN }
    }

    /// Whether it has that fault.
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The op's one output in `storage`, from operands as a device stores them. `None` for an op that no recipe computes, or
    /// operands that do not fit it.
    pub fn run(&self, op: &Op, inputs: &[HostTensor], storage: DType) -> Option<HostTensor> {
        let (shape, values) = match op {
            Op::LayerNorm { epsilon } => norm::layer_norm(self, &inputs[0], None, &inputs[1..], *epsilon)?,
            Op::AddLayerNorm { epsilon } => {
                norm::layer_norm(self, &inputs[0], Some(&inputs[1]), &inputs[2..], *epsilon)?
            }
            Op::EmbedLayerNorm { epsilon, .. } => {
                let (pairs, affine) = inputs.split_at_checked(inputs.len().checked_sub(2)?)?;
                let sum = index::sum_of_rows(self, pairs)?;
                norm::layer_norm(self, &sum, None, affine, *epsilon)?
            }
            Op::Gelu(form) => elementwise::gelu(self, &inputs[0], *form),
            Op::Unary(function) if storage.is_float() => elementwise::unary(self, &inputs[0], *function)?,
            Op::Linear(parts) => linear::linear(self, parts, inputs)?,
            Op::MatMul => linear::matmul(self, &inputs[0], &inputs[1])?,
            Op::Softmax { axis } => softmax::softmax(self, &inputs[0], *axis)?,
            Op::Attention(attention) => attention::attention(self, attention, inputs)?,
            Op::IndexAdd { axis } if storage.is_float() => index::index_add(self, inputs, *axis)?,
            Op::Cast { to } if to.is_float() => (inputs[0].shape().to_vec(), inputs[0].to_f64()),
            Op::Gather { axis } => index::gather(self, &inputs[0], &inputs[1], *axis)?,
            Op::Reduce { op, axes, keep_axes } if storage.is_float() => {
                reduce::reduce(self, &inputs[0], *op, axes, *keep_axes)?
            }
            _ => return None,
        };
        let mut stored = HostTensor::from_f64(storage, &shape, &values).ok()?;
        if self.has(Fault::StoredTruncated) {
            stored = truncated(&stored, &values)?;
        }
        Some(self.stored(stored))
    }

    /// What storing does to a result, whatever computed it.
    pub fn stored(&self, result: HostTensor) -> HostTensor {
        match self.fault {
            Some(fault) if result.dtype().is_float() => fault.on_store(&result).unwrap_or(result),
            _ => result,
        }
    }
}

/// The `nearest` stored numbers moved to the next toward zero where they lie beyond the `exact` ones.
fn truncated(nearest: &HostTensor, exact: &[f64]) -> Option<HostTensor> {
    let dtype = nearest.dtype();
    let unit = crate::bounds::unit_roundoff(dtype);
    let toward_zero = nearest.to_f64().into_iter().zip(exact).map(|(near, x)| {
        // Between half a spacing and one and a half, at either end of a binade: rounds to the neighbour.
        if near.abs() > x.abs() { near * (1.0 - 1.25 * unit) } else { near }
    });
    HostTensor::from_f64(dtype, nearest.shape(), &toward_zero.collect::<Vec<_>>()).ok()
}

/// A shape and its elements, before they are rounded to storage.
type Computed = (Vec<usize>, Vec<f64>);

/// A tensor's elements as f32, which holds every storage dtype below f64.
fn f32s(tensor: &HostTensor) -> Vec<f32> {
    tensor.to_f64().into_iter().map(|x| x as f32).collect()
}

/// `x` as a narrower format would hold it.
fn through(x: f32, dtype: DType) -> f32 {
    match dtype {
        DType::F16 => f16::from_f32(x).to_f32(),
        DType::Bf16 => bf16::from_f32(x).to_f32(),
        _ => x,
    }
}
