//! Two devices of one backend that must give the same bits.

use super::{Property, PropertyReport};
use crate::cases::{self, Case};
use crate::conform::guarded::Guarded;
use crate::conform::{Selection, is_of_values, support};
use crate::verdict::Verdict;
use lockstep_runtime::hal::Support;
use lockstep_runtime::{Device, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs every case on two devices that differ only in how many threads they use, and compares bits; one report per op and
/// dtype. Dtypes are the first device's.
///
/// # Errors
/// A case that its op cannot take, which would be a case's fault.
pub fn same_bits(
    one: &Arc<dyn Device>,
    other: &Arc<dyn Device>,
    selection: &Selection,
) -> Result<Vec<PropertyReport>> {
    let all = cases::all();
    let mut reports = Vec::new();
    for dtype in selection.dtypes(one) {
        let mut by_op: BTreeMap<String, (Verdict, Option<String>)> = BTreeMap::new();
        for case in all.iter().filter(|case| selection.includes(&case.op)) {
            let case = case.in_dtype(dtype);
            let found = by_op.entry(case.op.name().to_owned());
            if let Support::No(reason) = support(one, &case)? {
                found.or_insert((Verdict::Unsupported(reason.to_string()), None));
                continue;
            }
            let differs = differs(one, other, &case);
            let found = found.or_insert((Verdict::Exact, None));
            // A case that ran counts for more than one that was refused, and one that differs for more than all.
            match differs {
                Some(detail) => *found = (Verdict::Wrong, Some(detail)),
                None if found.0 != Verdict::Wrong => *found = (Verdict::Exact, None),
                None => {}
            }
        }
        reports.extend(by_op.into_iter().map(|(op, (verdict, detail))| PropertyReport {
            property: Property::ThreadInvariance,
            op,
            dtype,
            verdict,
            detail,
        }));
    }
    Ok(reports)
}

/// How a case differs; values that an op cannot take must be refused by both.
fn differs(one: &Arc<dyn Device>, other: &Arc<dyn Device>, case: &Case) -> Option<String> {
    let arguments = case.arguments();
    let run = |device| Guarded::compile(device, &case.op, &arguments)?.run(&arguments);
    match (run(one), run(other)) {
        (Ok(a), Ok(b)) if a.bytes() == b.bytes() => None,
        (Err(a), Err(b)) if is_of_values(&a) && is_of_values(&b) => None,
        (Ok(_), Ok(_)) => Some(format!("{}: other bits", case.describe())),
        (Err(error), _) | (_, Err(error)) => Some(format!("{}: {error}", case.describe())),
    }
}
