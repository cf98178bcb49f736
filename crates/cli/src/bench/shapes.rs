//! Full batches of one length.

use super::Machine;
use super::contender::Contender;
use super::measure::{Budget, Timing, in_turns};
use crate::arguments::Shape;
use crate::failure::Outcome;
use crate::inspect::cost;
use crate::tokens::{SplitMix64, TokenBatch};
use lockstep_benches::fma_peak::FmaPeak;
use lockstep_runtime::tensor::DType;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// All contenders at one shape.
#[derive(Debug)]
pub(super) struct Measured {
    shape: Shape,
    product_flops: u64,
    timings: Vec<Timing>,
}

/// Times the contenders at a shape, in turns.
///
/// # Errors
/// The first run that fails.
pub(super) fn measure(contenders: &[Contender], shape: Shape, budget: Budget) -> Outcome<Measured> {
    let model = contenders[0].model();
    let lengths = vec![shape.seq; shape.batch];
    let batch = TokenBatch::new(&lengths, model.config(), &mut SplitMix64::new(1))?;
    let mut timed: Vec<_> = contenders.iter().map(|contender| || contender.time(&batch)).collect();
    let mut turns: Vec<&mut dyn FnMut() -> Outcome<Duration>> =
        timed.iter_mut().map(|time| time as _).collect();
    let timings = in_turns(&mut turns, budget)?;
    Ok(Measured { shape, product_flops: cost(model.graph(), shape)?.product_flops, timings })
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct ShapesReport {
    pub(super) model: String,
    pub(super) machine: Machine,
    pub(super) results: Vec<ShapeResult>,
}

/// One device at one shape.
#[derive(Debug, Serialize)]
pub(super) struct ShapeResult {
    pub(super) batch: usize,
    pub(super) seq: usize,
    pub(super) device: String,
    pub(super) dtype: DType,
    #[serde(flatten)]
    pub(super) timing: Timing,
    pub(super) sequences_per_second: f64,
    pub(super) gflops: f64,
    pub(super) share_of_peak: f64,
    /// The first device's speed over this one's: its median into this one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_device_is_faster_by: Option<f64>,
}

impl ShapesReport {
    pub(super) fn new(
        folder: &Path,
        machine: Machine,
        peak: FmaPeak,
        contenders: &[Contender],
        measured: Vec<Measured>,
    ) -> Self {
        let mut results = Vec::new();
        for Measured { shape, product_flops, timings } in measured {
            let first = timings[0].median_ms;
            for (at, (timing, contender)) in timings.into_iter().zip(contenders).enumerate() {
                let gflops = timing.per_second(product_flops as f64) / 1e9;
                results.push(ShapeResult {
                    batch: shape.batch,
                    seq: shape.seq,
                    device: contender.device().to_owned(),
                    dtype: contender.dtype(),
                    sequences_per_second: timing.per_second(shape.batch as f64),
                    gflops,
                    share_of_peak: gflops / peak.gflops(contender.dtype().size()),
                    first_device_is_faster_by: (at > 0).then(|| timing.median_ms / first),
                    timing,
                });
            }
        }
        Self { model: folder.display().to_string(), machine, results }
    }
}
