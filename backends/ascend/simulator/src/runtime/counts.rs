//! How often things happened, for the report.

use crate::runtime::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Waits for streams, events and devices.
pub(crate) static SYNCHRONISATIONS: AtomicU64 = AtomicU64::new(0);
/// Captures that ended in a model.
pub(crate) static CAPTURES: AtomicU64 = AtomicU64::new(0);
/// Executions of captured models.
pub(crate) static REPLAYS: AtomicU64 = AtomicU64::new(0);

static LAUNCHES: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());
static LAUNCHED: AtomicU64 = AtomicU64::new(0);

/// One more of a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One more launch of `op`; gives its number in this process, from 1.
pub(crate) fn launch(op: &'static str) -> u64 {
    *lock(&LAUNCHES).entry(op).or_default() += 1;
    LAUNCHED.fetch_add(1, Ordering::Relaxed) + 1
}

/// Launches by operator, those of replays included.
pub(crate) fn launches() -> BTreeMap<&'static str, u64> {
    lock(&LAUNCHES).clone()
}
