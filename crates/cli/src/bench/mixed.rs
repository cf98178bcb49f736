//! Texts of mixed length: what packing is worth.

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

const TEXTS: usize = 256;
const BATCH: usize = 32;

/// The same texts, packed and padded.
#[derive(Debug)]
pub(super) struct Measured {
    lengths: Vec<usize>,
    /// Of the texts alone, without padding.
    product_flops: u64,
    /// Packed, then padded.
    timings: Vec<Timing>,
}

/// Times passes over all texts, packed and padded in turns. Each batch has its own extents, so that a pass runs as many
/// programs as it has batches; they are compiled in the first pass, whose time is given apart.
///
/// # Errors
/// The first run that fails.
pub(super) fn measure(packed: &Contender, padded: &Contender, budget: Budget) -> Outcome<Measured> {
    let (model, mut random) = (packed.model(), SplitMix64::new(1));
    let longest = model.config().max_position_embeddings;
    let lengths: Vec<usize> = (0..TEXTS).map(|_| random.text_length().min(longest)).collect();
    let batches = lengths.chunks(BATCH).map(|lengths| TokenBatch::new(lengths, model.config(), &mut random));
    let batches = batches.collect::<Outcome<Vec<_>>>()?;
    let pass =
        |contender: &Contender| batches.iter().map(|batch| contender.time(batch)).sum::<Outcome<Duration>>();
    let timings = in_turns(&mut [&mut || pass(packed), &mut || pass(padded)], budget)?;
    let costs = lengths.iter().map(|&seq| Ok(cost(model.graph(), Shape { batch: 1, seq })?.product_flops));
    let product_flops = costs.sum::<Outcome<u64>>()?;
    Ok(Measured { lengths, product_flops, timings })
}

/// The whole run.
#[derive(Debug, Serialize)]
pub(super) struct MixedReport {
    pub(super) model: String,
    pub(super) machine: Machine,
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
    pub(super) share_of_peak: f64,
}

impl MixedReport {
    pub(super) fn new(
        folder: &Path,
        machine: Machine,
        peak: FmaPeak,
        contender: &Contender,
        measured: &Measured,
    ) -> Self {
        let result = |timing: &Timing| {
            let gflops = timing.per_second(measured.product_flops as f64) / 1e9;
            MixedResult {
                texts_per_second: timing.per_second(TEXTS as f64),
                gflops,
                share_of_peak: gflops / peak.gflops(contender.dtype().size()),
                timing: timing.clone(),
            }
        };
        let (packed, padded) = (&measured.timings[0], &measured.timings[1]);
        let tokens: usize = measured.lengths.iter().sum();
        let positions =
            measured.lengths.chunks(BATCH).map(|batch| batch.len() * batch.iter().max().unwrap_or(&0));
        Self {
            model: folder.display().to_string(),
            machine,
            device: contender.device().to_owned(),
            dtype: contender.dtype(),
            texts: TEXTS,
            batch: BATCH,
            mean_tokens: tokens as f64 / TEXTS as f64,
            padding_share: 1.0 - tokens as f64 / positions.sum::<usize>().max(1) as f64,
            packed: result(packed),
            padded: result(padded),
            packed_is_faster_by: padded.median_ms / packed.median_ms,
        }
    }
}
