//! A sum of table rows and its LayerNorm.

use super::norm::{LAYER_NORM_ROWS, WARP, pieces};
use super::{StepPlan, THREADS, count, number, pointer};
use crate::launch::{Argument, Check, Place};
use lockstep_hal::graph::DType;
use lockstep_hal::{OpQuery, Result};

/// The tables that the kernel takes.
const TABLES: usize = 3;

/// Whether the kernel takes these tables and gives that output.
pub(crate) fn takes(query: &OpQuery<'_>) -> bool {
    let tables = query.inputs.len().saturating_sub(2).div_ceil(2);
    let Some((table, out)) = query.inputs.first().zip(query.outputs.first()) else { return false };
    let alike = (0..tables).all(|at| query.inputs[2 * at].dtype == table.dtype);
    tables <= TABLES && alike && (out.dtype == table.dtype || out.dtype == DType::F32)
}

pub(super) fn embed_layer_norm(plan: &mut StepPlan<'_, '_>, epsilon: f64) -> Result<()> {
    let last = plan.step.inputs.len() - 1;
    let (gamma, beta) = (plan.input_as(last - 1, DType::F32)?, plan.input_as(last, DType::F32)?);
    let (table, out) = (plan.input(0), plan.output()?);
    let (indices, width) = (count(plan.input(1)), table.shape[1]);
    let tables = (last - 1) / 2;
    if indices == 0 {
        return Ok(());
    }
    let (mut checked, mut picked) = (Vec::new(), Vec::new());
    for at in 0..TABLES {
        if at >= tables {
            let none = [pointer(Place::Null), Argument::U32(0), number(0)];
            checked.extend(none.clone());
            checked.push(pointer(Place::Null));
            picked.push(pointer(Place::Null));
            picked.extend(none);
            continue;
        }
        let rows = plan.input(2 * at).shape[0];
        let wide = u32::from(plan.input(2 * at + 1).dtype == DType::I64);
        let index = [pointer(plan.input_place(2 * at + 1)), Argument::U32(wide), number(rows)];
        checked.extend(index.clone());
        checked.push(pointer(plan.finding(Check::Index { rows })));
        picked.push(pointer(plan.input_place(2 * at)));
        picked.extend(index);
    }
    checked.push(number(indices));
    plan.launch("check_tables", [tables, 1], THREADS, 0, checked)?;
    if width == 0 {
        return Ok(());
    }
    picked.extend([
        pointer(gamma),
        pointer(beta),
        pointer(plan.output_place()?),
        number(indices),
        number(width),
        Argument::U32(pieces(width * table.dtype.size())),
        Argument::F32(epsilon as f32),
    ]);
    let kernel = format!("embed_layer_norm_{}_{}", table.dtype, out.dtype);
    plan.launch(kernel, [indices.div_ceil(LAYER_NORM_ROWS), 1], WARP * LAYER_NORM_ROWS, 0, picked)
}
