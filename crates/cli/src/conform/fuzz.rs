//! `lockstep conform --fuzz`: random graphs on devices, and one of them again.

use super::{ConformArguments, Present, devices};
use crate::failure::{Failure, Outcome, with_causes};
use crate::output::Output;
use crate::progress::progress_bar;
use lockstep_conformance::fuzz::{Finding, Found, Fuzzed, fuzz as run_graphs, judge, keep, kept};
use lockstep_runtime::Device;
use lockstep_runtime::tensor::HostTensor;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Counts changes of the JSON that break its readers.
const SCHEMA: &str = "lockstep-fuzz/1";
/// Kinds of refusals and failures that are listed; JSON has all.
const MOST_LISTED: usize = 10;

/// Runs random graphs on each device, in each of its dtypes that is selected.
pub(super) fn fuzz(graphs: usize, arguments: &ConformArguments, output: &mut Output) -> Outcome {
    let (open, absent) = present(arguments)?;
    let mut found = Vec::new();
    for device in &open {
        let dtypes = device.info().dtypes.iter().copied();
        for dtype in dtypes.filter(|dtype| arguments.dtype.is_none_or(|only| only == *dtype)) {
            let bar = progress_bar(&format!("graphs in {dtype} on {}", device.info().id));
            let progress = |done: usize, total: usize| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            };
            let fuzzed = run_graphs(device, dtype, arguments.seed, graphs, &progress);
            bar.finish_and_clear();
            let fuzzed = fuzzed.map_err(Failure::of_compared)?;
            for failure in &fuzzed.failures {
                if let Some(folder) = &arguments.keep {
                    keep(&failure.sketch, &folder_of(folder, &fuzzed, failure))
                        .map_err(|error| Failure::of(&error))?;
                }
            }
            found.push(fuzzed);
        }
    }
    if output.is_json() {
        let version = env!("CARGO_PKG_VERSION");
        let not_run: Vec<_> = absent
            .iter()
            .map(|(name, reason)| json!({ "backend": name, "verdict": "NOT-RUN", "reason": reason }))
            .collect();
        output.json_line(
            &json!({ "schema": SCHEMA, "version": version, "devices": found, "not_run": not_run }),
        )?;
    } else {
        for fuzzed in &found {
            print(fuzzed, arguments, output)?;
        }
        for (name, reason) in &absent {
            output.line(format_args!("{name}: NOT-RUN ({reason})"))?;
        }
    }
    output.flush()?;
    outcome(arguments, &found, &absent)
}

/// The name of a backend that is not there, and why.
type Absent = (String, String);

/// Devices that are there.
type Open = Vec<Arc<dyn Device>>;

/// Devices that are there, and backends that are not.
fn present(arguments: &ConformArguments) -> Outcome<(Open, Vec<Absent>)> {
    let (mut open, mut absent) = (Vec::new(), Vec::new());
    for present in devices(arguments)? {
        match present {
            Present::Open(device) => open.push(device),
            Present::Absent { name, reason } => absent.push((name, reason)),
        }
    }
    Ok((open, absent))
}

fn folder_of(folder: &Path, fuzzed: &Fuzzed, failure: &Found) -> PathBuf {
    let device = fuzzed.device.replace(':', "-");
    folder.join(format!("{device}-{}-{}", fuzzed.dtype, failure.seed))
}

/// What the shell is told; numbers come first.
fn outcome(arguments: &ConformArguments, found: &[Fuzzed], absent: &[Absent]) -> Outcome {
    if found.iter().any(|fuzzed| !fuzzed.failures.is_empty()) {
        return Err(Failure::Reported);
    }
    if let Some(stopped) = found.iter().find_map(|fuzzed| fuzzed.stopped.as_ref()) {
        return Err(Failure::NotMeasured(stopped.to_string()));
    }
    if let Some((name, reason)) = absent.iter().find(|(name, _)| arguments.require.contains(name)) {
        return Err(Failure::NotMeasured(format!("{name} is required and not there: {reason}")));
    }
    match found.iter().find(|fuzzed| !fuzzed.holds()) {
        Some(fuzzed) => {
            let what =
                format!("{} in {} ran none of the graphs: it refuses them all", fuzzed.device, fuzzed.dtype);
            Err(Failure::Unsupported(what))
        }
        None if found.is_empty() => Err(Failure::Usage(
            "no device here computes in that dtype; `lockstep devices` lists them".to_owned(),
        )),
        None => Ok(()),
    }
}

