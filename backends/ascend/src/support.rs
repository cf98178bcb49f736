//! What aclnn runs, by one operator or several, what is rewritten, and why not the rest.

use crate::kernels;
use crate::port::Port;
use lockstep_hal::graph::{BinaryOp, DType, Op, ReduceOp, Sequences, UnaryOp};
use lockstep_hal::{Claim, OpQuery, Rule, Support};

const FLOATS: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];
const SUMMED: [DType; 2] = [DType::I64, DType::I32];

/// The most axes that operators take, and that products take.
const MOST_AXES: usize = 8;
const MOST_AXES_OF_PRODUCTS: usize = 6;

pub(crate) fn support(query: &OpQuery<'_>, port: Port) -> Support {
    let types = || query.inputs.iter().copied().chain(query.outputs);
    if types().any(|ty| ty.dtype == DType::F64) {
        return Support::no("f64 is not for the AI cores; cast to f32, or use the reference backend");
    }
    let most = if *query.op == Op::MatMul { MOST_AXES_OF_PRODUCTS } else { MOST_AXES };
    if let Some(ty) = types().find(|ty| ty.shape.len() > most) {
        return Support::no(format!(
            "{} axes are more than the {most} that aclnn takes here",
            ty.shape.len()
        ));
    }
    let x = query.inputs.first().or(query.outputs.first().as_ref()).map_or(DType::F32, |ty| ty.dtype);
    let float = FLOATS.contains(&x);
    let integer = SUMMED.contains(&x);
    let when = |holds: bool| if holds { native(query, port) } else { refuse(query.op, x) };
    match query.op {
        Op::Unary(UnaryOp::Not) | Op::Binary(BinaryOp::And | BinaryOp::Or) => when(x == DType::Bool),
        Op::Unary(UnaryOp::Neg | UnaryOp::Abs) => when(float || integer),
        Op::Unary(_) | Op::Gelu(_) => when(float),
        Op::Binary(BinaryOp::Div) if !float => Support::no(
            "which of aclnnDivMod's modes truncates is not documented clearly enough to rely on; divide in f32",
        ),
        Op::Binary(BinaryOp::Pow) if !float => Support::no(
            "what aclnnPowTensorTensor does with negative integer powers is not documented; use f32",
        ),
        Op::Binary(_) => when(float || integer),
        Op::Compare(_) => when(float || integer || x == DType::Bool),
        Op::Cast { .. }
        | Op::Select
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. } => native(query, port),
        // In place, as index_add_ is called.
        Op::IndexAdd { .. } if port == Port::Naive && float => match native(query, port) {
            Support::Native(claim) => Support::Native(claim.aliasing(0, 0)),
            refusal => refusal,
        },
        Op::IndexAdd { .. } => when(float),
        Op::Reduce { op, .. } => when(float || (integer && *op != ReduceOp::Mean)),
        Op::Softmax { .. } | Op::LayerNorm { .. } | Op::MatMul => when(float),
        // In half precision each part rounds; so they are ops of their own there.
        Op::Linear(_) if x == DType::F32 => native(query, port),
        Op::Attention(attention) if attention.sequences != Sequences::Ends => when(float),
        Op::Linear(_)
        | Op::Attention(_)
        | Op::AddLayerNorm { .. }
        | Op::EmbedLayerNorm { .. }
        | Op::Pool { .. } => {
            if float {
                Support::Rewrite(Rule::Decompose)
            } else {
                refuse(query.op, x)
            }
        }
        Op::Custom(custom) => Support::no(format!(
            "no aclnn operator for `{}`; allow its decomposition, or run it on the cpu backend",
            custom.name()
        )),
    }
}

/// Out of place: an update in place is claimed by none.
fn native(query: &OpQuery<'_>, port: Port) -> Support {
    Support::Native(Claim::fixed(DType::F32).with_workspace(kernels::scratch(query, port)))
}

fn refuse(op: &Op, dtype: DType) -> Support {
    Support::no(format!("no aclnn operator of {op} is relied on for {dtype}; cast the operands to f32"))
}
