//! Products: with constant weights in packed panels, and of two runtime operands.

use super::{Launch, StepPlan, with_float};
use crate::memory::Slot;
use lockstep_hal::graph::{Activation, DType, GeluForm, HostTensor, Linear};
use lockstep_hal::tensor::{AlignedBytes, Bytes};
use lockstep_hal::{Location, Result};
use lockstep_kernels::Isa;
use lockstep_kernels::linear::{self as kernel, PackedWeights, PanelStorage};
use lockstep_kernels::matmul::{MatmulShape, matmul as matmul_kernel};
use std::sync::Arc;

/// How weights are stored in panels: as they are where x is half precision too, which halves the memory; as f32 where x
/// is f32, which is up to a sixth faster while the weights fit the last-level cache. The bits are the same either way.
fn storage_for(x: DType, weight: DType) -> PanelStorage {
    match (x, weight) {
        (DType::F32, _) => PanelStorage::F32,
        (_, DType::F16) => PanelStorage::F16,
        (_, DType::Bf16) => PanelStorage::Bf16,
        _ => PanelStorage::F32,
    }
}

/// f32 of scratch that a [`linear`] of `m` rows and `k` columns takes.
pub(crate) fn linear_scratch(isa: Isa, x: DType, weight: DType, [m, k]: [usize; 2], threads: usize) -> usize {
    kernel::linear_scratch_for(isa, storage_for(x, weight), m, k, threads)
}

pub(super) fn linear(plan: &StepPlan<'_>, parts: Linear) -> Result<Launch> {
    let activation = match parts.activation {
        None => kernel::Activation::None,
        Some(Activation::Gelu(GeluForm::Erf)) => kernel::Activation::GeluErf,
        Some(Activation::Gelu(GeluForm::Tanh)) => kernel::Activation::GeluTanh,
        Some(Activation::Tanh) => kernel::Activation::Tanh,
    };
    let weights = Weights::of(plan, parts.bias)?;
    let (pool, scratch) = (plan.pool.clone(), plan.scratch());
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    let residual = parts.residual.then(|| plan.inputs[plan.inputs.len() - 1].clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let packed = weights.get(memory)?;
        let residual = residual.as_ref().map(|slot| memory.read::<T>(slot));
        let (x, out) = (memory.read::<T>(&x), memory.write::<T>(&out));
        kernel::linear(pool.as_ref(), x, &packed, activation, residual, out, memory.scratch(&scratch));
        Ok(())
    })), else Err(plan.unclaimed()))
}

/// Weights packed when the program was compiled, or, where they are no constants, at each run.
enum Weights {
    Ready(Arc<PackedWeights>),
    PerRun { isa: Isa, storage: PanelStorage, weight: (Slot, DType, [usize; 2]), bias: Option<(Slot, DType)> },
}

impl Weights {
    fn of(plan: &StepPlan<'_>, has_bias: bool) -> Result<Self> {
        let &[n, k] = plan.shape(1) else { return Err(plan.unclaimed()) };
        let constant = |input: usize| match &plan.context.program.operand(plan.step.inputs[input]).location {
            Location::Constant(constant) => Some(constant),
            _ => None,
        };
        let bias = has_bias.then(|| constant(2));
        if let (Some(weight), None | Some(Some(_))) = (constant(1), bias) {
            let bias = bias.flatten();
            let storage = storage_for(plan.dtype(0), weight.tensor().dtype());
            let key = (weight.key(), bias.map(|bias| bias.key()), storage);
            let make = || packed(plan.isa, storage, weight.tensor(), [n, k], bias.map(|bias| bias.tensor()));
            return Ok(Weights::Ready(plan.context.weights.get_or_make(key, make)?));
        }
        let bias = has_bias.then(|| (plan.inputs[2].clone(), plan.dtype(2)));
        let storage = storage_for(plan.dtype(0), plan.dtype(1));
        let weight = (plan.inputs[1].clone(), plan.dtype(1), [n, k]);
        Ok(Weights::PerRun { isa: plan.isa, storage, weight, bias })
    }

