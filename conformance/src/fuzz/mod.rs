//! Random graphs on one device, each judged without any tolerance; what fails is shrunk to a small graph that fails in the same
//! way.
//!
//! Cases test ops one by one on values that somebody thought of. Here ops meet: fused, folded, in shared memory, on values that
//! other ops made. The generator of `crates/plan/tests/random_graphs.rs` has another purpose: whole numbers that f32 holds exactly,
//! so that a plan can be compared by equality with the graph as it was written; it cannot have a division, an exponential or a
//! norm. Graphs follow from their seeds alone: a seed and a dtype are all that is needed to see a failure again.

mod generate;
mod grow;
mod judge;
mod keep;
mod shrink;
mod sketch;
mod values;

pub use judge::{Failure, Finding, Step, Way, judge};
pub use keep::{KeepError, Kept, keep, kept};
pub use sketch::{Leaf, Sketch, SketchNode, Source};

use crate::pulse::Stopped;
use crate::verdict::Verdict;
use lockstep_runtime::hal::Error as DeviceError;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found on one device in one dtype.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fuzzed {
    /// The device.
    pub device: String,
    /// What it calls itself.
    pub name: String,
    /// Whether it is a simulator.
    pub simulated: bool,
    /// The dtype of most values.
    pub dtype: DType,
    /// The first graph's seed; each next one's is one more.
    pub seed: u64,
    /// How many graphs were to be run.
    pub graphs: usize,
    /// Graphs whose every step holds.
    pub held: usize,
    /// Graphs that the device refuses, which says nothing about the rest of them.
    pub refused: usize,
    /// Graphs that were not run, since the device was lost.
    pub not_run: usize,
    /// Steps that hold, by op.
    pub steps: BTreeMap<String, usize>,
    /// How many of them are SUSPECT.
    pub suspects: usize,
    /// What was refused and why, and how often.
    pub refusals: BTreeMap<String, usize>,
    /// The graphs that fail.
    pub failures: Vec<Found>,
    /// Where the device was lost, if it was.
    pub stopped: Option<Stopped>,
}

/// A graph that fails.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The graph's own seed.
    pub seed: u64,
    /// How it fails.
    pub failure: Failure,
    /// How many nodes it had.
    pub nodes: usize,
    /// The smallest graph found that fails in the same way.
    #[serde(skip)]
    pub sketch: Sketch,
    /// The same, in words.
    pub shrunk: Vec<String>,
}

/// The graph of a seed in a dtype, before any shrinking.
pub fn sketch(seed: u64, dtype: DType) -> Sketch {
    generate::sketch(seed, dtype)
}

/// Runs so many graphs; `progress` is told of each that is done, and of how many there are.
///
/// # Errors
/// Those of the oracle. What the device fails at is no error.
pub fn fuzz(
    device: &Arc<dyn Device>,
    dtype: DType,
    seed: u64,
    graphs: usize,
    progress: &dyn Fn(usize, usize),
) -> Result<Fuzzed> {
    let info = device.info();
    let mut found = Fuzzed {
        device: info.id.clone(),
        name: info.name.clone(),
        simulated: info.simulated,
        dtype,
        seed,
        graphs,
        held: 0,
        refused: 0,
        not_run: 0,
        steps: BTreeMap::new(),
        suspects: 0,
        refusals: BTreeMap::new(),
        failures: Vec::new(),
        stopped: None,
    };
    for at in 0..graphs {
        if found.stopped.is_some() {
            found.not_run += 1;
        } else {
            found.graph(device, seed.wrapping_add(at as u64))?;
        }
        progress(at + 1, graphs);
    }
    Ok(found)
}

impl Fuzzed {
    /// Whether the device ran at least one graph, was not lost, and failed at none.
    pub fn holds(&self) -> bool {
        self.failures.is_empty() && self.stopped.is_none() && (self.held > 0 || self.graphs == 0)
    }

    fn graph(&mut self, device: &Arc<dyn Device>, seed: u64) -> Result<()> {
        let sketch = generate::sketch(seed, self.dtype);
        let graph = sketch.graph().map_err(DeviceError::from)?;
        match judge(device, &graph, &sketch.inputs())? {
            Finding::Held(steps) => {
                self.held += 1;
                for step in steps {
                    self.suspects += usize::from(step.verdict == Verdict::Suspect);
                    *self.steps.entry(step.op).or_default() += 1;
                }
            }
            Finding::Refused(reasons) => {
                self.refused += 1;
                for reason in reasons {
                    *self.refusals.entry(reason).or_default() += 1;
                }
            }
            Finding::Stopped(stopped) => {
                self.not_run += 1;
                self.stopped = Some(stopped);
            }
            Finding::Failed(failure) => {
                let nodes = sketch.nodes.len();
                let sketch = shrink::shrunk(device, sketch, &failure)?;
                let shrunk = sketch.describe();
                self.failures.push(Found { seed, failure, nodes, sketch, shrunk });
            }
        }
        Ok(())
    }
}
