//! Products: the sums in f32, then what follows them in one kernel that rounds once.

use super::{StepPlan, aligned, count, number, pointer};
use crate::error::unclaimed;
use crate::launch::{Argument, Command, Element, Place, Product};
use lockstep_hal::graph::{Activation, DType, GeluForm, Linear};
use lockstep_hal::{OpQuery, Result};
use lockstep_kernels::movement::{Dimension, Strided};

/// The dtype that both factors are brought to.
fn common(x: DType, weight: DType) -> DType {
    if x == weight { x } else { DType::F32 }
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F16 => Element::F16,
        DType::Bf16 => Element::Bf16,
        _ => Element::F32,
    }
}

/// Bytes that an operand takes as f32, if it is not.
fn widened(from: DType, to: DType, elements: usize) -> usize {
    if from == to { 0 } else { aligned(elements * size_of::<f32>()) }
}

/// Bytes of scratch of a Linear: the sums where the output is not f32 itself, and factors and bias in other dtypes.
pub(crate) fn linear_scratch(query: &OpQuery<'_>) -> Option<usize> {
    let elements = |at: usize| Some(query.inputs.get(at)?.fixed_shape()?.iter().product::<usize>());
    let dtype = |at: usize| Some(query.inputs.get(at)?.dtype);
    let (x, weight) = (dtype(0)?, dtype(1)?);
    let out: usize = query.outputs.first()?.fixed_shape()?.iter().product();
    let common = common(x, weight);
    let bias = match query.op {
        lockstep_hal::graph::Op::Linear(parts) if parts.bias => widened(dtype(2)?, DType::F32, elements(2)?),
        _ => 0,
    };
    Some(
        widened(x, DType::F32, out)
            + widened(x, common, elements(0)?)
            + widened(weight, common, elements(1)?)
            + bias,
    )
}

pub(super) fn linear(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Result<()> {
    let (x, weight, out) = (plan.input(0), plan.input(1), plan.output()?);
    let &[n, k] = weight.shape.as_slice() else { return Err(unclaimed(plan.step)) };
    if count(out) == 0 {
        return Ok(());
    }
    let common = common(x.dtype, weight.dtype);
    let target = plan.output_place()?;
    let sums = if x.dtype == DType::F32 { target } else { plan.scratch(count(out) * size_of::<f32>())? };
    let (a, b) = (plan.input_as(0, common)?, plan.input_as(1, common)?);
    push(
        plan,
        Product {
            element: element(common),
            m: count(out) / n,
            n,
            k,
            transposed: true,
            batch: 1,
            batch_strides: [0; 3],
            a,
            b,
            out: sums,
        },
    );
    let bias = if parts.bias { plan.input_as(2, DType::F32)? } else { Place::Null };
    let residual = if parts.residual { plan.input_place(plan.step.inputs.len() - 1) } else { Place::Null };
    if sums == target && !parts.bias && !parts.residual && parts.activation.is_none() {
        return Ok(());
    }
    // `Activation` of `epilogue.cu`.
    let activation = match parts.activation {
        None => 0,
        Some(Activation::Gelu(GeluForm::Erf)) => 1,
        Some(Activation::Gelu(GeluForm::Tanh)) => 2,
        Some(Activation::Tanh) => 3,
    };
    epilogue(plan, sums, bias, residual, n, activation)
}

fn epilogue(
    plan: &mut StepPlan<'_, '_>,
    sums: Place,
    bias: Place,
    residual: Place,
    width: usize,
    activation: u32,
) -> Result<()> {
    let out = plan.output()?;
    let arguments = vec![
        pointer(sums),
        pointer(bias),
        pointer(residual),
        pointer(plan.output_place()?),
        number(count(out)),
        number(width),
        Argument::U32(activation),
    ];
    plan.launch_elements(format!("linear_epilogue_{}", out.dtype), count(out), arguments)
}

/// A product, or zeros where there is nothing to sum.
fn push(plan: &mut StepPlan<'_, '_>, product: Product) {
    plan.push(if product.k == 0 {
        let bytes = product.batch * product.m * product.n * size_of::<f32>();
        Command::Zero { at: product.out, bytes }
    } else {
        Command::Product(product)
    });
}

/// Bytes of scratch of a MatMul: the sums, where the output is not f32 itself.
pub(crate) fn matmul_scratch(query: &OpQuery<'_>) -> Option<usize> {
    let out = query.outputs.first()?;
    Some(widened(out.dtype, DType::F32, out.fixed_shape()?.iter().product()))
}

pub(super) fn matmul(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let (a, b, out) = (plan.input(0), plan.input(1), plan.output()?);
    if count(out) == 0 {
        return Ok(());
    }
    let (rank, size) = (out.shape.len(), out.dtype.size());
    let (m, n, k) = (out.shape[rank - 2], out.shape[rank - 1], a.shape[a.shape.len() - 1]);
    let target = plan.output_place()?;
    let sums = if out.dtype == DType::F32 { target } else { plan.scratch(count(out) * size_of::<f32>())? };
    let (a_place, b_place) = (plan.input_place(0), plan.input_place(1));
    // Over the batch dimensions, in matrices.
    let batch = &out.shape[..rank - 2];
    let (a_batch, b_batch) = (&a.shape[..a.shape.len() - 2], &b.shape[..b.shape.len() - 2]);
    let walk = plan.strided(Strided::broadcast(batch, [a_batch, b_batch, batch]))?;
    let one = Dimension { length: 1, strides: [0; 3] };
    let (inner, outer) = walk.dimensions().split_last().unwrap_or((&one, &[]));
    let matrices = [m * k, k * n, m * n];
    // What one strided product cannot walk is several.
    for number in 0..outer.iter().map(|dimension| dimension.length).product::<usize>() {
        let mut at = [0; 3];
        let mut rest = number;
        for dimension in outer.iter().rev() {
            for (at, stride) in at.iter_mut().zip(dimension.strides) {
                *at += rest % dimension.length * stride;
            }
            rest /= dimension.length;
        }
        push(
            plan,
            Product {
                element: element(a.dtype),
                m,
                n,
                k,
                transposed: false,
                batch: inner.length,
                batch_strides: std::array::from_fn(|which| inner.strides[which] * matrices[which]),
                a: a_place.plus(at[0] * matrices[0] * size),
                b: b_place.plus(at[1] * matrices[1] * size),
                out: sums.plus(at[2] * matrices[2] * size_of::<f32>()),
            },
        );
    }
    if sums == target { Ok(()) } else { epilogue(plan, sums, Place::Null, Place::Null, n, 0) }
}
