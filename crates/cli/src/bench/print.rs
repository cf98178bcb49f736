//! Measurements for a person. A column that nothing has a value for is left out.

use super::Machine;
use super::limits::{Limits, Shares};
use super::measure::Timing;
use super::mixed::MixedReport;
use super::projection;
use super::shapes::ShapesReport;
use crate::arguments::Shape;
use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;

fn header(machine: Option<&Machine>, devices: &[Limits], output: &mut Output) -> Outcome {
    if let Some(Machine { threads, fma_instructions, fma_peak_gflops }) = machine {
        let threads = if *threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        let peak = format!("FMA peak {fma_peak_gflops:.1} GFLOP/s in f32 ({fma_instructions})");
        output.line(format_args!("{threads}; {peak}"))?;
    }
    devices.iter().try_for_each(|device| device.print(output))
}

/// Which columns there are, beside those that every run has.
#[derive(Clone, Copy, Default)]
struct Columns {
    on_device: bool,
    work: bool,
    peak: bool,
    roofline: bool,
}

impl Columns {
    fn of<'a>(runs: impl Iterator<Item = (&'a Timing, &'a Shares)>) -> Self {
        runs.fold(Self::default(), |columns, (timing, shares)| Self {
            on_device: columns.on_device || timing.on_device.is_some(),
            work: columns.work || timing.work.is_some(),
            peak: columns.peak || shares.share_of_peak.is_some(),
            roofline: columns.roofline || shares.share_of_roofline.is_some(),
        })
    }

    fn times(self, first: &'static str) -> Vec<&'static str> {
        let mut titles = vec![">median ms", ">p10", ">p90", ">p95", ">p99", first];
        if self.on_device {
            titles.extend([">on device ms", ">p95", ">p99"]);
        }
        if self.work {
            titles.extend([">operators", ">submitted", ">waits", ">device MiB"]);
        }
        titles
    }

    fn shares(self) -> Vec<&'static str> {
        let peak = self.peak.then_some(">of peak");
        peak.into_iter().chain(self.roofline.then_some(">of roofline")).collect()
    }

    fn time_cells(self, timing: &Timing) -> Vec<String> {
        let Timing { median_ms, p10_ms, p90_ms, p95_ms, p99_ms, first_ms, .. } = *timing;
        let ms = |ms: f64| format!("{ms:.3}");
        let mut cells = [median_ms, p10_ms, p90_ms, p95_ms, p99_ms, first_ms].map(ms).to_vec();
        if self.on_device {
            let times = timing.on_device.map(|times| [times.median_ms, times.p95_ms, times.p99_ms]);
            cells.extend(times.map_or_else(|| ["-"; 3].map(String::from), |times| times.map(ms)));
        }
        if self.work {
            let counted = timing.work.map(|work| {
                let mebibytes = format!("{:.1}", work.device_bytes as f64 / f64::from(1 << 20));
                [work.operators.to_string(), work.submissions.to_string(), work.waits.to_string(), mebibytes]
            });
            cells.extend(counted.unwrap_or_else(|| ["-"; 4].map(String::from)));
        }
        cells
    }

    fn share_cells(self, shares: &Shares) -> Vec<String> {
        let shown = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
        let peak = self.peak.then(|| shown(shares.share_of_peak));
        peak.into_iter().chain(self.roofline.then(|| shown(shares.share_of_roofline))).collect()
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn shapes(report: &ShapesReport, output: &mut Output) -> Outcome {
    output.line(format_args!("{}", report.model))?;
    header(report.machine.as_ref(), &report.devices, output)?;
    let columns = Columns::of(report.results.iter().map(|result| (&result.timing, &result.shares)));
    let compares = report.results.iter().any(|result| result.first_device_is_faster_by.is_some());
    let mut titles = vec!["shape", "device", "dtype"];
    titles.extend(columns.times(">first run"));
    titles.extend([">sequences/s", ">GFLOP/s"]);
    titles.extend(columns.shares());
    if compares {
        titles.push(">first device is");
    }
    let mut list = table(&titles);
    for (result, limits) in report.results.iter().zip(report.devices.iter().cycle()) {
        let shape = Shape { batch: result.batch, seq: result.seq };
        let mut row = vec![shape.to_string(), limits.label(), result.dtype.to_string()];
        row.extend(columns.time_cells(&result.timing));
        row.push(format!("{:.1}", result.sequences_per_second));
        row.push(format!("{:.1}", result.gflops));
        row.extend(columns.share_cells(&result.shares));
        if compares {
            row.push(
                result
                    .first_device_is_faster_by
                    .map(|ratio| format!("{ratio:.2} x as fast"))
                    .unwrap_or_default(),
            );
        }
        list.add_row(row);
    }
    output.line(format_args!("{}", list.trim_fmt()))?;
    projection::print(&report.projections, output)
}

pub(super) fn mixed(report: &MixedReport, output: &mut Output) -> Outcome {
    let device = report.devices.first().map_or_else(|| report.device.clone(), Limits::label);
    output.line(format_args!("{}, on {device} in {}", report.model, report.dtype))?;
    header(report.machine.as_ref(), &report.devices, output)?;
    output.line(format_args!(
        "{} texts of {:.1} tokens on average, in batches of {}; padded, {} of all positions are padding",
        report.texts,
        report.mean_tokens,
        report.batch,
        percent(report.padding_share)
    ))?;
    let ways = [("packed", &report.packed), ("padded", &report.padded)];
    let columns = Columns::of(ways.iter().map(|(_, result)| (&result.timing, &result.shares)));
    let mut titles = vec!["sequences"];
    titles.extend(columns.times(">first pass"));
    titles.extend([">texts/s", ">GFLOP/s"]);
    titles.extend(columns.shares());
    let mut list = table(&titles);
    for (name, result) in ways {
        let mut row = vec![name.to_owned()];
        row.extend(columns.time_cells(&result.timing));
        row.extend([format!("{:.1}", result.texts_per_second), format!("{:.1}", result.gflops)]);
        row.extend(columns.share_cells(&result.shares));
        list.add_row(row);
    }
    output.line(format_args!("{}", list.trim_fmt()))?;
    output.line(format_args!("packed is {:.2} x as fast", report.packed_is_faster_by))
}
