//! Products: a half-precision Linear is one kernel on tensor cores where its rows allow it; any other product is the library's, the
//! sums in f32, with what follows them in a kernel that rounds once.

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

/// Whether `linear_mma.cu` has a kernel for factors of these dtypes and `k` columns: it copies rows by 16 bytes.
fn fits_tensor_cores(x: DType, weight: DType, k: usize) -> bool {
    x == weight && x != DType::F32 && k.is_multiple_of(16 / x.size())
}

/// Rows and columns of a block of `linear_mma.cu`, and its threads.
struct Tile {
    rows: usize,
    columns: usize,
    threads: usize,
}

impl Tile {
    /// The large one reads each factor less often; the small one is for products that would leave processors idle with it. A row has
    /// the same bits in both.
    fn of(m: usize, n: usize) -> Self {
        let large = Tile { rows: 128, columns: 128, threads: 256 };
        // As many as an A100 has processors.
        if m.div_ceil(large.rows) * n.div_ceil(large.columns) >= 108 {
            large
        } else {
            Tile { rows: 32, columns: 64, threads: 128 }
        }
    }

    /// Three tiles of 32 columns of both factors.
    fn shared_bytes(&self, element: usize) -> usize {
        3 * 32 * (self.rows + self.columns) * element
    }
}

/// Bytes of scratch of a Linear: the sums where the output is not f32 itself, and factors and bias in other dtypes.
pub(crate) fn linear_scratch(query: &OpQuery<'_>) -> Option<usize> {
    let elements = |at: usize| Some(query.inputs.get(at)?.fixed_shape()?.iter().product::<usize>());
    let dtype = |at: usize| Some(query.inputs.get(at)?.dtype);
    let (x, weight) = (dtype(0)?, dtype(1)?);
    let out: usize = query.outputs.first()?.fixed_shape()?.iter().product();
    let common = common(x, weight);
    let k = *query.inputs.get(1)?.fixed_shape()?.last()?;
    let sums = if fits_tensor_cores(x, weight, k) { 0 } else { widened(x, DType::F32, out) };
    let bias = match query.op {
        lockstep_hal::graph::Op::Linear(parts) if parts.bias => widened(dtype(2)?, DType::F32, elements(2)?),
        _ => 0,
    };
    Some(sums + widened(x, common, elements(0)?) + widened(weight, common, elements(1)?) + bias)
}

pub(super) fn linear(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Result<()> {
    let (x, weight, out) = (plan.input(0), plan.input(1), plan.output()?);
    let &[n, k] = weight.shape.as_slice() else { return Err(unclaimed(plan.step)) };
    if count(out) == 0 {
        return Ok(());
    }
    if fits_tensor_cores(x.dtype, weight.dtype, k) {
        return on_tensor_cores(plan, parts, [count(out) / n, n, k]);
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
    if sums == target && !parts.bias && !parts.residual && parts.activation.is_none() {
        return Ok(());
    }
    let (bias, residual) = (bias(plan, parts)?, residual(plan, parts));
    epilogue(plan, sums, bias, residual, n, activation(parts))
}

fn on_tensor_cores(plan: &mut StepPlan<'_, '_>, parts: Linear, [m, n, k]: [usize; 3]) -> Result<()> {
    let dtype = plan.input(0).dtype;
    let tile = Tile::of(m, n);
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        pointer(bias(plan, parts)?),
        pointer(residual(plan, parts)),
        pointer(plan.output_place()?),
        number(m),
        number(n),
        number(k),
        Argument::U32(activation(parts)),
    ];
    let kernel = format!("linear_mma_{}x{}_{dtype}", tile.rows, tile.columns);
    let grid = [m.div_ceil(tile.rows), n.div_ceil(tile.columns)];
    plan.launch(kernel, grid, tile.threads, tile.shared_bytes(dtype.size()), arguments)
}

fn bias(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Result<Place> {
    if parts.bias { plan.input_as(2, DType::F32) } else { Ok(Place::Null) }
}

fn residual(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Place {
    let last = plan.step.inputs.len() - 1;
    if parts.residual { plan.input_place(last) } else { Place::Null }
}

/// `Activation` of `activation.cuh`.
fn activation(parts: Linear) -> u32 {
    match parts.activation {
        None => 0,
        Some(Activation::Gelu(GeluForm::Erf)) => 1,
        Some(Activation::Gelu(GeluForm::Tanh)) => 2,
        Some(Activation::Tanh) => 3,
    }
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
