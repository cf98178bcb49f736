//! Steps to closures: dtypes are matched, sizes read and weights packed once, when a program is compiled.

pub(crate) mod attention;
pub(crate) mod custom;
mod elementwise;
pub(crate) mod index;
mod movement;
mod norm;
pub(crate) mod product;
mod reduce;

use crate::memory::{Memory, Slot};
use crate::pool::Pool;
use custom::CustomKernel;
use lockstep_hal::graph::{ConstantKey, DType, HostTensor, Op};
use lockstep_hal::tensor::{AlignedBytes, Bytes};
use lockstep_hal::{Error, OperandId, Program, Result, Step, WeightCache};
use lockstep_kernels::Isa;
use lockstep_kernels::linear::{PackedWeights, PanelStorage};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A step ready to run on a run's memory.
pub(crate) type Launch = Box<dyn FnMut(&Memory<'_>) -> Result<()> + Send>;

/// What tells one packed weight from another: the weight, its bias, and how its panels are stored.
pub(crate) type WeightKey = (ConstantKey, Option<ConstantKey>, PanelStorage);

/// What compiling a program needs of its device.
pub(crate) struct Context<'a> {
    pub(crate) program: Arc<Program>,
    pub(crate) isa: Isa,
    pub(crate) pool: Arc<Pool>,
    pub(crate) weights: &'a WeightCache<WeightKey, PackedWeights>,
    pub(crate) custom: &'a BTreeMap<String, Arc<dyn CustomKernel>>,
}

/// A step's operands, as the closures need them.
pub(crate) struct StepPlan<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) step: &'a Step,
    pub(crate) isa: Isa,
    pub(crate) pool: Arc<Pool>,
    pub(crate) inputs: Vec<Slot>,
    pub(crate) output: Slot,
}

impl StepPlan<'_> {
    /// The extents of an input.
    pub(crate) fn shape(&self, input: usize) -> &[usize] {
        &self.operand(self.step.inputs[input]).shape
    }

    /// The dtype of an input.
    pub(crate) fn dtype(&self, input: usize) -> DType {
        self.operand(self.step.inputs[input]).dtype
    }

    /// The extents of the output.
    pub(crate) fn out_shape(&self) -> &[usize] {
        &self.operand(self.step.outputs[0]).shape
    }

    /// The dtype of the output.
    pub(crate) fn out_dtype(&self) -> DType {
        self.operand(self.step.outputs[0]).dtype
    }

    /// Whether the planner let the output take the input's memory.
    pub(crate) fn in_place(&self, input: usize) -> bool {
        self.inputs[input].is(&self.output)
    }

    /// The step's name, for errors.
    pub(crate) fn name(&self) -> String {
        self.step.name.clone()
    }

    /// The step's scratch.
    pub(crate) fn scratch(&self) -> Range<usize> {
        self.step.workspace.clone()
    }

    fn operand(&self, id: OperandId) -> &lockstep_hal::Operand {
        self.context.program.operand(id)
    }

    /// A step that the device never claimed.
    pub(crate) fn unclaimed(&self) -> Error {
        Error::program(format!(
            "{} ({}) was compiled for the CPU, which does not run it",
            self.step.name, self.step.op
        ))
    }
}

