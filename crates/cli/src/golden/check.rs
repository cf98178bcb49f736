//! `lockstep golden check`.

use crate::arguments::DeviceArguments;
use crate::backends;
use crate::compare::outcome_of;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::progress_bar;
use crate::reports::{ReportArguments, command_line};
use crate::table::table;
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::golden::{Pack, ValueReport, check as check_pack};
use lockstep_conformance::report::{GoldenReport, shown};
use lockstep_runtime::Session;
use std::path::PathBuf;

/// A pack and a device.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lockstep golden check pack --device cpu --model models/bert-small/document-classifier

`error` is the distance from the truth, computed here in float64; `ratio` is this device's over the larger of the recorded \
device's and that of a device which computes exactly and only rounds what it stores: up to 2 is AS-ACCURATE. Who is guilty is \
found by running each op on its own, as `lockstep compare` does. A compiled model (DEVICE@FILE) has no ops to run: there a value fails \
that is farther from the truth.
Exit codes: 0 all hold; 1 an op is WRONG, or a value of a compiled model fails; 2 usage; 3 the device, the model or a file failed; 4 it refuses ops; 5 the pack does not fit.")]
pub(super) struct CheckArguments {
    /// The folder that `golden record` wrote
    #[arg(value_name = "PACK")]
    pack: PathBuf,
    /// The model's folder [default: where it was when the pack was recorded]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    reports: ReportArguments,
}

/// Checks a device against a pack.
pub(super) fn check(arguments: &CheckArguments, output: &mut Output) -> Outcome {
    let pack = Pack::open(&arguments.pack)?;
    let manifest = pack.manifest();
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    if let Some(dtype) = dtype.filter(|dtype| *dtype != manifest.dtype) {
        let what = format!(
            "the pack was recorded in {}, and is another graph in {dtype}; leave --dtype out",
            manifest.dtype
        );
        return Err(Failure::Usage(what));
    }
    let device = backends::open(device, *threads)?;
    if !device.info().dtypes.contains(&manifest.dtype) {
        let what = format!(
            "{} does not compute in {}, in which the pack was recorded",
            device.info().id,
            manifest.dtype
        );
        return Err(Failure::Unsupported(what));
    }
    let folder = arguments.model.clone().unwrap_or_else(|| PathBuf::from(&manifest.model));
    let model = BertModel::load(&folder, LoadOptions { dtype: manifest.dtype, ..LoadOptions::default() })?;
    let session = Session::builder(model.graph().clone())
        .device(device.clone())
        .build()
        .map_err(Failure::of_compared)?;
    let bar = progress_bar("ops");
    let progress = |done: usize, steps: usize| {
        bar.set_length(steps as u64);
        bar.set_position(done as u64);
    };
    let checked = check_pack(&pack, model.graph(), session, &progress);
    bar.finish_and_clear();
    let checked = checked?;
    let reference = backends::open("reference", None)?;
    let devices = [reference.info(), device.info()];
    let model = folder.display().to_string();
    let report = GoldenReport::new(manifest, model, devices, command_line(), checked);
    arguments.reports.write(&report, || vec![report.suite()])?;
    if output.is_json() {
        output.json_line(&report)?;
    } else {
        print(&report, output)?;
    }
    output.flush()?;
    report.checked.replayed.as_ref().map_or(Ok(()), outcome_of)?;
    if report.checked.holds() { Ok(()) } else { Err(Failure::Reported) }
}

fn print(report: &GoldenReport, output: &mut Output) -> Outcome {
    let recorded = &report.recorded;
    let simulated = if recorded.simulated { " (simulated)" } else { "" };
    output.line(format_args!(
        "{} in {} against {}{simulated}, recorded by Lockstep {}: {}\n{}\n{}: {}\n{}: {}\n",
        shown(&report.tested),
        report.dtype,
        recorded.id,
        report.recorded_by,
        recorded.name,
        report.inputs,
        recorded.id,
        recorded.numerics,
        report.tested.id,
        report.tested.numerics
    ))?;
    let mut rows =
        table(&["value", ">max difference", ">similarity", ">recorded error", ">error", ">ratio", "verdict"]);
    for value in &report.checked.values {
        rows.add_row(row(value));
    }
    output.line(format_args!("{rows}\n"))?;
    for line in &report.headline {
        output.line(format_args!("{line}"))?;
    }
    Ok(())
}

fn row(value: &ValueReport) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1e}"));
    let similarity = value.difference.map(|difference| format!("{:.6} %", 100.0 * difference.cosine));
    vec![
        value.name.clone(),
        number(value.difference.map(|difference| difference.max_abs)),
        similarity.unwrap_or_else(|| "-".to_owned()),
        number(value.recorded_error),
        number(Some(value.error)),
        value.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        value.verdict.to_string(),
    ]
}
