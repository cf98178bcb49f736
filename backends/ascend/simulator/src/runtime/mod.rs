//! Devices, contexts, streams, events, memory, and what goes wrong on the way.

pub(crate) mod blocks;
pub(crate) mod callback;
pub(crate) mod capture;
pub(crate) mod captured;
pub(crate) mod context;
pub(crate) mod copy;
pub(crate) mod counts;
pub(crate) mod device;
pub(crate) mod errors;
pub(crate) mod event;
pub(crate) mod faults;
pub(crate) mod identity;
pub(crate) mod memory;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod stream;
pub(crate) mod uses;
pub(crate) mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex also after a panic: what panics inside the simulator is a call's failure, not its end.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