/// The closure of a step.
///
/// # Errors
/// [`Error::Program`] for a step that [`support`](crate::support) never claimed.
pub(crate) fn prepare(context: &Context<'_>, step: &Step) -> Result<Launch> {
    let slot = |&id: &OperandId| Slot::of(&context.program, id);
    let plan = StepPlan {
        context,
        step,
        isa: context.isa,
        pool: context.pool.clone(),
        inputs: step.inputs.iter().map(slot).collect(),
        output: step.outputs.first().map(slot).ok_or_else(|| Error::program("a step writes nothing"))?,
    };
    match &step.op {
        Op::Unary(op) => elementwise::unary(&plan, *op),
        Op::Binary(op) => elementwise::binary(&plan, *op),
        Op::Compare(op) => elementwise::compare(&plan, *op),
        Op::Select => elementwise::select(&plan),
        Op::Cast { .. } => elementwise::cast(&plan),
        Op::Gelu(form) => elementwise::gelu(&plan, *form),
        Op::MatMul => product::matmul(&plan),
        Op::Linear(parts) => product::linear(&plan, *parts),
        Op::Transpose { permutation } => movement::transpose(&plan, permutation),
        Op::Reshape { .. } => movement::copy(&plan),
        Op::Expand { .. } => movement::expand(&plan),
        Op::Slice { axis, start, step, .. } => movement::slice(&plan, *axis, *start, *step),
        Op::Concat { axis } => movement::concat(&plan, *axis),
        Op::Fill { dtype, value, .. } => movement::fill(&plan, *dtype, *value),
        Op::Iota { .. } => movement::iota(&plan),
        Op::Gather { axis } => index::gather(&plan, *axis),
        Op::IndexAdd { axis } => index::index_add(&plan, *axis),
        Op::Reduce { op, axes, .. } => reduce::reduce(&plan, *op, axes),
        Op::Softmax { .. } => norm::softmax(&plan),
        Op::LayerNorm { epsilon } => norm::layer_norm(&plan, *epsilon),
        Op::AddLayerNorm { epsilon } => norm::add_layer_norm(&plan, *epsilon),
        Op::Attention(attention) => attention::attention(&plan, attention),
        Op::Pool { kind, sequences } => attention::pool(&plan, *kind, *sequences),
        Op::EmbedLayerNorm { .. } => Err(plan.unclaimed()),
        Op::Custom(op) => custom::custom(&plan, op),
    }
}

/// A small float operand (gamma, beta, a bias) as f32: converted once if it is a constant, else at each run.
pub(crate) enum Floats {
    Ready(Arc<[f32]>),
    PerRun(Slot, DType),
}

impl Floats {
    pub(crate) fn of(plan: &StepPlan<'_>, input: usize) -> Result<Self> {
        match &plan.inputs[input] {
            Slot::Constant(tensor) => Ok(Floats::Ready(as_f32(tensor)?.into())),
            slot => Ok(Floats::PerRun(slot.clone(), plan.dtype(input))),
        }
    }

    pub(crate) fn get(&self, memory: &Memory<'_>) -> Result<Arc<[f32]>> {
        match self {
            Floats::Ready(values) => Ok(values.clone()),
            Floats::PerRun(slot, dtype) => {
                let bytes = AlignedBytes::copy_of(memory.read::<u8>(slot));
                let shape = [bytes.as_slice().len() / dtype.size()];
                Ok(as_f32(&HostTensor::from_bytes(*dtype, &shape, Bytes::owned(bytes))?)?.into())
            }
        }
    }
}

fn as_f32(tensor: &HostTensor) -> Result<Vec<f32>> {
    Ok(tensor.cast(DType::F32)?.as_slice::<f32>()?.to_vec())
}

/// Runs `$body` with `$T` as the Rust type of a float dtype the kernels compute on, or `$other`.
macro_rules! with_float {
    ($dtype:expr, $T:ident => $body:expr, else $other:expr) => {
        match $dtype {
            lockstep_hal::graph::DType::F32 => {
                type $T = f32;
                $body
            }
            lockstep_hal::graph::DType::F16 => {
                type $T = half::f16;
                $body
            }
            lockstep_hal::graph::DType::Bf16 => {
                type $T = half::bf16;
                $body
            }
            _ => $other,
        }
    };
}
pub(crate) use with_float;

/// Runs `$body` with `$T` as an unsigned type of a dtype's size, for ops that only move elements.
macro_rules! with_size {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $T = u8;
                $body
            }
            2 => {
                type $T = u16;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u64;
                $body
            }
        }
    };
}
pub(crate) use with_size;
