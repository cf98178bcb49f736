//! What the oracle runs: primitives in f64, movement of any dtype, composites by their decomposition.

use lockstep_hal::graph::{Op, TensorType};
use lockstep_hal::tensor::DType;
use lockstep_hal::{Claim, OpQuery, Rule, Support};

/// Whether and how the oracle runs an op.
pub(crate) fn support(query: &OpQuery<'_>) -> Support {
    let native = Support::Native(Claim::fixed(DType::F64));
    match query.op {
        // Exact in every dtype: nothing is computed, or a single rounding is all there is.
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
        Op::Custom(custom) if custom.implementation().is_none() => Support::no(
            "its implementation was not given when the graph was read; hand it over with the graph",
        ),
        // Its reference gets f64 and its results are rounded to the dtypes it declares.
        Op::Custom(_) => native,
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::MatMul
        | Op::IndexAdd { .. }
        | Op::Reduce { .. } => computes(query.inputs.iter().copied(), native),
        // Weights may be stored in any dtype: the decomposition casts them to x's, the output's, first.
        Op::Softmax { .. }
        | Op::LayerNorm { .. }
        | Op::AddLayerNorm { .. }
        | Op::EmbedLayerNorm { .. }
        | Op::Gelu(_)
        | Op::Linear(_)
        | Op::Attention(_)
        | Op::Pool { .. } => computes(query.outputs.iter(), Support::Rewrite(Rule::Decompose)),
    }
}

fn computes<'a>(mut types: impl Iterator<Item = &'a TensorType>, otherwise: Support) -> Support {
    match types.find(|ty| ty.dtype.is_float() && ty.dtype != DType::F64) {
        Some(ty) => {
            Support::no(format!("the oracle computes in f64 only; cast {ty} to f64, or run the model in f64"))
        }
        None => otherwise,
    }
}