fn print(fuzzed: &Fuzzed, arguments: &ConformArguments, output: &mut Output) -> Outcome {
    let simulated = if fuzzed.simulated { " (simulated)" } else { "" };
    let mut refusals: Vec<_> = fuzzed.refusals.iter().collect();
    refusals.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (reason, count) in refusals.iter().take(MOST_LISTED) {
        output.line(format_args!("REFUSED {count}x {reason}"))?;
    }
    for failure in fuzzed.failures.iter().take(MOST_LISTED) {
        let (before, after) = (failure.nodes, failure.sketch.nodes.len());
        output.line(format_args!(
            "FAIL seed {}, {before} nodes, shrunk to {after}: {}",
            failure.seed, failure.failure
        ))?;
        for line in &failure.shrunk {
            output.line(format_args!("  {line}"))?;
        }
        output.line(format_args!(
            "  again: lockstep conform --fuzz 1 --seed {} --device {} --dtype {}",
            failure.seed, fuzzed.device, fuzzed.dtype
        ))?;
        if let Some(folder) = &arguments.keep {
            let folder = folder_of(folder, fuzzed, failure);
            output.line(format_args!(
                "  shrunk: lockstep conform --replay {} --device {}",
                folder.display(),
                fuzzed.device
            ))?;
        }
    }
    if fuzzed.failures.len() > MOST_LISTED {
        output.line(format_args!("and {} more; --json has all", fuzzed.failures.len() - MOST_LISTED))?;
    }
    let verdict = match &fuzzed.stopped {
        _ if !fuzzed.failures.is_empty() => "FAILS".to_owned(),
        Some(stopped) => {
            output.line(format_args!("STOPPED {stopped}"))?;
            "STOPPED".to_owned()
        }
        None if fuzzed.holds() => "HOLDS".to_owned(),
        None => "INCOMPLETE".to_owned(),
    };
    let lost = if fuzzed.not_run == 0 { String::new() } else { format!(", {} not run", fuzzed.not_run) };
    output.line(format_args!(
        "{verdict} {}{simulated} in {}: {} graphs from seed {}, {} held ({} steps of {} ops, {} of them SUSPECT), {} \
         refused{lost}, {} failed\n",
        fuzzed.device,
        fuzzed.dtype,
        fuzzed.graphs,
        fuzzed.seed,
        fuzzed.held,
        fuzzed.steps.values().sum::<usize>(),
        fuzzed.steps.len(),
        fuzzed.suspects,
        fuzzed.refused,
        fuzzed.failures.len()
    ))
}

/// Judges one graph that was kept, on each device.
pub(super) fn replay(folder: &Path, arguments: &ConformArguments, output: &mut Output) -> Outcome {
    let kept = kept(folder).map_err(|error| Failure::Failed(with_causes(&error)))?;
    let inputs: Vec<(String, &HostTensor)> = kept.inputs.iter().map(|(name, x)| (name.clone(), x)).collect();
    let (open, absent) = present(arguments)?;
    let mut outcome = Ok(());
    let mut rows = Vec::new();
    for device in &open {
        let id = device.info().id.clone();
        let finding = judge(device, &kept.graph, &inputs).map_err(Failure::of_compared)?;
        let (verdict, detail) = match finding {
            Finding::Held(steps) => ("HOLDS", format!("{} steps", steps.len())),
            Finding::Refused(reasons) => {
                outcome = outcome.and(Err(Failure::Unsupported(format!("{id} refuses the graph"))));
                ("UNSUPPORTED", reasons.join("; "))
            }
            Finding::Stopped(stopped) => {
                outcome = outcome.and(Err(Failure::NotMeasured(stopped.to_string())));
                ("NOT-RUN", stopped.to_string())
            }
            Finding::Failed(failure) => {
                outcome = Err(Failure::Reported);
                ("FAILS", failure.to_string())
            }
        };
        rows.push((id, verdict, detail));
    }
    for (name, reason) in absent {
        if arguments.require.contains(&name) {
            outcome =
                outcome.and(Err(Failure::NotMeasured(format!("{name} is required and not there: {reason}"))));
        }
        rows.push((name, "NOT-RUN", reason));
    }
    if output.is_json() {
        let rows: Vec<_> = rows
            .iter()
            .map(
                |(device, verdict, detail)| json!({ "device": device, "verdict": verdict, "detail": detail }),
            )
            .collect();
        let graph = folder.display().to_string();
        output.json_line(&json!({ "schema": SCHEMA, "version": env!("CARGO_PKG_VERSION"), "graph": graph, "devices": rows }))?;
    } else {
        for (device, verdict, detail) in &rows {
            output.line(format_args!("{verdict} {device}: {detail}"))?;
        }
    }
    output.flush()?;
    outcome
}
