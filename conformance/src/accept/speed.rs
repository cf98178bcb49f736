//! How fast devices answer, and what memory their plans take.
//!
//! Throughput is of one batch of documents drawn evenly from the whole file, so that its lengths are the file's; latency is
//! of single documents, drawn likewise, one after another. Everything is compiled before it is timed. Memory is what the
//! planner knows: the weights of the program as the device is given them, its arena, and its inputs and outputs, at the
//! batch that throughput is measured at. It is the one measure that every device has alike; what a driver or a packed copy
//! of the weights takes beside it is not in it.

use super::task::Task;
use super::{Error, Result};
use lockstep_benches::turns::{Samples, in_turns};
use lockstep_runtime::hal::Location;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{RunOptions, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The most documents that latency is measured on.
const LATENCY_DOCUMENTS: usize = 100;
/// However slow, so many runs are timed for a percentile, and so many for throughput.
const FEWEST_LATENCIES: usize = 100;
const FEWEST_BATCHES: usize = 3;

/// Percentiles of the time that one document takes, alone in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many runs were timed.
    pub runs: usize,
    /// On how many different documents.
    pub documents: usize,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// The 95th percentile.
    pub p95_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

/// What the plan of one batch takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMemory {
    /// Weights, each once, in the dtypes that the device is given.
    pub weights: usize,
    /// The arena that intermediate values share.
    pub arena: usize,
    /// Inputs and outputs.
    pub inputs_and_outputs: usize,
}

impl PlannedMemory {
    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.arena + self.inputs_and_outputs
    }

    fn of(session: &Session, task: &dyn Task, documents: &[usize]) -> Result<Self> {
        let inputs = task.inputs(documents)?;
        let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let program = session.bind(&given, &RunOptions::new().outputs(&[task.output()]))?.0.program;
        let mut seen = BTreeSet::new();
        let mut memory = Self { weights: 0, arena: program.arena_bytes(), inputs_and_outputs: 0 };
        for operand in program.operands() {
            if let Location::Constant(constant) = &operand.location
                && seen.insert(constant.key())
            {
                memory.weights += operand.bytes();
            }
        }
        memory.inputs_and_outputs = program.io().iter().map(|&id| program.operand(id).bytes()).sum();
        Ok(memory)
    }
}

/// What was measured of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Documents per second, at the median time of a batch.
    pub documents_per_second: f64,
    /// The documents of such a batch.
    pub batch: usize,
    /// How many batches were timed.
    pub batches: usize,
    /// Single documents.
    pub latency: Latency,
    /// What the plan takes.
    pub planned_memory: PlannedMemory,
    /// The machine, in words.
    pub machine: String,
}

/// Measures the sessions in turns, on the first `count` documents; `time` is spent on each of throughput and latency, for
/// each session, or more where a session is too slow for a percentile.
///
/// # Errors
/// The first run that fails.
pub fn measure(
    sessions: &[&Session],
    task: &dyn Task,
    count: usize,
    batch: usize,
    time: Duration,
) -> Result<Vec<Measured>> {
    let together = evenly(count, batch);
    let batches = timed(sessions, task, std::slice::from_ref(&together), time, FEWEST_BATCHES)?;
    let alone: Vec<Vec<usize>> = evenly(count, LATENCY_DOCUMENTS).into_iter().map(|at| vec![at]).collect();
    let singles = timed(sessions, task, &alone, time, FEWEST_LATENCIES)?;
    (sessions.iter().zip(batches.iter().zip(&singles)))
        .map(|(session, (batches, singles))| {
            Ok(Measured {
                documents_per_second: together.len() as f64 / (batches.quantile_ms(0.5) / 1e3),
                batch: together.len(),
                batches: batches.runs(),
                latency: Latency {
                    runs: singles.runs(),
                    documents: alone.len(),
                    p50_ms: singles.quantile_ms(0.5),
                    p95_ms: singles.quantile_ms(0.95),
                    p99_ms: singles.quantile_ms(0.99),
                },
                planned_memory: PlannedMemory::of(session, task, &together)?,
                machine: machine(session),
            })
        })
        .collect()
}

/// At most `wanted` of `count` documents, at equal distances.
fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(count);
    (0..wanted).map(|at| at * count / wanted).collect()
}

/// Times runs of these batches, one after another and from the start again, after every session has run each once.
fn timed(
    sessions: &[&Session],
    task: &dyn Task,
    batches: &[Vec<usize>],
    time: Duration,
    fewest: usize,
) -> Result<Vec<Samples>> {
    let inputs = batches.iter().map(|documents| Ok(task.inputs(documents)?)).collect::<Result<Vec<_>>>()?;
    let run = |session: &Session, inputs: &[(&'static str, HostTensor)]| -> Result<Duration> {
        let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let options = RunOptions::new().outputs(&[task.output()]);
        let start = Instant::now();
        let result = session.run_with(&given, &options)?;
        std::hint::black_box(&result);
        Ok(start.elapsed())
    };
    for session in sessions {
        for inputs in &inputs {
            run(session, inputs)?;
        }
    }
    let mut calls: Vec<_> = sessions
        .iter()
        .map(|session| {
            let mut next = inputs.iter().cycle();
            let (inputs, run) = (&inputs, &run);
            move || run(session, next.next().unwrap_or(&inputs[0]))
        })
        .collect();
    let mut turns: Vec<&mut dyn FnMut() -> std::result::Result<Duration, Error>> =
        calls.iter_mut().map(|call| call as _).collect();
    Ok(in_turns(&mut turns, time, fewest)?.into_iter().map(Samples::from).collect())
}

/// What a device runs on; a simulator says so.
fn machine(session: &Session) -> String {
    let info = session.prepared().device().info();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let simulated = if info.simulated { ", simulated" } else { "" };
    format!(
        "{}{simulated}; host {} {} with {threads} hardware thread(s)",
        info.name,
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_drawn_from_the_whole_file() {
        assert_eq!(evenly(10, 4), [0, 2, 5, 7]);
        assert_eq!(evenly(3, 5), [0, 1, 2]);
        assert_eq!(evenly(0, 5), [0usize; 0]);
    }
}
