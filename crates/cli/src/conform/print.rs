//! What was found on a device, for people: a line per op and dtype, the properties, then every failure.

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;
use lockstep_conformance::conform::{CaseReport, Conformance, OpSummary};
use lockstep_conformance::verdict::Verdict;

/// Failures that are listed; JSON has all.
const MOST_LISTED: usize = 40;

pub(super) fn print(tested: &Conformance, output: &mut Output) -> Outcome {
    let simulated = if tested.simulated { " (simulated)" } else { "" };
    output.line(format_args!("{}{simulated}: {}\n{}\n", tested.device, tested.name, tested.numerics))?;
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
        ">not run",
        ">error/bound",
    ]);
    for ((op, dtype), summary) in tested.by_op() {
        rows.add_row(row(&op, &dtype.to_string(), &summary));
    }
    rows.add_row(row("all", "", &tested.overall()));
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
    if let Some(stopped) = &tested.stopped {
        output.line(format_args!("STOPPED {stopped}"))?;
    }
    output.line(format_args!("{}\n", tested.headline()))
}

fn row(op: &str, dtype: &str, summary: &OpSummary) -> Vec<String> {
    let counts = [
        summary.cases,
        summary.exact,
        summary.within,
        summary.suspect,
        summary.wrong,
        summary.crash,
        summary.refused,
        summary.not_run,
    ];
    let mut row = vec![op.to_owned(), dtype.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(format!("{:.3}", summary.of_worst_case));
    row
}
