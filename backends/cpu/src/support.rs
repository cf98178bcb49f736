//! What the CPU runs, on which dtypes, in place or not, with how much scratch.

use crate::device::CpuDevice;
use crate::kernels::attention::attention_scratch;
use crate::kernels::index::index_add_scratch;
use crate::kernels::product::{linear_scratch, matmul_scratch};
use lockstep_hal::graph::{BinaryOp, DType, Op, Operands, ReduceOp, Sequences, UnaryOp};
use lockstep_hal::{Claim, OpQuery, Rule, Support};
use lockstep_kernels::Parallel;

const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];

pub(crate) fn support(device: &CpuDevice, query: &OpQuery<'_>) -> Support {
    let input = |at: usize| query.inputs.get(at).map(|ty| ty.dtype);
    let x = input(0).or(query.outputs.first().map(|ty| ty.dtype)).unwrap_or(DType::F32);
    let float = FLOATS.contains(&x);
    let native = Support::Native(Claim::fixed(DType::F32));
    let when = |holds: bool, answer: Support| if holds { answer } else { refuse(x) };
    match query.op {
        Op::Unary(UnaryOp::Not) => when(x == DType::Bool, in_place(query, 0)),
        Op::Unary(_) => when(float, in_place(query, 0)),
        Op::Binary(BinaryOp::And | BinaryOp::Or) => when(x == DType::Bool, native),
        Op::Binary(_) => when(float || matches!(x, DType::I64 | DType::I32), native),
        Op::Compare(_) => when(float || matches!(x, DType::I64 | DType::I32 | DType::Bool), native),
        Op::Cast { to } => {
            let known = |dtype: DType| !matches!(dtype, DType::I8 | DType::U8);
            when(known(x), if known(*to) { native } else { refuse(*to) })
        }
        Op::Select
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. } => native,
        Op::IndexAdd { axis } => when(float, index_add(query, *axis)),
        Op::Reduce { op, .. } => when(float || (matches!(x, DType::I64) && *op != ReduceOp::Mean), native),
        Op::Softmax { axis } => {
            let last = query.inputs.first().is_some_and(|ty| axis + 1 == ty.shape.len());
            when(float, if last { native } else { Support::Rewrite(Rule::Decompose) })
        }
        Op::LayerNorm { .. } | Op::AddLayerNorm { .. } => when(float, native),
        // It has no kernel of its own here.
        Op::EmbedLayerNorm { .. } => when(float, Support::Rewrite(Rule::Decompose)),
        Op::Gelu(_) => when(float, in_place(query, 0)),
        Op::MatMul => when(float, with_scratch(matmul_f32(device, query))),
        Op::Linear(_) => when(float, with_scratch(linear_f32(device, query))),
        Op::Attention(_) => when(float, with_scratch(attention_f32(device, query))),
        Op::Pool { .. } => when(float, native),
        Op::Custom(custom) => match device.custom.get(custom.name()) {
            Some(kernel) => {
                let dtypes: Vec<DType> = query.inputs.iter().map(|ty| ty.dtype).collect();
                if kernel.supports(&dtypes) {
                    native
                } else {
                    Support::no("the custom kernel does not take these dtypes")
                }
            }
            None => Support::no(format!(
                "no kernel for `{}`; give one to CpuBackend::builder().custom_kernel(..)",
                custom.name()
            )),
        },
    }
}

fn refuse(dtype: DType) -> Support {
    Support::no(match dtype {
        DType::F64 => "the CPU computes in f32; cast to f32, or use the reference backend for f64".to_owned(),
        other => format!("the CPU has no kernel of this op for {other}; cast the operands to f32 or i64"),
    })
}

/// A kernel that may overwrite an input of the output's type.
fn in_place(query: &OpQuery<'_>, input: usize) -> Support {
    let claim = Claim::fixed(DType::F32);
    let alike = query.inputs.get(input).zip(query.outputs.first()).is_some_and(|(a, b)| **a == *b);
    Support::Native(if alike { claim.aliasing(input, 0) } else { claim })
}

fn index_add(query: &OpQuery<'_>, axis: usize) -> Support {
    let extents = |at: usize| query.inputs.get(at).and_then(|ty| ty.fixed_shape());
    let values =
        extents(0).zip(extents(1)).map_or(0, |(base, index)| index_add_scratch(&base, axis, index[0]));
    Support::Native(Claim::fixed(DType::F32).aliasing(0, 0).with_workspace(values * size_of::<u32>()))
}

/// A kernel with that many f32 of scratch; none while extents are unknown.
fn with_scratch(values: Option<usize>) -> Support {
    Support::Native(Claim::fixed(DType::F32).with_workspace(values.unwrap_or(0) * size_of::<f32>()))
}

fn linear_f32(device: &CpuDevice, query: &OpQuery<'_>) -> Option<usize> {
    let x = query.inputs.first()?.fixed_shape()?;
    let (k, rows) = x.split_last()?;
    let m = rows.iter().product();
    let (x, weight) = (query.inputs.first()?.dtype, query.inputs.get(1)?.dtype);
    Some(linear_scratch(device.isa, x, weight, [m, *k], device.pool.threads()))
}

fn matmul_f32(device: &CpuDevice, query: &OpQuery<'_>) -> Option<usize> {
    let (a, b, out) = (
        query.inputs.first()?.fixed_shape()?,
        query.inputs.get(1)?.fixed_shape()?,
        query.outputs.first()?.fixed_shape()?,
    );
    Some(matmul_scratch(device.isa, &a, &b, &out, device.pool.threads()))
}

fn attention_f32(device: &CpuDevice, query: &OpQuery<'_>) -> Option<usize> {
    let Op::Attention(attention) = query.op else { return None };
    let keys = query.inputs.get(if attention.operands == Operands::Merged { 0 } else { 1 })?.fixed_shape()?;
    let hidden = *query.outputs.first()?.fixed_shape()?.last()?;
    // Packed sequences may be as long as all tokens together.
    let longest = if attention.sequences == Sequences::Ends { keys[0] } else { *keys.get(1)? };
    Some(attention_scratch(device.isa, hidden / attention.heads, longest, device.pool.threads()))
}
