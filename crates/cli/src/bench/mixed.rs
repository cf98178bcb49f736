//! Texts of mixed length: what packing is worth.

use super::contender::{Contender, Run};
use super::limits::{Limits, Shares};
use super::measure::{Budget, Timing, in_turns};
use super::{Machine, SCHEMA};
use crate::arguments::Shape;
use crate::failure::{Failure, Outcome};
use crate::inspect::cost;
use crate::tokens::{SplitMix64, TokenBatch};
use lockstep_benches::fma_peak::FmaPeak;
use lockstep_runtime::tensor::DType;
use serde::Serialize;
use std::path::Path;

const TEXTS: usize = 256;
const BATCH: usize = 32;

/// The same texts, packed and padded.
#[derive(Debug)]
pub(super) struct Measured {
    lengths: Vec<usize>,
    /// Of the texts alone, without padding.
    product_flops: u64,
    /// Of a pass: packed, then padded.
    traffic: [u64; 2],
    timings: Vec<Timing>,
}

/// Lengths of [`TEXTS`] texts, the same in every run, none above `longest`.
pub(super) fn drawn(longest: usize) -> Vec<usize> {
    let mut random = SplitMix64::new(1);
    (0..TEXTS).map(|_| random.text_length().min(longest)).collect()
}

/// The lengths that a file has, one a line.
///
/// # Errors
/// A file that cannot be read; a line that is no length of 1 to `longest`, by its number; a file without any.
pub(super) fn read(path: &Path, longest: usize) -> Outcome<Vec<usize>> {
    let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let length = |(at, line): (usize, &str)| {
        let length = line.trim().parse().ok().filter(|length| (1..=longest).contains(length));
        length.ok_or_else(|| {
            failed(format!("line {}: `{line}` is no number of tokens, 1 to {longest} of this model", at + 1))
        })
    };
    let lengths: Vec<usize> = text.lines().enumerate().map(length).collect::<Outcome<_>>()?;
    if lengths.is_empty() {
        return Err(failed("has no length; write one per line".to_owned()));
    }
    Ok(lengths)
}

/// Times passes over all texts, packed and padded in turns. Each batch has its own extents, so that a pass runs as many
/// programs as it has batches; they are compiled in the first pass, whose time is given apart.
///
/// # Errors
/// The first run that fails.
pub(super) fn measure(
    packed: &Contender,
    padded: &Contender,
    lengths: Vec<usize>,
    budget: Budget,
) -> Outcome<Measured> {
    let (model, mut random) = (packed.model(), SplitMix64::new(1));
    let batches = lengths.chunks(BATCH).map(|lengths| TokenBatch::new(lengths, model.config(), &mut random));
    let batches = batches.collect::<Outcome<Vec<_>>>()?;
    let pass =
        |contender: &Contender| batches.iter().map(|batch| contender.time(batch)).sum::<Outcome<Run>>();
    let timings = in_turns(&mut [&mut || pass(packed), &mut || pass(padded)], budget)?;
    let traffic =
        |contender: &Contender| batches.iter().map(|batch| contender.traffic(batch)).sum::<Outcome<u64>>();
    let traffic = [traffic(packed)?, traffic(padded)?];
    let costs = lengths.iter().map(|&seq| Ok(cost(model.graph(), Shape { batch: 1, seq })?.product_flops));
    let product_flops = costs.sum::<Outcome<u64>>()?;
    Ok(Measured { lengths, product_flops, traffic, timings })
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct MixedReport {
    /// Counts changes that break the readers of this JSON.
    pub(super) schema: &'static str,
    pub(super) version: &'static str,
    pub(super) model: String,
    /// The processor's peak, where the device's speed is a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<Machine>,
    pub(super) devices: Vec<Limits>,
    pub(super) device: String,
    pub(super) dtype: DType,
    pub(super) texts: usize,
    pub(super) batch: usize,
    pub(super) mean_tokens: f64,
    /// The share of positions that are padding when batches are padded.
    pub(super) padding_share: f64,
    pub(super) packed: MixedResult,
    pub(super) padded: MixedResult,
    pub(super) packed_is_faster_by: f64,
}

/// One way to run the texts.
#[derive(Debug, Serialize)]
pub(super) struct MixedResult {
    #[serde(flatten)]
    pub(super) timing: Timing,
    pub(super) texts_per_second: f64,
    /// Of the texts' own products; what is spent on padding does not count.
    pub(super) gflops: f64,
    #[serde(flatten)]
    pub(super) shares: Shares,
}

impl MixedReport {
    pub(super) fn new(folder: &Path, peak: Option<FmaPeak>, limits: Limits, measured: &Measured) -> Self {
        let texts = measured.lengths.len();
        let result = |at: usize| {
            let (timing, flops) = (&measured.timings[at], measured.product_flops);
            let device_ms = timing.on_device.map(|times| times.median_ms);
            MixedResult {
                texts_per_second: timing.per_second(texts as f64),
                gflops: timing.per_second(flops as f64) / 1e9,
                shares: limits.shares(peak, flops, measured.traffic[at], timing.median_ms, device_ms),
                timing: timing.clone(),
            }
        };
        let (packed, padded) = (result(0), result(1));
        let tokens: usize = measured.lengths.iter().sum();
        let positions =
            measured.lengths.chunks(BATCH).map(|batch| batch.len() * batch.iter().max().unwrap_or(&0));
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            model: folder.display().to_string(),
            machine: peak.map(Machine::new),
            device: limits.device.clone(),
            dtype: limits.dtype,
            devices: vec![limits],
            texts,
            batch: BATCH,
            mean_tokens: tokens as f64 / texts as f64,
            padding_share: 1.0 - tokens as f64 / positions.sum::<usize>().max(1) as f64,
            packed_is_faster_by: padded.timing.median_ms / packed.timing.median_ms,
            packed,
            padded,
        }
    }
}
