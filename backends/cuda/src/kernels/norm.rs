//! Ops over the last axis of rows: LayerNorm, with a residual or without, and softmax.

use super::{StepPlan, aligned, count, number, pointer};
use crate::launch::{Argument, Place};
use lockstep_hal::graph::{DType, Op};
use lockstep_hal::{OpQuery, Result};

/// Rows of a block of `layer_norm.cu` and of `softmax.cu`, a warp each.
pub(super) const LAYER_NORM_ROWS: usize = 4;
const SOFTMAX_ROWS: usize = 8;
pub(super) const WARP: usize = 32;
/// Vectors of 16 bytes that a lane of `layer_norm_row` holds at most.
const MOST_PIECES: usize = 4;

/// Bytes of scratch of a LayerNorm: gamma and beta as f32, where they are not.
pub(crate) fn scratch(query: &OpQuery<'_>) -> Option<usize> {
    let parameters = &query.inputs[query.inputs.len().checked_sub(2)?..];
    let bytes = parameters.iter().map(|ty| {
        let width: usize = ty.fixed_shape()?.iter().product();
        Some(if ty.dtype == DType::F32 { 0 } else { aligned(width * size_of::<f32>()) })
    });
    bytes.sum()
}

/// A row's width in packets of 16 bytes over 32, or 0 where it is no whole number that stays in registers.
pub(super) fn pieces(row_bytes: usize) -> u32 {
    let packets = WARP * 16;
    let fits = row_bytes.is_multiple_of(packets) && row_bytes / packets <= MOST_PIECES;
    if fits { (row_bytes / packets) as u32 } else { 0 }
}

pub(super) fn layer_norm(plan: &mut StepPlan<'_, '_>, epsilon: f64) -> Result<()> {
    let x = plan.input(0);
    let width = x.shape.last().copied().unwrap_or(1);
    let rows = count(x) / width.max(1);
    let residual = match plan.step.op {
        Op::AddLayerNorm { .. } => plan.input_place(1),
        _ => Place::Null,
    };
    let last = plan.step.inputs.len() - 1;
    let (gamma, beta) = (plan.input_as(last - 1, DType::F32)?, plan.input_as(last, DType::F32)?);
    if count(x) == 0 {
        return Ok(());
    }
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(residual),
        pointer(gamma),
        pointer(beta),
        pointer(plan.output_place()?),
        number(rows),
        number(width),
        Argument::U32(pieces(width * x.dtype.size())),
        Argument::F32(epsilon as f32),
    ];
    let grid = [rows.div_ceil(LAYER_NORM_ROWS), 1];
    plan.launch(format!("layer_norm_{}", x.dtype), grid, WARP * LAYER_NORM_ROWS, 0, arguments)
}

pub(super) fn softmax(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let x = plan.input(0);
    if count(x) == 0 {
        return Ok(());
    }
    let width = x.shape.last().copied().unwrap_or(1);
    let rows = count(x) / width;
    let arguments =
        vec![pointer(plan.input_place(0)), pointer(plan.output_place()?), number(rows), number(width)];
    let grid = [rows.div_ceil(SOFTMAX_ROWS), 1];
    plan.launch(format!("softmax_{}", x.dtype), grid, WARP * SOFTMAX_ROWS, 0, arguments)
}
