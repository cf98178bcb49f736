//! What candle runs, and why not the rest.

use lockstep_hal::graph::{BinaryOp, Op, ReduceOp, Sequences, UnaryOp};
use lockstep_hal::tensor::DType;
use lockstep_hal::{Claim, OpQuery, Rule, Support};

/// Whether and how candle runs an op.
pub(crate) fn support(query: &OpQuery<'_>) -> Support {
    if query.inputs.iter().copied().chain(query.outputs).any(|ty| ty.dtype == DType::I8) {
        return Support::no("candle has no i8 tensors; store these values as i32");
    }
    match query.op {
        Op::Cast { .. }
        | Op::Compare(_)
        | Op::Select
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. }
        | Op::Unary(UnaryOp::Not)
        | Op::Binary(BinaryOp::And | BinaryOp::Or) => native(query),
        Op::Binary(BinaryOp::Pow) => Support::no(
            "candle computes a power as exp(b ln a), which fails for negative bases; use the cpu backend",
        ),
        // No arithmetic is done, so nothing can overflow.
        Op::Binary(BinaryOp::Max | BinaryOp::Min) | Op::Reduce { op: ReduceOp::Max | ReduceOp::Min, .. } => {
            if output_dtype(query).is_integer() {
                native(query)
            } else {
                computes(query)
            }
        }
        Op::EmbedLayerNorm { .. } | Op::Pool { sequences: Sequences::Dense | Sequences::KeyMask, .. } => {
            match computes(query) {
                Support::Native(_) => Support::Rewrite(Rule::Decompose),
                refusal => refusal,
            }
        }
        Op::Unary(_)
        | Op::Binary(_)
        | Op::MatMul
        | Op::IndexAdd { .. }
        | Op::Reduce { .. }
        | Op::Softmax { .. }
        | Op::LayerNorm { .. }
        | Op::AddLayerNorm { .. }
        | Op::Gelu(_)
        | Op::Linear(_)
        | Op::Attention(_)
        | Op::Pool { sequences: Sequences::Ends, .. } => computes(query),
        Op::Custom(custom) => Support::no(format!(
            "candle has no op `{}`; allow its decomposition, or run it on the reference backend",
            custom.name()
        )),
    }
}

fn output_dtype(query: &OpQuery<'_>) -> DType {
    query.outputs.first().map_or(DType::F32, |ty| ty.dtype)
}

fn native(query: &OpQuery<'_>) -> Support {
    let wide = output_dtype(query) == DType::F64;
    Support::Native(Claim::fixed(if wide { DType::F64 } else { DType::F32 }))
}

fn computes(query: &OpQuery<'_>) -> Support {
    match output_dtype(query) {
        DType::F32 | DType::F64 => native(query),
        dtype if dtype.is_float() => Support::no(format!(
            "candle would round after every step of {dtype} arithmetic; cast to f32 (weights may stay {dtype})"
        )),
        dtype => Support::no(format!(
            "candle does not promise that {dtype} arithmetic wraps (it panics in debug builds); use the cpu backend"
        )),
    }
}
