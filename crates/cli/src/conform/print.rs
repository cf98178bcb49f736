//! What was found on a device, for people: a line per op and dtype, the properties, then every failure.

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;
use lockstep_conformance::conform::{CaseReport, Conformance};
use lockstep_conformance::verdict::Verdict;
use std::collections::BTreeMap;

/// Failures that are listed; JSON has all.
const MOST_LISTED: usize = 40;

pub(super) fn print(tested: &Conformance, output: &mut Output) -> Outcome {
    let simulated = if tested.simulated { " (simulated)" } else { "" };
    output.line(format_args!("{}{simulated}: {}\n", tested.device, tested.name))?;
    let mut groups: BTreeMap<(&str, String), Vec<&CaseReport>> = BTreeMap::new();
    for case in &tested.cases {
        groups.entry((&case.op, case.dtype.to_string())).or_default().push(case);
    }
    let mut rows = table(&[
        "op",
        "dtype",
        ">cases",
        ">exact",
        ">within",
        ">suspect",
        ">wrong",
        ">crash",
        ">refused",
        ">error/bound",
    ]);
    for ((op, dtype), cases) in &groups {
        rows.add_row(row(op, dtype, cases));
    }
    let all: Vec<&CaseReport> = tested.cases.iter().collect();
    rows.add_row(row("all", "", &all));
    output.line(format_args!("{rows}\n"))?;
    let mut properties = table(&["property", "op", "dtype", "verdict"]);
    for property in &tested.properties {
        properties.add_row([
            property.property.name().to_owned(),
            property.op.clone(),
            property.dtype.to_string(),
            if property.verdict == Verdict::Exact {
                "holds".to_owned()
            } else {
                property.verdict.to_string()
            },
        ]);
    }
    output.line(format_args!("{properties}\n"))?;
    let failures = tested.failures();
    for failure in failures.iter().take(MOST_LISTED) {
        output.line(format_args!("FAIL {failure}"))?;
    }
    if failures.len() > MOST_LISTED {
        output.line(format_args!("and {} more; --json has all", failures.len() - MOST_LISTED))?;
    }
    let unexplained: Vec<&CaseReport> =
        tested.cases.iter().filter(|case| case.is_unexplained_refusal()).collect();
    for case in unexplained.iter().take(MOST_LISTED) {
        output.line(format_args!("REFUSED {} {}: {}", case.dtype, case.case, case.verdict))?;
    }
    let refused = tested.cases.iter().filter(|case| matches!(case.verdict, Verdict::Unsupported(_))).count();
    let verdict = match (failures.is_empty(), unexplained.is_empty()) {
        (true, true) => "CONFORMS",
        (true, false) => "INCOMPLETE",
        (false, _) => "FAILS",
    };
    output.line(format_args!(
        "{verdict} {}{simulated}: {} cases ran, {refused} refused ({} of them unexplained), {} properties, {} failures\n",
        tested.device,
        tested.cases.len() - refused,
        unexplained.len(),
        tested.properties.len(),
        failures.len()
    ))
}

fn row(op: &str, dtype: &str, cases: &[&CaseReport]) -> Vec<String> {
    let count = |name: &str| cases.iter().filter(|case| case.verdict.name() == name).count().to_string();
    let multiples =
        cases.iter().filter_map(|case| case.judgement.as_ref()).map(|judgement| judgement.of_worst_case);
    let largest = multiples.fold(0.0, f64::max);
    vec![
        op.to_owned(),
        dtype.to_owned(),
        cases.len().to_string(),
        count("EXACT"),
        count("WITHIN"),
        count("SUSPECT"),
        count("WRONG"),
        count("CRASH"),
        count("UNSUPPORTED"),
        format!("{largest:.3}"),
    ]
}
