//! Attention and pooling: the ops that know where sequences are.

use super::{StepPlan, THREADS, count, number, pointer};
use crate::launch::{Argument, Check, Place};
use lockstep_hal::Result;
use lockstep_hal::graph::{Attention, DType, Operands, PoolKind, Sequences};

/// Columns of a head that `attention.cu` takes at most.
pub(crate) const LARGEST_HEAD: usize = 256;
const WARP: usize = 32;

/// A kernel of attention, and how it is launched. The dtype and the size of a head choose it, never the batch: a sequence's bits
/// are its own.
struct Kernel {
    name: String,
    /// Queries of a block.
    queries: usize,
    warps: usize,
    shared_bytes: usize,
}

impl Kernel {
    fn of(dtype: DType, head_size: usize) -> Self {
        let least = |sizes: &[usize]| sizes.iter().copied().find(|&columns| head_size <= columns);
        let warps = 4;
        match (dtype, least(&[32, 64, 128]), least(&[64, 128])) {
            (DType::F32, _, Some(columns)) => {
                // Queries, keys or values, and weights, in rows of 68; two values for each query, and 64 numbers of keys for
                // each warp.
                let values = (2 * columns + 64) * 68;
                let bytes = (values + 2 * 64 + warps * 64) * size_of::<f32>();
                Self { name: format!("attention_f32_{columns}"), queries: 64, warps, shared_bytes: bytes }
            }
            (DType::F16 | DType::Bf16, Some(columns), _) => {
                // 64 queries and four times 32 keys or values, and 32 numbers of keys for each warp.
                let tiles = (64 + 4 * 32) * (columns + 8) * dtype.size();
                let bytes = tiles + warps * 32 * size_of::<u32>();
                let name = format!("attention_mma_{columns}_{dtype}");
                Self { name, queries: 64, warps, shared_bytes: bytes }
            }
            // A warp for each of four queries, which lie in shared memory.
            _ => Self {
                name: format!("attention_{dtype}"),
                queries: 4,
                warps,
                shared_bytes: 4 * head_size * size_of::<f32>(),
            },
        }
    }
}

/// Where sequences end, checked where no step before has done so: nothing writes the caller's inputs.
fn ends(plan: &mut StepPlan<'_, '_>, input: usize, tokens: usize) -> Result<Place> {
    let (place, batch) = (plan.input_place(input), count(plan.input(input)));
    if plan.is_callers(input) && !plan.planner.checked_ends.insert((place, tokens)) {
        return Ok(place);
    }
    let finding = plan.finding(Check::Ends { tokens });
    let arguments = vec![pointer(place), number(batch), number(tokens), pointer(finding)];
    plan.launch("check_ends", [1, 1], THREADS, 0, arguments)?;
    Ok(place)
}

pub(super) fn attention(plan: &mut StepPlan<'_, '_>, attention: &Attention) -> Result<()> {
    let out = plan.output()?;
    let hidden = out.shape.last().copied().unwrap_or(0);
    let head_size = hidden / attention.heads;
    let merged = attention.operands == Operands::Merged;
    let x = plan.input(0);
    let kernel = Kernel::of(x.dtype, head_size);
    let mut operands = [Place::Null; 3];
    for (part, operand) in operands.iter_mut().enumerate() {
        *operand = if merged {
            plan.input_place(0).plus(part * hidden * x.dtype.size())
        } else {
            plan.input_place(part)
        };
    }
    let stride = if merged { 3 * hidden } else { hidden };
    let last = plan.step.inputs.len() - 1;
    let mut sequence_ends = Place::Null;
    let mut mask = Place::Null;
    let (batch, query_len, key_len, tokens, groups);
    if attention.sequences == Sequences::Ends {
        (batch, query_len, key_len, tokens) = (count(plan.input(last)), 0, 0, out.shape[0]);
        sequence_ends = ends(plan, last, tokens)?;
        // Each sequence may end with a group that is not full.
        groups = tokens / kernel.queries + batch;
    } else {
        let keys = &plan.input(if merged { 0 } else { 1 }).shape;
        (batch, query_len, key_len, tokens) = (out.shape[0], out.shape[1], keys[1], 0);
        groups = batch * query_len.div_ceil(kernel.queries);
        if attention.sequences == Sequences::KeyMask {
            mask = plan.input_place(last);
        }
    }
    if count(out) == 0 {
        return Ok(());
    }
    let arguments = vec![
        pointer(operands[0]),
        pointer(operands[1]),
        pointer(operands[2]),
        number(stride),
        number(stride),
        number(stride),
        pointer(sequence_ends),
        pointer(mask),
        pointer(plan.output_place()?),
        number(batch),
        number(query_len),
        number(key_len),
        number(tokens),
        Argument::U32(head_size as u32),
        Argument::F32(attention.scale as f32),
    ];
    // Without a sequence there are tokens of none, which the check of the ends finds.
    let grid = [groups.max(1), attention.heads];
    plan.launch(kernel.name, grid, kernel.warps * WARP, kernel.shared_bytes, arguments)
}

pub(super) fn pool(plan: &mut StepPlan<'_, '_>, kind: PoolKind, sequences: Sequences) -> Result<()> {
    let (x, out) = (plan.input(0), plan.output()?);
    let width = x.shape.last().copied().unwrap_or(0);
    let (mut sequence_ends, mut mask) = (Place::Null, Place::Null);
    let (mut length, mut tokens) = (0, 0);
    if sequences == Sequences::Ends {
        tokens = x.shape[0];
        sequence_ends = ends(plan, 1, tokens)?;
    } else {
        (length, mask) = (x.shape[1], plan.input_place(1));
    }
    // `Pooling` of `pooling.cu`.
    let code = match kind {
        PoolKind::Mean => 0,
        PoolKind::Max => 1,
    };
    let arguments = vec![
        Argument::U32(code),
        pointer(plan.input_place(0)),
        pointer(sequence_ends),
        pointer(mask),
        pointer(plan.output_place()?),
        number(count(out)),
        number(length),
        number(width),
        number(tokens),
    ];
    plan.launch_elements(format!("pool_{}", x.dtype), count(out), arguments)
}
