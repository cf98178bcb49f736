//! The definition of each primitive op. A composite never reaches this place: it runs by its decomposition.

mod cast;
mod custom;
mod elementwise;
mod indexed;
mod matmul;
mod movement;
mod reduce;

use crate::buffer::{ReferenceTensor, Values};
use crate::error;
use lockstep_hal::graph::Op;
use lockstep_hal::tensor::HostTensor;
use lockstep_hal::{Error, Operand, Result};

/// Runs an op on inputs that fit it and gives tensors of the outputs' dtypes and shapes.
pub(crate) fn run(
    node: &str,
    op: &Op,
    inputs: &[ReferenceTensor],
    outputs: &[&Operand],
) -> Result<Vec<ReferenceTensor>> {
    if let Op::Custom(custom) = op {
        return custom::run(node, custom, inputs, outputs);
    }
    let [output] = outputs else {
        return Err(Error::program(format!("{node}: {op} has one output, not {}", outputs.len())));
    };
    let values = values(node, op, inputs, output)?;
    Ok(vec![ReferenceTensor { dtype: output.dtype, shape: output.shape.clone(), values }])
}

fn values(node: &str, op: &Op, inputs: &[ReferenceTensor], output: &Operand) -> Result<Values> {
    let shape = &output.shape;
    match (op, inputs) {
        (Op::Unary(function), [x]) => {
            elementwise::unary(*function, x).ok_or_else(|| error::undefined(node, op, x.dtype))
        }
        (Op::Binary(function), [a, b]) => elementwise::binary(node, *function, a, b, shape)?
            .ok_or_else(|| error::undefined(node, op, a.dtype)),
        (Op::Compare(function), [a, b]) => {
            elementwise::compare(*function, a, b, shape).ok_or_else(|| error::undefined(node, op, a.dtype))
        }
        (Op::Select, [condition, a, b]) => elementwise::select(condition, a, b, shape)
            .ok_or_else(|| error::undefined(node, op, condition.dtype)),
        (Op::Cast { to }, [x]) => cast::cast(x, *to),
        (Op::MatMul, [a, b]) => {
            matmul::matmul(a, b, shape).ok_or_else(|| error::undefined(node, op, a.dtype))
        }
        (Op::Transpose { permutation }, [x]) => Ok(movement::transpose(x, permutation, shape)),
        (Op::Reshape { .. }, [x]) => Ok(x.values.clone()),
        (Op::Expand { .. }, [x]) => Ok(movement::expand(x, shape)),
        (Op::Slice { axis, start, step, .. }, [x]) => Ok(movement::slice(x, *axis, *start, *step, shape)),
        (Op::Concat { axis }, [_, ..]) => {
            movement::concat(inputs, *axis).ok_or_else(|| error::undefined(node, op, output.dtype))
        }
        (Op::Gather { axis }, [data, index]) => indexed::gather(node, data, index, *axis),
        (Op::IndexAdd { axis }, [base, index, source]) => {
            indexed::index_add(node, base, index, source, *axis)?
                .ok_or_else(|| error::undefined(node, op, base.dtype))
        }
        (Op::Reduce { op: how, axes, .. }, [x]) => {
            reduce::reduce(*how, x, axes, shape).ok_or_else(|| error::undefined(node, op, x.dtype))
        }
        (Op::Fill { dtype, value, .. }, []) => {
            let one = ReferenceTensor::from_host(&HostTensor::from_f64(*dtype, &[], &[*value])?)?;
            Ok(movement::expand(&one, shape))
        }
        (Op::Iota { .. }, []) => Ok(Values::integers((0..shape.iter().product::<usize>() as i64).collect())),
        _ => Err(Error::program(format!(
            "{node}: {op} has no kernel for {} inputs; decompose it",
            inputs.len()
        ))),
    }
}