    fn get(&self, memory: &crate::memory::Memory<'_>) -> Result<Arc<PackedWeights>> {
        match self {
            Weights::Ready(packed) => Ok(packed.clone()),
            Weights::PerRun { isa, storage, weight: (slot, dtype, [n, k]), bias } => {
                let tensor = |slot: &Slot, dtype: DType, shape: &[usize]| {
                    let bytes = Bytes::owned(AlignedBytes::copy_of(memory.read::<u8>(slot)));
                    HostTensor::from_bytes(dtype, shape, bytes)
                };
                let weight = tensor(slot, *dtype, &[*n, *k])?;
                let bias = bias.as_ref().map(|(slot, dtype)| tensor(slot, *dtype, &[*n])).transpose()?;
                Ok(Arc::new(packed(*isa, *storage, &weight, [*n, *k], bias.as_ref())?))
            }
        }
    }
}

fn packed(
    isa: Isa,
    storage: PanelStorage,
    weight: &HostTensor,
    [n, k]: [usize; 2],
    bias: Option<&HostTensor>,
) -> Result<PackedWeights> {
    let bias = bias.map(|bias| bias.cast(DType::F32)).transpose()?;
    let bias = bias.as_ref().map(|bias| bias.as_slice::<f32>()).transpose()?;
    with_float!(weight.dtype(), W => Ok(PackedWeights::pack(isa, storage, n, k, weight.as_slice::<W>()?, bias)), else {
        let weight = weight.cast(DType::F32)?;
        Ok(PackedWeights::pack(isa, storage, n, k, weight.as_slice::<f32>()?, bias))
    })
}

/// The batch extents and strides of a product's operands, in elements; 0 where an operand is broadcast.
struct BatchPlan {
    batch: Vec<usize>,
    a_strides: Vec<usize>,
    b_strides: Vec<usize>,
    sizes: [usize; 3],
}

impl BatchPlan {
    fn of(a: &[usize], b: &[usize], out: &[usize]) -> Self {
        let rank = out.len();
        let sizes = [out[rank - 2], a[a.len() - 1], out[rank - 1]];
        let strides = |shape: &[usize]| {
            let lead = rank - shape.len();
            let mut stride: usize = shape[shape.len() - 2..].iter().product();
            let mut strides = vec![0; rank - 2];
            for axis in (0..shape.len() - 2).rev() {
                if shape[axis] != 1 {
                    strides[lead + axis] = stride;
                }
                stride *= shape[axis];
            }
            strides
        };
        Self { batch: out[..rank - 2].to_vec(), a_strides: strides(a), b_strides: strides(b), sizes }
    }

    fn shape(&self) -> MatmulShape<'_> {
        let [m, k, n] = self.sizes;
        MatmulShape { batch: &self.batch, a_strides: &self.a_strides, b_strides: &self.b_strides, m, k, n }
    }
}

/// f32 of scratch that a [`matmul`] takes.
pub(crate) fn matmul_scratch(isa: Isa, a: &[usize], b: &[usize], out: &[usize], threads: usize) -> usize {
    lockstep_kernels::matmul::matmul_scratch(isa, &BatchPlan::of(a, b, out).shape(), threads)
}

pub(super) fn matmul(plan: &StepPlan<'_>) -> Result<Launch> {
    let batch = BatchPlan::of(plan.shape(0), plan.shape(1), plan.out_shape());
    let (isa, pool, scratch) = (plan.isa, plan.pool.clone(), plan.scratch());
    let (a, b, out) = (plan.inputs[0].clone(), plan.inputs[1].clone(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (a, b, out) = (memory.read::<T>(&a), memory.read::<T>(&b), memory.write::<T>(&out));
        matmul_kernel(isa, pool.as_ref(), &batch.shape(), a, b, out, memory.scratch(&scratch));
        Ok(())
    })), else Err(plan.unclaimed()))
}
