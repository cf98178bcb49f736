//! What candle runs, and why not the rest.

use lockstep_hal::graph::{BinaryOp, Op, ReduceOp, Sequences, TensorType, UnaryOp, infer};
use lockstep_hal::tensor::DType;
use lockstep_hal::{Claim, Error, NodeReason, OpQuery, OperandId, Program, Result, Rule, Support};

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
        Op::Pool { sequences: Sequences::Dense | Sequences::KeyMask, .. } => match computes(query) {
            Support::Native(_) => Support::Rewrite(Rule::Decompose),
            refusal => refusal,
        },
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

/// Refuses a program with steps that are not native, all of them at once, or whose operands do not fit their ops.
///
/// # Errors
/// [`Error::Unsupported`] lists the steps; [`Error::Graph`] and [`Error::Program`] name the first that does not fit.
pub(crate) fn check(program: &Program, device: &str) -> Result<()> {
    let types = |ids: &[OperandId]| -> Vec<TensorType> {
        let operands = ids.iter().map(|&id| program.operand(id));
        operands.map(|operand| TensorType::fixed(operand.dtype, &operand.shape)).collect()
    };
    let mut nodes = Vec::new();
    for step in program.steps() {
        let (inputs, outputs) = (types(&step.inputs), types(&step.outputs));
        let inputs: Vec<&TensorType> = inputs.iter().collect();
        if infer(&step.name, &step.op, &inputs)? != outputs {
            return Err(Error::program(format!("{}: its outputs are not what {} gives", step.name, step.op)));
        }
        let (reason, tried) = match support(&OpQuery { op: &step.op, inputs: &inputs, outputs: &outputs }) {
            Support::Native(_) => continue,
            Support::Rewrite(rule) => {
                ("has no kernel here".to_owned(), format!("its {rule} was not applied"))
            }
            Support::No(reason) => (reason.to_string(), "no rewrite is declared".to_owned()),
        };
        nodes.push(NodeReason {
            node: step.name.clone(),
            op: step.op.to_string(),
            inputs: inputs.iter().map(ToString::to_string).collect(),
            reason,
            tried,
        });
    }
    if nodes.is_empty() { Ok(()) } else { Err(Error::Unsupported { device: device.to_owned(), nodes }) }
}
