//! A comparison for people: a table of ops in order, then the verdict.

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;
use lockstep_conformance::replay::StepReport;
use lockstep_conformance::report::{Comparison, Setting, shown};

pub(super) fn print(report: &Comparison, only_checkpoints: bool, output: &mut Output) -> Outcome {
    let Setting { model, inputs, dtype, perturbing, trusted, tested, .. } = &report.setting;
    let perturbing = if *perturbing { ", unfused (perturbing)" } else { "" };
    output.line(format_args!(
        "{model}: {} in {dtype} against {}{perturbing}",
        shown(tested),
        shown(trusted)
    ))?;
    output.line(format_args!("{inputs}"))?;
    for device in [trusted, tested] {
        output.line(format_args!("{}: {}", device.id, device.numerics))?;
    }
    output.line(format_args!(""))?;
    let mut rows = table(&[
        "node",
        "op",
        ">error/bound",
        ">A-B",
        ">drift",
        ">amplified",
        ">ULP p50",
        ">p99",
        ">max",
        ">NMSE",
        ">similarity",
        "how",
        "verdict",
    ]);
    let shown =
        |step: &&StepReport| !only_checkpoints || step.checkpoint.is_some() || step.verdict.is_guilty();
    for step in report.replayed.steps.iter().filter(shown) {
        rows.add_row(row(step, only_checkpoints));
    }
    output.line(format_args!("{rows}\n"))?;
    for line in &report.headline {
        output.line(format_args!("{line}"))?;
    }
    Ok(())
}

fn row(step: &StepReport, only_checkpoints: bool) -> Vec<String> {
    let judged = step.isolated.as_ref();
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1e}"));
    let ulp = |pick: &dyn Fn(&lockstep_conformance::ulp::UlpPercentiles) -> u64| {
        judged.map_or_else(|| "-".to_owned(), |judgement| count(pick(&judgement.ulp)))
    };
    let drift = step.cumulative.as_ref();
    vec![
        if only_checkpoints {
            step.checkpoint.as_ref().unwrap_or(&step.node).clone()
        } else {
            step.node.clone()
        },
        step.op.clone(),
        judged.map_or_else(|| "-".to_owned(), |judgement| format!("{:.3}", judgement.of_worst_case)),
        number(step.devices_apart.map(|difference| difference.max_abs)),
        number(drift.map(|drift| drift.difference.relative())),
        drift
            .and_then(|drift| drift.amplification)
            .map_or_else(|| "-".to_owned(), |amplification| format!("{amplification:.1}x")),
        ulp(&|ulp| ulp.p50),
        ulp(&|ulp| ulp.p99),
        ulp(&|ulp| ulp.max),
        number(drift.map(|drift| drift.difference.nmse)),
        drift.map_or_else(|| "-".to_owned(), |drift| format!("{:.6} %", 100.0 * drift.difference.cosine)),
        step.provenance.clone(),
        verdict(step),
    ]
}

/// The verdict, and whether NaN or infinities are out of place.
fn verdict(step: &StepReport) -> String {
    match step.isolated.as_ref().map_or(0, |judgement| judgement.class_mismatches) {
        0 => step.verdict.to_string(),
        count => format!("{}, {count} NaN or infinities out of place", step.verdict),
    }
}

/// A distance in units; beyond a million the exact number says no more.
fn count(ulp: u64) -> String {
    if ulp < 1_000_000 { ulp.to_string() } else { ">1e6".to_owned() }
}
