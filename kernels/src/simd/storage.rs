//! Which of the three storage types a generic `T` is, decided while compiling.
//!
//! [`Element`] says how one value is read and written; a register's worth needs to know the type itself. Comparing type
//! ids costs nothing after monomorphisation, and keeps the instruction sets out of `Element`.

use std::any::TypeId;

use half::{bf16, f16};

use crate::Element;

/// The storage type behind a generic element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    F32,
    F16,
    Bf16,
    /// An element that the instruction sets do not know: read and written lane by lane.
    Other,
}

impl Storage {
    #[inline(always)]
    pub(super) fn of<T: Element>() -> Self {
        let id = TypeId::of::<T>();
        if id == TypeId::of::<f32>() {
            Storage::F32
        } else if id == TypeId::of::<f16>() {
            Storage::F16
        } else if id == TypeId::of::<bf16>() {
            Storage::Bf16
        } else {
            Storage::Other
        }
    }
}

/// Reads `count` values one by one; the other lanes are zero.
///
/// # Safety
/// `source` must be valid for reads of `count` values, and `count` at most 16.
#[inline(always)]
pub(super) unsafe fn read_lanes<T: Element>(source: *const T, count: usize) -> [f32; super::LANES] {
    let mut lanes = [0.0; super::LANES];
    for (index, lane) in lanes.iter_mut().enumerate().take(count) {
        // SAFETY: `index < count`, which the caller vouches for.
        *lane = unsafe { source.add(index).read_unaligned() }.to_f32();
    }
    lanes
}

/// Writes the first `count` lanes one by one.
///
/// # Safety
/// `target` must be valid for writes of `count` values, and `count` at most 16.
#[inline(always)]
pub(super) unsafe fn write_lanes<T: Element>(lanes: [f32; super::LANES], target: *mut T, count: usize) {
    for (index, lane) in lanes.into_iter().enumerate().take(count) {
        // SAFETY: `index < count`, which the caller vouches for.
        unsafe { target.add(index).write_unaligned(T::from_f32(lane)) };
    }
}
