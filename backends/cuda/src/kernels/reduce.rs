//! Reductions over axes.

use super::walk::dense;
use super::{StepPlan, count, number, pointer};
use crate::launch::Argument;
use lockstep_hal::Result;
use lockstep_hal::graph::ReduceOp;

/// Results of a block, a warp each.
const ROWS: usize = 8;

pub(super) fn reduce(plan: &mut StepPlan<'_, '_>, op: ReduceOp, axes: &[usize]) -> Result<()> {
    let x = plan.input(0);
    let strides = dense(&x.shape);
    let part = |reduced: bool| -> (Vec<usize>, Vec<i64>) {
        let axes = (0..x.shape.len()).filter(|axis| axes.contains(axis) == reduced);
        axes.map(|axis| (x.shape[axis], strides[axis])).unzip()
    };
    let ((kept, kept_strides), (reduced, reduced_strides)) = (part(false), part(true));
    let (results, elements) = (kept.iter().product::<usize>(), reduced.iter().product::<usize>());
    if results == 0 {
        return Ok(());
    }
    // `Reduction` of `reduce.cu`.
    let code = match op {
        ReduceOp::Sum => 0,
        ReduceOp::Mean => 1,
        ReduceOp::Max => 2,
        ReduceOp::Min => 3,
    };
    let arguments = vec![
        Argument::U32(code),
        pointer(plan.input_place(0)),
        pointer(plan.output_place()?),
        number(results),
        number(elements),
        Argument::Walk(plan.walk(&kept, [&kept_strides])?),
        Argument::Walk(plan.walk(&reduced, [&reduced_strides])?),
    ];
    debug_assert_eq!(count(plan.output()?), results);
    plan.launch(format!("reduce_{}", x.dtype), [results.div_ceil(ROWS), 1], 32 * ROWS, 0, arguments)
}
