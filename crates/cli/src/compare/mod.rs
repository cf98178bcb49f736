//! `lockstep compare`: one graph on two devices, op by op.

#[cfg(feature = "mutants")]
mod plant;
mod print;

use crate::arguments;
use crate::backends;
use crate::failure::{Failure, Outcome};
use crate::given::{Given, InputArguments};
use crate::output::Output;
use crate::progress::progress_bar;
use crate::reports::{ReportArguments, command_line};
use crate::repro::{Guilty, ReproArguments};
use clap::{Args, ValueEnum};
use lockstep_conformance::replay::{Modes, Replay, Replayed, StepReport};
use lockstep_conformance::report::junit::{Ending, Suite, TestCase};
use lockstep_conformance::report::{Comparison, Setting};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Packing, Session};
use std::path::PathBuf;

/// A model, two devices, and what to run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep compare models/bert-small/document-classifier --devices reference,cpu
  lockstep compare MODEL --devices reference,cpu --dtype bf16 --text \"a text\"
  lockstep compare MODEL --devices candle,cpu --file documents.jsonl --texts 4 --json
  lockstep compare MODEL --devices reference,cpu --inputs recorded --repro packs
  lockstep compare packs/encoder.2.output.LayerNorm --devices reference,cpu

Of two devices the first is trusted. Each op of the second one's plan runs on its own, on the first one's activations, and \
its result is held to a bound computed from float64 and from the numerics that the device declares; there is no tolerance \
to choose. EXACT is the truth rounded once; WITHIN, what independent roundings give; SUSPECT, beyond that but within the \
worst case; WRONG, beyond the worst case. `error/bound` is the largest error over its worst-case bound. `drift` is how far \
the two devices have come apart by then (the root of NMSE), `amplified` by how much an op enlarged what came before, which is no guilt.
With --repro each of the first guilty ops is kept in the layout of ONNX's backend tests, as a model that any ONNX runtime can \
run, with what the op was given, what it gave, and what is right; such a folder in place of MODEL runs the op again.
Exit codes: 0 all hold; 1 an op is WRONG or crashed; 2 usage; 3 a device, the model or a file failed; 4 a device \
refuses ops.")]
pub(crate) struct CompareArguments {
    /// A Hugging Face or sentence-transformers folder, or a pack that --repro wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The trusted device and the one to judge; `lockstep devices` lists them
    #[arg(long, value_name = "TRUSTED,TESTED", value_delimiter = ',', required = true)]
    devices: Vec<String>,
    #[command(flatten)]
    inputs: InputArguments,
    /// The dtype that the tested device computes in [default: its own]
    #[arg(long, value_name = "DTYPE", value_parser = arguments::float)]
    dtype: Option<DType>,
    /// Each op alone (isolated), the two devices' streams of values (cumulative), or both
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// Show only ops whose value is a checkpoint or an output; every op is judged all the same
    #[arg(long, conflicts_with = "all")]
    checkpoints: bool,
    /// Switch fusion and packing off, so that every node of the graph is judged; other kernels run than in production
    #[arg(long)]
    all: bool,
    #[cfg(feature = "mutants")]
    #[command(flatten)]
    plant: plant::PlantArguments,
    #[command(flatten)]
    reports: ReportArguments,
    #[command(flatten)]
    repro: ReproArguments,
    /// Threads of the cpu device [default: all]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<usize>,
}

/// How ops are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Each op alone, on the trusted device's values
    Isolated,
    /// Each device on its own values; names no one guilty
    Cumulative,
    /// Both
    Both,
}

/// What the shell is told of a replay; numbers come first, then a device that was lost.
pub(crate) fn outcome_of(replayed: &Replayed) -> Outcome {
    match &replayed.stopped {
        _ if !replayed.guilty().is_empty() => Err(Failure::Reported),
        Some(stopped) => Err(Failure::NotMeasured(stopped.to_string())),
        None if replayed.holds() => Ok(()),
        None => Err(Failure::Reported),
    }
}

