//! One model on one device, ready to be measured.

use super::limits::{Limits, Roofline};
use crate::backends;
use crate::failure::{Failure, Outcome};
use crate::inspect::load;
use crate::tokens::TokenBatch;
use lockstep_benches::traffic::traffic;
use lockstep_bert::BertModel;
use lockstep_runtime::hal::Work;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, Packing, RunOptions, Session};
use std::iter::Sum;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Compiled programs of all shapes stay, so that no run is of a program compiled again.
const CACHE_BYTES: usize = 4 << 30;

/// A model on a device.
#[derive(Debug)]
pub(super) struct Contender {
    model: BertModel,
    dtype: DType,
    session: Session,
}

/// How long one run took, or several one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// From inputs on the host to outputs on the host.
    pub(super) end_to_end: Duration,
    /// On the device itself, where it measures that of each run.
    pub(super) on_device: Option<Duration>,
    /// What they asked of the device, where it keeps count.
    pub(super) work: Option<Work>,
}

impl Sum for Run {
    fn sum<I: Iterator<Item = Self>>(runs: I) -> Self {
        let add = |sum: Self, run: Self| Self {
            end_to_end: sum.end_to_end + run.end_to_end,
            on_device: sum.on_device.zip(run.on_device).map(|(sum, run)| sum + run),
            work: sum.work.zip(run.work).map(|(sum, run)| Work {
                operators: sum.operators + run.operators,
                submissions: sum.submissions + run.submissions,
                waits: sum.waits + run.waits,
                device_bytes: sum.device_bytes.max(run.device_bytes),
            }),
        };
        runs.reduce(add).unwrap_or_default()
    }
}

impl Contender {
    /// Opens a device by name and loads the model in its dtype.
    ///
    /// # Errors
    /// An unknown device, a dtype it lacks, a model that cannot be loaded, nodes that it refuses.
    pub(super) fn open(
        folder: &Path,
        spec: &str,
        dtype: Option<DType>,
        threads: Option<usize>,
        packing: Packing,
    ) -> Outcome<Self> {
        let device = backends::open(spec, threads)?;
        let (model, dtype) = load(folder, device.as_ref(), dtype)?;
        let builder = Session::builder(model.graph().clone()).device(device).packing(packing);
        let session = builder.cache_bytes(CACHE_BYTES).build()?;
        Ok(Self { model, dtype, session })
    }

    pub(super) fn model(&self) -> &BertModel {
        &self.model
    }

    pub(super) fn device(&self) -> &Arc<dyn Device> {
        self.session.prepared().device()
    }

    /// The dtype that it computes in.
    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// What this device's speed is a share of, in the model's dtype.
    ///
    /// # Errors
    /// As [`Limits::measure`].
    pub(super) fn limits(&self, roofline: Roofline) -> Outcome<Limits> {
        Limits::measure(self.device(), self.dtype, roofline)
    }

    /// Runs a batch and gives the time that it took.
    ///
    /// # Errors
    /// A run that failed.
    pub(super) fn time(&self, batch: &TokenBatch) -> Outcome<Run> {
        let start = Instant::now();
        let result = self.session.run(&batch.inputs()).map_err(|error| Failure::of(&error))?;
        let end_to_end = start.elapsed();
        let result = std::hint::black_box(&result);
        Ok(Run { end_to_end, on_device: result.device_time(), work: result.work() })
    }

    /// The bytes that the device moves in a run of this batch.
    ///
    /// # Errors
    /// Those of binding the program.
    pub(super) fn traffic(&self, batch: &TokenBatch) -> Outcome<u64> {
        let (bound, _) = self.session.bind(&batch.inputs(), &RunOptions::new())?;
        Ok(traffic(&bound.program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(end_to_end: u64, on_device: Option<u64>) -> Run {
        let ms = Duration::from_millis;
        Run { end_to_end: ms(end_to_end), on_device: on_device.map(ms), work: None }
    }

    #[test]
    fn a_pass_has_a_device_time_if_every_run_of_it_has() {
        let all = [run(3, Some(1)), run(4, Some(2))];
        assert_eq!(all.into_iter().sum::<Run>(), run(7, Some(3)));
        assert_eq!([all[0], run(4, None)].into_iter().sum::<Run>(), run(7, None));
    }
}
