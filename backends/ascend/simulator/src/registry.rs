//! Handles. What C gets is a number that was never given before and can never be an address, so that a handle
//! that is used after it was destroyed, or as something else, is found out instead of followed.

use crate::runtime::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The live objects of one kind.
pub(crate) struct Registry<T> {
    kind: usize,
    given: AtomicUsize,
    live: Mutex<BTreeMap<usize, Arc<T>>>,
}

impl<T> Registry<T> {
    /// `kind` tells registries apart, below 256.
    pub(crate) const fn new(kind: usize) -> Self {
        Self { kind, given: AtomicUsize::new(1), live: Mutex::new(BTreeMap::new()) }
    }

    /// A handle that no object has had, for [`insert`](Self::insert).
    pub(crate) fn next_handle(&self) -> usize {
        // Not canonical on x86-64 and AArch64: reading through it faults.
        const BASE: usize = 0x00A5_0000_0000_0000;
        BASE + (self.kind << 40) + self.given.fetch_add(1, Ordering::Relaxed) * 64
    }

    /// Makes `object` live under a handle of [`next_handle`](Self::next_handle).
    pub(crate) fn insert(&self, handle: usize, object: Arc<T>) {
        lock(&self.live).insert(handle, object);
    }

    /// Makes an object live and gives its handle.
    pub(crate) fn add(&self, object: T) -> usize {
        let handle = self.next_handle();
        self.insert(handle, Arc::new(object));
        handle
    }

    /// The object of a handle, if it is live.
    pub(crate) fn get<P: ?Sized>(&self, handle: *const P) -> Option<Arc<T>> {
        lock(&self.live).get(&handle.cast::<()>().addr()).cloned()
    }

    /// Ends an object's life.
    pub(crate) fn remove<P: ?Sized>(&self, handle: *const P) -> Option<Arc<T>> {
        lock(&self.live).remove(&handle.cast::<()>().addr())
    }

    /// How many are live.
    pub(crate) fn count(&self) -> usize {
        lock(&self.live).len()
    }

    /// The live ones, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        lock(&self.live).values().cloned().collect()
    }
}

/// A handle as C has it.
pub(crate) fn as_pointer<P>(handle: usize) -> *mut P {
    core::ptr::without_provenance_mut(handle)
}
