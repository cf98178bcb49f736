//! Ops that follow an index: gather, and index_add.

use super::{StepPlan, THREADS, aligned, around, count, number, pointer};
use crate::launch::{Argument, Check, Place};
use lockstep_hal::graph::DType;
use lockstep_hal::{Error, OpQuery, Operand, Result};

/// Bits of the key that a pass of `index_add_sort` takes.
const DIGIT_BITS: u32 = 4;

fn wide(index: &Operand) -> Argument {
    Argument::U32(u32::from(index.dtype == DType::I64))
}

/// Checks every index of input 1, and whether they ascend where that is wanted.
fn check(plan: &mut StepPlan<'_, '_>, rows: usize, is_sorted: Place) -> Result<()> {
    let index = plan.input(1);
    let finding = plan.finding(Check::Index { rows });
    let arguments = vec![
        pointer(plan.input_place(1)),
        wide(index),
        number(count(index)),
        number(rows),
        pointer(finding),
        pointer(is_sorted),
    ];
    plan.launch("check_indices", [1, 1], THREADS, 0, arguments)
}

pub(super) fn gather(plan: &mut StepPlan<'_, '_>, axis: usize) -> Result<()> {
    let (table, index, out) = (plan.input(0), plan.input(1), plan.output()?);
    let [_, rows, inner] = around(&table.shape, axis);
    if count(index) > 0 {
        check(plan, rows, Place::Null)?;
    }
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        wide(index),
        pointer(plan.output_place()?),
        number(count(out)),
        number(rows),
        number(count(index)),
        number(inner),
    ];
    plan.launch_elements(format!("gather_{}", out.dtype.size()), count(out), arguments)
}

/// Bytes of scratch of an index_add: whether the index ascends, then keys and positions, each twice.
pub(crate) fn index_add_scratch(query: &OpQuery<'_>) -> Option<usize> {
    let indices: usize = query.inputs.get(1)?.fixed_shape()?.iter().product();
    Some(aligned(size_of::<u32>()) + 2 * aligned(2 * indices * size_of::<u32>()))
}

pub(super) fn index_add(plan: &mut StepPlan<'_, '_>, axis: usize) -> Result<()> {
    let (base, index, out) = (plan.input(0), plan.input(1), plan.output()?);
    let [_, rows, inner] = around(&base.shape, axis);
    let indices = u32::try_from(count(index)).ok().zip(u32::try_from(rows).ok());
    let Some((indices, row_count)) = indices else {
        return Err(Error::program(format!("{}: takes at most 2^32 - 1 indices and rows", plan.step.name)));
    };
    let is_sorted = plan.scratch(size_of::<u32>())?;
    let pair = 2 * indices as usize * size_of::<u32>();
    let (keys, positions) = (plan.scratch(pair)?, plan.scratch(pair)?);
    check(plan, rows, is_sorted)?;
    // An even number of passes, so that the result is where the keys began.
    let passes = (u32::BITS - row_count.leading_zeros()).div_ceil(DIGIT_BITS).next_multiple_of(2);
    let arguments = vec![
        pointer(plan.input_place(1)),
        wide(index),
        Argument::U32(indices),
        Argument::U32(passes),
        pointer(is_sorted),
        pointer(keys),
        pointer(positions),
    ];
    plan.launch("index_add_sort", [1, 1], THREADS, 0, arguments)?;
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        wide(index),
        pointer(plan.input_place(2)),
        pointer(plan.output_place()?),
        number(count(out)),
        number(rows),
        Argument::U32(indices),
        number(inner),
        pointer(is_sorted),
        pointer(keys),
        pointer(positions),
    ];
    plan.launch_elements(format!("index_add_{}", base.dtype), count(out), arguments)
}
