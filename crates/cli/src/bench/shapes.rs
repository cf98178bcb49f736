//! Full batches of one length.

use super::contender::{Contender, Run};
use super::limits::{Limits, Shares};
use super::measure::{Budget, Timing, in_turns};
use super::projection::Projection;
use super::{Machine, SCHEMA};
use crate::arguments::Shape;
use crate::failure::Outcome;
use crate::inspect::cost;
use crate::tokens::{SplitMix64, TokenBatch};
use lockstep_benches::fma_peak::FmaPeak;
use lockstep_runtime::tensor::DType;
use serde::Serialize;
use std::path::Path;

/// All contenders at one shape.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) shape: Shape,
    pub(super) product_flops: u64,
    /// What each moves, then how long each takes.
    pub(super) traffic: Vec<u64>,
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
    let mut turns: Vec<&mut dyn FnMut() -> Outcome<Run>> = timed.iter_mut().map(|time| time as _).collect();
    let timings = in_turns(&mut turns, budget)?;
    let traffic = contenders.iter().map(|contender| contender.traffic(&batch)).collect::<Outcome<_>>()?;
    Ok(Measured { shape, product_flops: cost(model.graph(), shape)?.product_flops, traffic, timings })
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct ShapesReport {
    /// Counts changes that break the readers of this JSON.
    pub(super) schema: &'static str,
    pub(super) version: &'static str,
    pub(super) model: String,
    /// The processor's peak, where a device's speed is a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<Machine>,
    pub(super) devices: Vec<Limits>,
    pub(super) results: Vec<ShapeResult>,
    /// What the same work would take elsewhere, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) projections: Vec<Projection>,
}

/// One device at one shape.
#[derive(Debug, Serialize)]
pub(super) struct ShapeResult {
    pub(super) batch: usize,
    pub(super) seq: usize,
    pub(super) device: String,
    pub(super) simulated: bool,
    pub(super) dtype: DType,
    #[serde(flatten)]
    pub(super) timing: Timing,
    pub(super) sequences_per_second: f64,
    pub(super) gflops: f64,
    #[serde(flatten)]
    pub(super) shares: Shares,
    /// The first device's speed over this one's: its median into this one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_device_is_faster_by: Option<f64>,
}

impl ShapesReport {
    pub(super) fn new(
        folder: &Path,
        peak: Option<FmaPeak>,
        devices: Vec<Limits>,
        measured: Vec<Measured>,
        projections: Vec<Projection>,
    ) -> Self {
        let mut results = Vec::new();
        for Measured { shape, product_flops, traffic, timings } in measured {
            let first = timings[0].median_ms;
            for (at, ((timing, bytes), limits)) in timings.into_iter().zip(traffic).zip(&devices).enumerate()
            {
                let device_ms = timing.on_device.map(|times| times.median_ms);
                results.push(ShapeResult {
                    batch: shape.batch,
                    seq: shape.seq,
                    device: limits.device.clone(),
                    simulated: limits.simulated,
                    dtype: limits.dtype,
                    sequences_per_second: timing.per_second(shape.batch as f64),
                    gflops: timing.per_second(product_flops as f64) / 1e9,
                    shares: limits.shares(peak, product_flops, bytes, timing.median_ms, device_ms),
                    first_device_is_faster_by: (at > 0).then(|| timing.median_ms / first),
                    timing,
                });
            }
        }
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            model: folder.display().to_string(),
            machine: peak.map(Machine::new),
            devices,
            results,
            projections,
        }
    }
}
