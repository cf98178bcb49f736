//! Devices, contexts, streams, events, memory, and what goes wrong on the way.

pub(crate) mod errors;
pub(crate) mod faults;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod settings;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex also after a panic: what panics inside the simulator is a call's failure, not its end.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
