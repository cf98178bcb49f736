//! Each op by candle's own. Candle does not like tensors without elements; they are answered before it is asked.

mod attention;
mod composite;
mod elementwise;
mod indexed;
mod reduce;

use crate::buffer::{CandleTensor, candle_dtype};
use crate::error::Fault;
use candle_core::{Device, Tensor};
use lockstep_hal::graph::{Op, Sequences};
use lockstep_hal::tensor::{HostTensor, element_count};
use lockstep_hal::{Error, Operand};

type Result<T> = std::result::Result<T, Fault>;

/// Runs an op on inputs that fit it and gives a tensor of the output's dtype and shape.
pub(crate) fn run(node: &str, op: &Op, inputs: &[CandleTensor], output: &Operand) -> Result<CandleTensor> {
    let shape = output.shape.as_slice();
    indexed::check(node, op, inputs)?;
    if element_count(shape) == 0 {
        let dtype = candle_dtype(output.dtype).ok_or_else(|| no_kernel(node, op))?;
        return Ok(Tensor::zeros(shape, dtype, &Device::Cpu)?.into());
    }
    if let (Op::Reshape { .. }, [x]) = (op, inputs) {
        return x.reshaped(shape);
    }
    Ok(laid_out(&tensor(node, op, inputs, output)?)?.into())
}

/// The same, row-major. candle sums a strided tensor in another order, so an op's bits would depend on where its operand comes
/// from; and it takes an axis of extent 1 for contiguous whatever its stride is, and divides by that stride in extremes.
fn laid_out(x: &Tensor) -> Result<Tensor> {
    Ok(if x.stride().contains(&0) { x.force_contiguous()? } else { x.contiguous()? })
}

fn no_kernel(node: &str, op: &Op) -> Error {
    Error::program(format!("{node}: {op} has no kernel here"))
}

fn tensor(node: &str, op: &Op, inputs: &[CandleTensor], output: &Operand) -> Result<Tensor> {
    let shape = output.shape.as_slice();
    let tensors: Vec<&Tensor> = inputs.iter().map(|input| &input.tensor).collect();
    match (op, tensors.as_slice()) {
        (Op::Unary(function), [x]) => elementwise::unary(*function, x),
        (Op::Binary(function), [a, b]) => elementwise::binary(*function, a, b),
        (Op::Compare(function), [a, b]) => elementwise::compare(*function, a, b),
        (Op::Select, [condition, a, b]) => elementwise::select(condition, a, b, shape),
        (Op::Cast { to }, [x]) => elementwise::cast(x, *to),
        (Op::MatMul, [a, b]) => composite::matmul(a, b),
        (Op::Transpose { permutation }, [x]) => Ok(x.permute(permutation.as_slice())?),
        (Op::Expand { .. }, [x]) => Ok(x.broadcast_as(shape)?),
        (Op::Slice { axis, start, step, .. }, [x]) => indexed::slice(x, *axis, *start, *step, shape[*axis]),
        (Op::Concat { axis }, parts) => indexed::concat(parts, *axis),
        (Op::Gather { axis }, [data, index]) => indexed::gather(data, index, *axis, shape),
        (Op::IndexAdd { axis }, [base, index, source]) => indexed::index_add(base, index, source, *axis),
        (Op::Reduce { op, axes, .. }, [x]) => reduce::reduce(*op, x, axes, shape),
        (Op::Fill { dtype, value, .. }, []) => {
            let one = CandleTensor::from_host(&HostTensor::from_f64(*dtype, &[], &[*value])?)?;
            Ok(one.tensor.broadcast_as(shape)?)
        }
        (Op::Iota { .. }, []) => Ok(Tensor::arange(0, shape[0] as i64, &Device::Cpu)?),
        (Op::Softmax { axis }, [x]) => composite::softmax(x, *axis),
        (Op::LayerNorm { epsilon }, [x, ..]) => composite::layer_norm(x, &inputs[1], &inputs[2], *epsilon),
        (Op::AddLayerNorm { epsilon }, [x, residual, ..]) => {
            composite::layer_norm(&x.add(residual)?, &inputs[2], &inputs[3], *epsilon)
        }
        (Op::Gelu(form), [x]) => composite::gelu(x, *form),
        (Op::Linear(parts), [x, ..]) => composite::linear(parts, x, &inputs[1..], shape),
        (Op::Attention(attention), operands) => attention::attention(node, attention, operands),
        (Op::Pool { kind, sequences: Sequences::Ends }, [data, ends]) => {
            attention::pool(node, *kind, data, ends)
        }
        _ => Err(no_kernel(node, op).into()),
    }
}