/// Compares, prints, and fails if an op is guilty.
pub(crate) fn compare(arguments: &CompareArguments, output: &mut Output) -> Outcome {
    let [trusted, tested] = arguments.devices.as_slice() else {
        let what = format!(
            "--devices names {} device(s); give the trusted one and the tested one, such as \
            reference,cpu",
            arguments.devices.len()
        );
        return Err(Failure::Usage(what));
    };
    arguments.repro.check()?;
    let open = |spec: &str| backends::open(spec, arguments.threads);
    let (trusted, tested) = (open(trusted)?, open(tested)?);
    #[cfg(feature = "mutants")]
    let tested = arguments.plant.planted(tested)?;
    let given = Given::load(&arguments.model, arguments.dtype, tested.clone(), &arguments.inputs)?;
    // The op of a pack is to run as it was, not as a plan would change it.
    let is_as_it_is = arguments.all || given.pack.is_some();
    let packing = if is_as_it_is { Packing::Off } else { Packing::Auto };
    let session = Session::builder(given.graph.clone())
        .device(tested.clone())
        .packing(packing)
        .fuse(!is_as_it_is)
        .build()
        .map_err(Failure::of_compared)?;
    #[cfg(feature = "mutants")]
    arguments.plant.check(&session)?;
    let modes =
        Modes { isolated: arguments.mode != Mode::Cumulative, cumulative: arguments.mode != Mode::Isolated };
    let replay = Replay::new(trusted.clone(), session).map_err(Failure::of_compared)?;
    let bar = progress_bar("ops");
    let progress = |done: usize, steps: usize| {
        bar.set_length(steps as u64);
        bar.set_position(done as u64);
    };
    let replayed = replay.run(&given.inputs(), modes, &progress).map_err(Failure::of_compared)?;
    bar.finish_and_clear();
    let again = given.pack.as_ref().map(|pack| pack.again(&tested)).transpose()?.flatten();
    let setting = Setting {
        model: arguments.model.display().to_string(),
        inputs: given.described.clone(),
        dtype: given.dtype,
        perturbing: arguments.all,
        trusted: trusted.info().clone(),
        tested: tested.info().clone(),
        command: command_line(),
    };
    let report = Comparison::new(setting, replayed, again);
    arguments.reports.write(&report, || vec![suite(&report)])?;
    if output.is_json() {
        output.json_line(&report)?;
    } else {
        print::print(&report, arguments.checkpoints, output)?;
    }
    output.flush()?;
    // The op of a pack is kept already.
    if given.pack.is_none() {
        keep(arguments, &report);
    }
    outcome_of(&report.replayed)?;
    match report.again.as_ref().map(|again| &again.verdict) {
        Some(Verdict::Unsupported(reason)) => Err(Failure::Unsupported(reason.clone())),
        Some(verdict) if !verdict.holds() => Err(Failure::Reported),
        _ => Ok(()),
    }
}

/// Keeps what is guilty, or says how to.
fn keep(arguments: &CompareArguments, report: &Comparison) {
    let guilty = report.replayed.guilty();
    let kept = guilty.iter().filter_map(|step| Some((step.node.clone(), step.offender.as_ref()?)));
    arguments.repro.keep(&Guilty {
        model: &report.setting.model,
        device: &report.setting.tested,
        trusted: &report.setting.trusted.id,
        offenders: kept.collect(),
        count: guilty.len(),
    });
}

/// A test case for each op.
fn suite(report: &Comparison) -> Suite {
    let case = |step: &StepReport| TestCase {
        class: format!("{}.{}", step.op, report.setting.dtype),
        name: step.node.clone(),
        ending: Ending::of(&step.verdict, step.verdict.is_guilty()),
    };
    Suite { name: report.setting.tested.id.clone(), cases: report.replayed.steps.iter().map(case).collect() }
}
