//! What the kernels run, on which dtypes, in place or not, with how much scratch.

use crate::kernels::attention::LARGEST_HEAD;
use crate::kernels::{embed, index, norm, product};
use lockstep_hal::graph::{Attention, BinaryOp, DType, Op, ReduceOp, UnaryOp};
use lockstep_hal::{Claim, OpQuery, Rule, Support};

const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];

pub(crate) fn support(query: &OpQuery<'_>) -> Support {
    let input = |at: usize| query.inputs.get(at).map(|ty| ty.dtype);
    let x = input(0).or(query.outputs.first().map(|ty| ty.dtype)).unwrap_or(DType::F32);
    let float = FLOATS.contains(&x);
    let native = Support::Native(Claim::fixed(DType::F32));
    let when = |holds: bool, answer: Support| if holds { answer } else { refuse(x) };
    match query.op {
        Op::Unary(UnaryOp::Not) => when(x == DType::Bool, in_place(query)),
        Op::Unary(_) | Op::Gelu(_) => when(float, in_place(query)),
        Op::Binary(BinaryOp::And | BinaryOp::Or) => when(x == DType::Bool, native),
        Op::Binary(_) => when(float || matches!(x, DType::I64 | DType::I32), native),
        Op::Compare(_) => when(float || matches!(x, DType::I64 | DType::I32 | DType::Bool), native),
        Op::Cast { .. }
        | Op::Select
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. } => native,
        Op::IndexAdd { .. } => {
            let claim = Claim::fixed(DType::F32).aliasing(0, 0);
            when(float, Support::Native(claim.with_workspace(index::index_add_scratch(query).unwrap_or(0))))
        }
        Op::Reduce { op, .. } => when(float || (x == DType::I64 && *op != ReduceOp::Mean), native),
        Op::Softmax { axis } => {
            let last = query.inputs.first().is_some_and(|ty| axis + 1 == ty.shape.len());
            when(float, if last { native } else { Support::Rewrite(Rule::Decompose) })
        }
        Op::LayerNorm { .. } | Op::AddLayerNorm { .. } => when(float, scratch(norm::scratch(query))),
        Op::EmbedLayerNorm { .. } => {
            let kernel = scratch(norm::scratch(query));
            when(float, if embed::takes(query) { kernel } else { Support::Rewrite(Rule::Decompose) })
        }
        Op::MatMul => when(float, native),
        Op::Linear(_) => when(float, scratch(product::linear_scratch(query))),
        Op::Attention(attention) => when(float, attend(query, attention)),
        Op::Pool { .. } => when(float, native),
        Op::Custom(custom) => Support::no(format!(
            "no CUDA kernel for `{}`; allow its decomposition, or run it on the cpu backend",
            custom.name()
        )),
    }
}

fn refuse(dtype: DType) -> Support {
    Support::no(match dtype {
        DType::F64 => {
            "CUDA computes in f32 here; cast to f32, or use the reference backend for f64".to_owned()
        }
        other => format!("there is no CUDA kernel of this op for {other}; cast the operands to f32 or i64"),
    })
}

/// A kernel that may overwrite its first input, where that is of the output's type.
fn in_place(query: &OpQuery<'_>) -> Support {
    let claim = Claim::fixed(DType::F32);
    let alike = query.inputs.first().zip(query.outputs.first()).is_some_and(|(a, b)| **a == *b);
    Support::Native(if alike { claim.aliasing(0, 0) } else { claim })
}

/// A kernel with that many bytes of scratch; none while extents are unknown.
fn scratch(bytes: Option<usize>) -> Support {
    Support::Native(Claim::fixed(DType::F32).with_workspace(bytes.unwrap_or(0)))
}

fn attend(query: &OpQuery<'_>, attention: &Attention) -> Support {
    let hidden = query.outputs.first().and_then(|ty| ty.shape.last()?.as_const());
    match hidden {
        Some(hidden) if hidden / attention.heads.max(1) > LARGEST_HEAD => Support::Rewrite(Rule::Decompose),
        _ => Support::Native(Claim::fixed(DType::F32)),
    }
}
