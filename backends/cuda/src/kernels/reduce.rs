//! Reductions over axes.

use super::{StepPlan, number, pointer};
use crate::launch::Argument;
use lockstep_hal::Result;
use lockstep_hal::graph::ReduceOp;
use lockstep_kernels::movement::Strided;

/// Results of a block, a warp each.
const ROWS: usize = 8;

pub(super) fn reduce(plan: &mut StepPlan<'_, '_>, op: ReduceOp, axes: &[usize]) -> Result<()> {
    let x = plan.input(0);
    let kept = plan.strided(Strided::over(&x.shape, |axis| !axes.contains(&axis)))?;
    let reduced = plan.strided(Strided::over(&x.shape, |axis| axes.contains(&axis)))?;
    let (results, elements) = (kept.len(), reduced.len());
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
        Argument::Walk(plan.walk(Ok(kept))?),
        Argument::Walk(plan.walk(Ok(reduced))?),
    ];
    plan.launch(format!("reduce_{}", x.dtype), [results.div_ceil(ROWS), 1], 32 * ROWS, 0, arguments)
}
