//! The page for a person; its last line is for a manager.

use crate::failure::Outcome;
use crate::output::Output;
use crate::table::{table, with_prefix};
use lockstep_conformance::accept::{Flip, Measured, Report, Side};

/// Flips that are printed; the JSON has more.
const PRINTED_FLIPS: usize = 10;

pub(super) fn print(report: &Report, output: &mut Output) -> Outcome {
    let data = &report.data;
    output.line(format_args!(
        "{} in place of {}\n{}, {} of {} documents of {} (SHA-256 {})",
        report.candidate, report.trusted, report.model, data.compared, data.documents, data.path, data.sha256
    ))?;
    side("candidate", &report.candidate, output)?;
    side("trusted", &report.trusted, output)?;
    let mut goals = table(&["goal", "asked", "found", "status"]);
    for goal in &report.goals {
        goals.add_row([goal.name.clone(), goal.goal.clone(), goal.actual.clone(), goal.status.to_string()]);
    }
    output.line(format_args!("\n{goals}\n"))?;
    answers(report, output)?;
    speeds(report, output)?;
    flips(report, output)?;
    for note in &report.notes {
        output.line(format_args!("note: {note}"))?;
    }
    output.line(format_args!("again: {}\n", report.command))?;
    output.line(format_args!("{}", report.headline))
}

fn side(role: &str, side: &Side, output: &mut Output) -> Outcome {
    let recorded = side
        .recorded_by
        .as_ref()
        .map_or_else(String::new, |version| format!(", recorded by Lockstep {version}"));
    let driver = side.device.driver.as_ref().map_or_else(String::new, |driver| format!(", {driver}"));
    output.line(format_args!(
        "{role}: {side}, {}{driver}{recorded}\n  {}",
        side.device.name, side.device.numerics
    ))
}

/// What was found in the answers beside the goals.
fn answers(report: &Report, output: &mut Output) -> Outcome {
    let found = &report.found;
    let similarity = &found.similarity;
    if let (Some(largest), Some(line)) = (similarity.largest_error, similarity.largest_error_line) {
        output.line(format_args!(
            "largest error {largest:.2e} (line {line}), usually {:.1e} a document; {} outputs",
            similarity.usual_error, similarity.outputs
        ))?;
    }
    if let Some(agreement) = found.agreement {
        let interval = agreement.interval;
        output.line(format_args!(
            "same answer in {} of {} documents: {:.3} %, {} % interval {:.3} to {:.3} %",
            agreement.same,
            agreement.of,
            agreement.percent,
            report.policy.confidence_percent,
            interval.low,
            interval.high
        ))?;
    }
    for score in &found.scores {
        output.line(format_args!(
            "{} of {} documents: {:.3} % trusted, {:.3} % candidate; interval by {}",
            score.name, score.documents, score.trusted_percent, score.candidate_percent, score.method
        ))?;
    }
    if let Some(test) = found.mcnemar {
        let kind = if test.exact { "exact" } else { "asymptotic" };
        output.line(format_args!(
            "McNemar's test of documents that are right in whole: {} gained, {} lost, p = {:.3} ({kind})",
            test.gained, test.lost, test.p
        ))?;
    }
    Ok(())
}

fn speeds(report: &Report, output: &mut Output) -> Outcome {
    let Some(speeds) = &report.speeds else { return Ok(()) };
    let batch = speeds.candidate.batch;
    let throughput = format!(">documents/s at batch {batch}");
    let mut rows = table(&["speed", &throughput, ">P50 ms", ">P95 ms", ">P99 ms", ">planned memory"]);
    let row = |name: String, measured: &Measured| {
        let latency = measured.latency;
        vec![
            name,
            format!("{:.1}", measured.documents_per_second),
            format!("{:.2}", latency.p50_ms),
            format!("{:.2}", latency.p95_ms),
            format!("{:.2}", latency.p99_ms),
            with_prefix(measured.planned_memory.total() as f64, "B"),
        ]
    };
    rows.add_row(row(report.trusted.to_string(), &speeds.trusted));
    rows.add_row(row(report.candidate.to_string(), &speeds.candidate));
    let how = if speeds.in_turns { "in turns, in one process" } else { "on two occasions" };
    output.line(format_args!(
        "\n{rows}\nmeasured {how}; latency is of single documents, {} and {} runs of {}; planned memory is weights, arena, inputs and \
         outputs",
        speeds.trusted.latency.runs, speeds.candidate.latency.runs, speeds.candidate.latency.documents
    ))?;
    if speeds.in_turns {
        return output.line(format_args!("machine: {}\n", speeds.candidate.machine));
    }
    output
        .line(format_args!("machines: {} (trusted); {}\n", speeds.trusted.machine, speeds.candidate.machine))
}

fn flips(report: &Report, output: &mut Output) -> Outcome {
    let found = &report.found;
    if found.flip_count == 0 {
        return Ok(());
    }
    let mut rows =
        table(&[">line", "text", "right", "trusted", "candidate", ">margins", ">deviation", "near tie"]);
    for flip in found.flips.iter().take(PRINTED_FLIPS) {
        rows.add_row(row(flip));
    }
    let more = match found.flip_count.saturating_sub(PRINTED_FLIPS) {
        0 => String::new(),
        more => format!("{more} more are in the --json report\n"),
    };
    output.line(format_args!(
        "{} answers differ\n{rows}\n{more}margins are of the largest logit over the second, trusted and candidate; a near tie \
         is one that the usual deviation can turn\n",
        found.flip_count
    ))
}

fn row(flip: &Flip) -> Vec<String> {
    let answer = |answer: &Option<String>| answer.clone().unwrap_or_else(|| "none".to_owned());
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let text = match &flip.token {
        Some(token) => format!("{} at {}..{} in {}", token.text, token.start, token.end, flip.text),
        None => flip.text.clone(),
    };
    vec![
        flip.line.to_string(),
        text,
        flip.right.clone().unwrap_or_else(|| "-".to_owned()),
        answer(&flip.trusted),
        answer(&flip.candidate),
        format!("{} {}", number(flip.trusted_margin), number(flip.candidate_margin)),
        number(flip.deviation),
        if flip.near_tie { "yes" } else { "NO" }.to_owned(),
    ]
}
