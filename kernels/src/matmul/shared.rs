//! One output slice written by several workers at once.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice whose disjoint parts different workers write.
pub(crate) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for a `&mut [T]`; what it hands out is disjoint, as callers of `part` promise.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), borrowed: PhantomData }
    }

    /// The elements of `range`.
    ///
    /// # Safety
    /// While the returned slice lives, no other part that overlaps it is asked for.
    ///
    /// # Panics
    /// If `range` is not within the slice.
    #[allow(clippy::mut_from_ref)] // the promise above stands in for the borrow
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "a part lies within the slice");
        // SAFETY: in bounds; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The first element; writes through it must keep to what no other worker writes.
    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.start
    }
}

/// The part of `scratch` that starts on a cache line; callers ask for [`LINE`] more than they need.
pub(crate) fn from_line(scratch: &mut [f32]) -> &mut [f32] {
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    &mut scratch[skip..]
}

/// f32 in a cache line.
pub(crate) const LINE: usize = 16;
