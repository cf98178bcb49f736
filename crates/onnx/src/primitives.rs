//! Every primitive as standard ONNX nodes, some of several with constants of their own.

use crate::attributes::{int, tensor, text};
use crate::function::Body;
use crate::standard::operator;
use lockstep_graph::{CompareOp, DType, Dim, HostTensor, Op, TensorType};

/// Adds the nodes of a primitive and gives the name of its result. `None` for what is no primitive, has extents that are
/// not known, or is larger than ONNX can say.
pub(crate) fn write_primitive(
    body: &mut Body,
    op: &Op,
    operands: &[&str],
    types: &[&TensorType],
) -> Option<String> {
    if let Some((operator, attributes)) = operator(op) {
        return Some(body.node(operator, operands, attributes));
    }
    Some(match op {
        Op::Compare(CompareOp::Ne) => {
            let equal = body.node("Equal", operands, vec![]);
            body.node("Not", &[&equal], vec![])
        }
        Op::Reshape { shape } => {
            let shape = body.numbers(&extents(shape)?)?;
            reshape(body, operands[0], &shape)
        }
        Op::Expand { shape } => {
            let shape = body.numbers(&extents(shape)?)?;
            body.node("Expand", &[operands[0], &shape], vec![])
        }
        Op::Slice { axis, start, step, length } => {
            let last = length.as_const()?.checked_sub(1);
            let end = match last {
                Some(last) => last.checked_mul(*step)?.checked_add(*start)?.checked_add(1)?,
                None => *start,
            };
            let mut numbers = Vec::new();
            for number in [*start, end, *axis, *step] {
                numbers.push(body.numbers(&[i64::try_from(number).ok()?])?);
            }
            let [start, end, axis, step] = &numbers[..] else { return None };
            body.node("Slice", &[operands[0], start, end, axis, step], vec![])
        }
        Op::IndexAdd { axis } => index_add(body, *axis, operands, types)?,
        // Without axes nothing is combined; ONNX would take them all.
        Op::Reduce { axes, .. } if axes.is_empty() => body.node("Identity", operands, vec![]),
        Op::Reduce { axes, keep_axes, .. } => {
            let axes = body.numbers(&axes.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?;
            body.node(op.name(), &[operands[0], &axes], vec![int("keepdims", (*keep_axes).into())])
        }
        // ConstantOfShape's shape inference gives a scalar an axis.
        Op::Fill { dtype, value, shape } if shape.is_empty() => {
            body.constant(&HostTensor::from_f64(*dtype, &[], &[*value]).ok()?)
        }
        Op::Fill { dtype, value, shape } => {
            let shape = body.numbers(&extents(shape)?)?;
            let value = HostTensor::from_f64(*dtype, &[1], &[*value]).ok()?;
            // In this version of the operators it knows no bf16.
            let known = if *dtype == DType::Bf16 { value.cast(DType::F32).ok()? } else { value };
            let filled = body.node("ConstantOfShape", &[&shape], vec![tensor("value", &known)]);
            if known.dtype() == *dtype {
                return Some(filled);
            }
            body.cast(&filled, *dtype)
        }
        Op::Iota { length } => {
            let length = i64::try_from(length.as_const()?).ok()?;
            let [first, end, step] = [0, length, 1].map(|number| body.constant(&HostTensor::scalar(number)));
            body.node("Range", &[&first, &end, &step], vec![])
        }
        _ => return None,
    })
}

fn extents(shape: &[Dim]) -> Option<Vec<i64>> {
    shape.iter().map(|dim| i64::try_from(dim.as_const()?).ok()).collect()
}

fn reshape(body: &mut Body, x: &str, shape: &str) -> String {
    // Without `allowzero` an extent of 0 would mean the input's.
    body.node("Reshape", &[x, shape], vec![int("allowzero", 1)])
}

/// ScatterElements wants an index for every element: ours, the same all along the other axes.
fn index_add(body: &mut Body, axis: usize, operands: &[&str], types: &[&TensorType]) -> Option<String> {
    let [base, index, source] = operands else { return None };
    let whole = extents(&types[2].shape)?;
    let along: Vec<i64> =
        whole.iter().enumerate().map(|(at, &extent)| if at == axis { extent } else { 1 }).collect();
    let (along, whole) = (body.numbers(&along)?, body.numbers(&whole)?);
    let index = body.cast(index, DType::I64);
    let index = reshape(body, &index, &along);
    let index = body.node("Expand", &[&index, &whole], vec![]);
    let attributes = vec![int("axis", axis as i64), text("reduction", "add")];
    Some(body.node("ScatterElements", &[base, &index, source], attributes))
}
