//! Ops that follow an index: gather, and index_add.

use super::{Launch, StepPlan, with_float, with_size};
use crate::memory::{Memory, Slot};
use lockstep_hal::graph::DType;
use lockstep_hal::{Error, Result};
use lockstep_kernels::gather::{GatherShape, IndexOutOfRange, gather as gather_kernel};
use lockstep_kernels::index_add::{IndexAddShape, index_add as index_add_kernel};

/// Extents before an axis, at it, and after it.
fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

fn out_of_range(node: &str, error: &IndexOutOfRange) -> Error {
    Error::value(node, error.to_string())
}

/// An index operand in either of its dtypes.
struct Index {
    slot: Slot,
    wide: bool,
}

impl Index {
    fn of(plan: &StepPlan<'_>, input: usize) -> Self {
        Self { slot: plan.inputs[input].clone(), wide: plan.dtype(input) == DType::I64 }
    }
}

/// Calls a kernel with the index as i64 or i32.
macro_rules! with_index {
    ($index:expr, $memory:expr, $values:ident => $body:expr) => {
        if $index.wide {
            let $values: &[i64] = read(&$index, $memory);
            $body
        } else {
            let $values: &[i32] = read(&$index, $memory);
            $body
        }
    };
}

fn read<'m, I: bytemuck::Pod>(index: &Index, memory: &'m Memory<'_>) -> &'m [I] {
    memory.read(&index.slot)
}

pub(super) fn gather(plan: &StepPlan<'_>, axis: usize) -> Result<Launch> {
    let [outer, rows, inner] = around(plan.shape(0), axis);
    let shape = GatherShape { outer, rows, inner };
    let index = Index::of(plan, 1);
    let (pool, name) = (plan.pool.clone(), plan.name());
    let (table, out) = (plan.inputs[0].clone(), plan.output.clone());
    with_size!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (table, out) = (memory.read::<T>(&table), memory.write::<T>(&out));
        with_index!(index, memory, values => gather_kernel(pool.as_ref(), shape, table, values, out))
            .map_err(|error| out_of_range(&name, &error))
    })))
}

pub(super) fn index_add(plan: &StepPlan<'_>, axis: usize) -> Result<Launch> {
    let [outer, rows, inner] = around(plan.shape(0), axis);
    let shape = IndexAddShape { outer, rows, inner };
    let index = Index::of(plan, 1);
    let (isa, pool, name, scratch) = (plan.isa, plan.pool.clone(), plan.name(), plan.scratch());
    // In place, the output holds the base already.
    let base = (!plan.in_place(0)).then(|| plan.inputs[0].clone());
    let (source, out) = (plan.inputs[2].clone(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (source, out) = (memory.read::<T>(&source), memory.write::<T>(&out));
        if let Some(base) = &base {
            out.copy_from_slice(memory.read::<T>(base));
        }
        let scratch = memory.scratch::<u32>(&scratch);
        with_index!(index, memory, values => {
            index_add_kernel(isa, pool.as_ref(), shape, values, source, out, scratch)
        })
        .map_err(|error| out_of_range(&name, &error))
    })), else Err(plan.unclaimed()))
}

/// u32 of scratch that an [`index_add`] takes.
pub(crate) fn index_add_scratch(base: &[usize], axis: usize, indices: usize) -> usize {
    lockstep_kernels::index_add::index_add_scratch(base[axis], indices)
}
