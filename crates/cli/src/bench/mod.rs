//! `lockstep bench`.

mod contender;
mod limits;
mod measure;
mod mixed;
mod print;
mod projection;
mod shapes;

use crate::arguments::{self, DeviceArguments, Shape};
use crate::failure::{Failure, Outcome};
use crate::inspect::check_length;
use crate::output::Output;
use clap::Args;
use contender::Contender;
use limits::Roofline;
use lockstep_benches::fma_peak::{self, FmaPeak};
use lockstep_runtime::Packing;
use measure::Budget;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long the machine's peak is measured, before and after.
const PEAK_TIME: Duration = Duration::from_millis(300);

/// Of the JSON of both reports.
const SCHEMA: &str = "lockstep-bench/1";

/// What is measured when no shape is asked for: one short text, one, a few, many.
const DEFAULT_SHAPES: [Shape; 4] = [
    Shape { batch: 1, seq: 32 },
    Shape { batch: 1, seq: 128 },
    Shape { batch: 8, seq: 128 },
    Shape { batch: 32, seq: 128 },
];

/// A model, shapes, and whom to measure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep bench models/bert-small/document-classifier
  lockstep bench MODEL --shape 8x128 --shape 32x128 --threads 2 --beside candle
  lockstep bench MODEL --mixed
  lockstep bench MODEL --device cuda:0 --dtype f16 --shape 1x128 --shape 32x128
  lockstep bench MODEL --device ascend-sim --dtype f16 --shape 32x128 --project

Inputs are random token ids, every sequence as long as the shape says. Devices take turns within each shape, so that \
what else the machine does befalls all of them. Times are from inputs on the host to outputs on the host, and apart from that \
on the device, where it measures that. The share of peak is of this machine's fused multiply-adds, measured in \
the same run on as many threads, and counts matrix products and attention alone. A device that is not this machine's \
processor has a roofline instead: the time of its products and then its traffic, at the rates of a large product in the dtype and \
of a large copy, both measured on the device in the same run. A simulated device has neither.")]
pub(crate) struct BenchArguments {
    /// A Hugging Face or sentence-transformers folder; it needs no tokenizer
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// BATCHxTOKENS; may be given several times [default: 1x32 1x128 8x128 32x128]
    #[arg(long, value_name = "SHAPE", num_args = 1.., conflicts_with = "mixed")]
    shape: Vec<Shape>,
    /// Measure this device too, and give the ratio; may be given several times
    #[arg(long, value_name = "DEVICE")]
    beside: Vec<String>,
    /// Measure 256 texts of 8 to 256 tokens (mean about 60) in batches of 32 instead: packed against padded
    #[arg(long, conflicts_with = "beside")]
    mixed: bool,
    /// With --mixed: texts of the lengths that this file has, one a line, instead
    #[arg(long, value_name = "FILE", requires = "mixed")]
    lengths: Option<PathBuf>,
    /// Whether the device's copy and product rates are measured, for the share of its roofline
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Roofline::Auto)]
    roofline: Roofline,
    /// Also say what the same work would take on an A100 and on an Ascend 910B3 at their stated peak rates; f16 alone
    #[arg(long, conflicts_with = "mixed")]
    project: bool,
    /// How long each device is measured for each shape
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = arguments::seconds)]
    seconds: f64,
}

/// What the processor can do, as the report says it.
#[derive(Debug, Serialize)]
struct Machine {
    threads: usize,
    fma_instructions: &'static str,
    fma_peak_gflops: f64,
}

impl Machine {
    fn new(peak: FmaPeak) -> Self {
        Self { threads: peak.threads, fma_instructions: peak.instructions, fma_peak_gflops: peak.f32_gflops }
    }
}

/// Measures the shapes, or mixed lengths.
pub(crate) fn bench(arguments: &BenchArguments, output: &mut Output) -> Outcome {
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    let used_threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let open = |spec: &str, packing| Contender::open(&arguments.model, spec, *dtype, *threads, packing);
    let budget = Budget { time: Duration::from_secs_f64(arguments.seconds) };
    if arguments.mixed {
        // Padded first, which any device can; a device that cannot pack says so before anything is measured.
        let padded = open(device, Packing::Off)?;
        let packed = open(device, Packing::Required)?;
        let longest = packed.model().config().max_position_embeddings;
        let lengths = match &arguments.lengths {
            Some(file) => mixed::read(file, longest)?,
            None => mixed::drawn(longest),
        };
        let limits = packed.limits(arguments.roofline)?;
        let (measured, peak) = beside_peak(limits.has_fma_peak.then_some(used_threads), || {
            mixed::measure(&packed, &padded, lengths, budget)
        })?;
        let report = mixed::MixedReport::new(&arguments.model, peak, limits, &measured);
        return if output.is_json() { output.json_line(&report) } else { print::mixed(&report, output) };
    }
    if arguments.beside.contains(device) {
        return Err(Failure::Usage(format!("--beside {device} is the device itself; name another one")));
    }
    let mut contenders = vec![open(device, Packing::Auto)?];
    for spec in &arguments.beside {
        contenders.push(open(spec, Packing::Auto)?);
    }
    if arguments.project {
        projection::check(&contenders)?;
    }
    let model = contenders[0].model();
    let shapes: Vec<Shape> = if arguments.shape.is_empty() {
        let mut shapes =
            DEFAULT_SHAPES.map(|shape| shape.within(model.config().max_position_embeddings)).to_vec();
        shapes.dedup();
        shapes
    } else {
        arguments.shape.iter().map(|&shape| check_length(shape, model)).collect::<Outcome<_>>()?
    };
    let devices = contenders.iter().map(|contender| contender.limits(arguments.roofline));
    let devices = devices.collect::<Outcome<Vec<_>>>()?;
    let has_fma_peak = devices.iter().any(|limits| limits.has_fma_peak);
    let (measured, peak) = beside_peak(has_fma_peak.then_some(used_threads), || {
        let measured = shapes.into_iter().map(|shape| shapes::measure(&contenders, shape, budget));
        measured.collect::<Outcome<Vec<_>>>()
    })?;
    let labels: Vec<String> = devices.iter().map(limits::Limits::label).collect();
    let projections = if arguments.project { projection::project(&measured, &labels) } else { Vec::new() };
    let report = shapes::ShapesReport::new(&arguments.model, peak, devices, measured, projections);
    if output.is_json() { output.json_line(&report) } else { print::shapes(&report, output) }
}

/// A measurement, and the higher peak of the processor before and after it, on so many threads; no threads, no peak.
fn beside_peak<T>(
    threads: Option<usize>,
    measure: impl FnOnce() -> Outcome<T>,
) -> Outcome<(T, Option<FmaPeak>)> {
    let peak = || threads.map(|threads| fma_peak::measure(threads, PEAK_TIME));
    let before = peak();
    let measured = measure()?;
    let peaks = before.zip(peak());
    Ok((measured, peaks.map(|(before, after)| before.max(after))))
}
