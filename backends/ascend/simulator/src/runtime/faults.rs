//! Failures that the environment asks for: at the nth call of a symbol, or at the nth launch of an operator.

use crate::runtime::settings::Injection;
use crate::runtime::{lock, process};
use std::collections::BTreeMap;
use std::sync::Mutex;

static CALLS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());
static LAUNCHES: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// The code that this call of `symbol` is to fail with.
pub(crate) fn injected(symbol: &str) -> Option<i32> {
    due(&process::settings().failures, &CALLS, symbol)
}

/// The code that this launch of `op` is to fault with.
pub(crate) fn injected_late(op: &str) -> Option<i32> {
    due(&process::settings().late, &LAUNCHES, op)
}

/// Counts one more of `symbol`, if the environment names it at all.
fn due(injections: &[Injection], counts: &Mutex<BTreeMap<String, u64>>, symbol: &str) -> Option<i32> {
    if !injections.iter().any(|injection| injection.symbol == symbol) {
        return None;
    }
    let mut counts = lock(counts);
    let count = counts.entry(symbol.to_owned()).or_default();
    *count += 1;
    injections
        .iter()
        .find(|injection| injection.symbol == symbol && injection.nth == *count)
        .map(|injection| injection.code)
}
