//! Measurements for a person.

use super::Machine;
use super::measure::Timing;
use super::mixed::{MixedReport, MixedResult};
use super::shapes::ShapesReport;
use crate::arguments::Shape;
use crate::failure::Outcome;
use crate::output::Output;
use crate::table::table;

fn machine(machine: &Machine, output: &mut Output) -> Outcome {
    let Machine { threads, fma_instructions, fma_peak_gflops } = machine;
    let threads = if *threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    output.line(format_args!("{threads}; FMA peak {fma_peak_gflops:.1} GFLOP/s in f32 ({fma_instructions})"))
}

fn times(timing: &Timing) -> [String; 4] {
    let Timing { median_ms, p10_ms, p90_ms, first_ms, .. } = timing;
    [median_ms, p10_ms, p90_ms, first_ms].map(|ms| format!("{ms:.3}"))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

pub(super) fn shapes(report: &ShapesReport, output: &mut Output) -> Outcome {
    output.line(format_args!("{}", report.model))?;
    machine(&report.machine, output)?;
    let compares = report.results.iter().any(|result| result.first_device_is_faster_by.is_some());
    let mut titles =
        vec!["shape", "device", "dtype", ">median ms", ">p10", ">p90", ">first run", ">sequences/s"];
    titles.extend([">GFLOP/s", ">of peak"]);
    if compares {
        titles.push(">first device is");
    }
    let mut list = table(&titles);
    for result in &report.results {
        let shape = Shape { batch: result.batch, seq: result.seq };
        let mut row = vec![shape.to_string(), result.device.clone(), result.dtype.to_string()];
        row.extend(times(&result.timing));
        row.push(format!("{:.1}", result.sequences_per_second));
        row.push(format!("{:.1}", result.gflops));
        row.push(percent(result.share_of_peak));
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
    output.line(format_args!("{}", list.trim_fmt()))
}

pub(super) fn mixed(report: &MixedReport, output: &mut Output) -> Outcome {
    output.line(format_args!("{}, on {} in {}", report.model, report.device, report.dtype))?;
    machine(&report.machine, output)?;
    output.line(format_args!(
        "{} texts of {:.1} tokens on average, in batches of {}; padded, {} of all positions are padding",
        report.texts,
        report.mean_tokens,
        report.batch,
        percent(report.padding_share)
    ))?;
    let titles =
        ["sequences", ">median ms", ">p10", ">p90", ">first pass", ">texts/s", ">GFLOP/s", ">of peak"];
    let mut list = table(&titles);
    for (name, result) in [("packed", &report.packed), ("padded", &report.padded)] {
        let MixedResult { timing, texts_per_second, gflops, share_of_peak } = result;
        let mut row = vec![name.to_owned()];
        row.extend(times(timing));
        row.extend([format!("{texts_per_second:.1}"), format!("{gflops:.1}"), percent(*share_of_peak)]);
        list.add_row(row);
    }
    output.line(format_args!("{}", list.trim_fmt()))?;
    output.line(format_args!("packed is {:.2} x as fast", report.packed_is_faster_by))
}
