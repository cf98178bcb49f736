//! The device memory that a task uses: looked up when the task is submitted, held and checked when it runs, since a
//! fault is the device's to find.

use crate::meta::executor::Fault;
use crate::runtime::blocks::{self, Block, Home, Place, Use};
use crate::runtime::memory;
use std::sync::Arc;

/// What a kernel that reads or writes where it may not ends with.
const ADDRESS_FAULT: i32 = 507_015;
/// Of the address of a tensor, an input or an output.
const ALIGNMENT: usize = 32;

/// The memory of one operand, or why it cannot be used.
pub(crate) type Found = Result<Option<Arc<Block>>, String>;

/// The device's memory behind `bytes` from `address` on; none of no bytes.
pub(crate) fn in_device_memory(address: usize, bytes: usize, device: i32, name: &str) -> Found {
    if bytes == 0 {
        return Ok(None);
    }
    match blocks::place(address, bytes) {
        Place::Block(block) if block.home != Home::Host => {
            memory::check_reach(device, &block).map_err(|text| format!("{name}: {text}"))?;
            Ok(Some(block))
        }
        Place::Wrong(text) => Err(format!("{name}: {text}")),
        _ => Err(format!("{name}: address {address:#x} is not device memory")),
    }
}

/// As [`in_device_memory`], of what begins where kernels can begin to read.
pub(crate) fn aligned(address: usize, bytes: usize, device: i32, name: &str) -> Found {
    if bytes > 0 && !address.is_multiple_of(ALIGNMENT) {
        return Err(format!("{name}: address {address:#x} is not a multiple of {ALIGNMENT}"));
    }
    in_device_memory(address, bytes, device, name)
}

/// Runs `task`, which `place` names, with its memory held.
///
/// # Errors
/// 507015 if some of it was never usable, or was freed before or while it ran; else what `task` ends with.
pub(crate) fn during(
    memory: &[Found],
    place: &str,
    task: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let held = hold(memory).map_err(|text| {
        let text = format!("{place}: The DDR address of the MTE instruction is out of range: {text}");
        Fault::new(ADDRESS_FAULT, text)
    })?;
    task()?;
    match held.iter().find(|held| held.0.is_freed()) {
        None => Ok(()),
        Some(held) => {
            let text = format!("{place}: {} was freed while it ran", held.0.describe());
            Err(Fault::new(ADDRESS_FAULT, text))
        }
    }
}

fn hold(memory: &[Found]) -> Result<Vec<Use>, String> {
    let mut held = Vec::new();
    for found in memory {
        let Some(block) = found.as_ref().map_err(Clone::clone)? else { continue };
        held.push(blocks::hold(block).ok_or_else(|| format!("{} was freed", block.describe()))?);
    }
    Ok(held)
}
