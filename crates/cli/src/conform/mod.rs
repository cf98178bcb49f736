//! `lockstep conform`: every op of a device against its bounds, and the suite against known faults.

mod fuzz;
mod localisation;
mod mutants;
mod print;

use crate::arguments;
use crate::backends::{self, Simulators};
use crate::failure::{Failure, Outcome, say, with_causes};
use crate::output::Output;
use crate::progress::progress_bar;
use crate::reports::{ReportArguments, command_line};
use crate::repro::{Guilty, ReproArguments};
use clap::Args;
use lockstep_conformance::cases::{self, kind};
use lockstep_conformance::conform::{CaseReport, Conformance, Expectations, Selection, conform as run_suite};
use lockstep_conformance::report::SuiteReport;
use lockstep_runtime::Device;
use lockstep_runtime::tensor::DType;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Devices, and what to test on them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep conform
  lockstep conform --device cpu --op LayerNorm --dtype bf16
  lockstep conform --require cuda --junit report.xml
  lockstep conform --device cpu --repro packs
  lockstep conform --mutants
  lockstep conform --fuzz 1000 --device cpu --dtype f16 --keep failing

Every op runs in every dtype that a device claims, over shapes and values chosen to hurt, between guards, three times with \
poisoned memory in between. Each element is held to a bound computed from float64 and from the device's numerics profile. \
With --fuzz only random graphs of 1 to 12 ops run, each step held to its bound and a whole run to the bits of its steps; what \
fails is shrunk to a small graph that fails in the same way, and a graph that a device refuses never counts as passed. \
Exit codes: 0 all hold; 1 a number is WRONG, a run crashed, or an expected failure passes; 2 usage; 3 a required device is \
not there, or a device was lost midway; 4 a device refuses ops and no expectation says why.")]
pub(crate) struct ConformArguments {
    /// A device to test; may be given several times [default: every device that is there]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Only this op, such as LayerNorm, or this kind of ops, such as Unary
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// Only this dtype
    #[arg(long, value_name = "DTYPE", value_parser = arguments::float)]
    dtype: Option<DType>,
    /// A backend that must be there; may be given several times
    #[arg(long, value_name = "BACKEND")]
    require: Vec<String>,
    /// What is known of devices beforehand, as TOML [default: of the devices in this build]
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Measure the suite itself: how many of its known faults it catches, and whether it accuses honest kernels
    #[arg(long, conflicts_with_all = ["device", "require", "expectations", "html", "junit", "repro"])]
    mutants: bool,
    /// With --mutants: plant each fault at one node of this model, too, and see whether it is named there
    #[arg(long, value_name = "MODEL", requires = "mutants")]
    model: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportArguments,
    #[command(flatten)]
    repro: ReproArguments,
    /// Run so many random graphs instead of the cases, on each device and in each of its dtypes
    #[arg(long, value_name = "N", value_parser = arguments::graphs)]
    #[arg(conflicts_with_all = ["op", "expectations", "mutants", "html", "junit", "repro"])]
    fuzz: Option<usize>,
    /// With --fuzz: the first graph's seed; each next one's is one more
    #[arg(long, value_name = "SEED", requires = "fuzz", default_value_t = 1)]
    seed: u64,
    /// With --fuzz: write graphs that fail, shrunk, to folders in this one
    #[arg(long, value_name = "DIR", requires = "fuzz")]
    keep: Option<PathBuf>,
    /// Run a graph that --keep wrote, instead of the cases
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["fuzz", "op", "dtype", "expectations", "mutants", "html", "junit", "repro"])]
    replay: Option<PathBuf>,
    /// Threads of the cpu device [default: all]
    #[arg(long, value_name = "N", value_parser = arguments::threads)]
    threads: Option<usize>,
}

/// A device that was asked for, or why it is not there.
enum Present {
    Open(Arc<dyn Device>),
    Absent { name: String, reason: String },
}

/// Tests devices, or the suite.
pub(crate) fn conform(arguments: &ConformArguments, output: &mut Output) -> Outcome {
    if let Some(op) = &arguments.op {
        known_op(op)?;
    }
    let selection = Selection { op: arguments.op.clone(), dtype: arguments.dtype };
    if arguments.mutants {
        return mutants::mutants(&selection, arguments, output);
    }
    if let Some(graphs) = arguments.fuzz {
        return fuzz::fuzz(graphs, arguments, output);
    }
    if let Some(folder) = &arguments.replay {
        return fuzz::replay(folder, arguments, output);
    }
    arguments.repro.check()?;
    let expectations = expectations(arguments.expectations.as_deref())?;
    let mut found = Vec::new();
    let mut absent = Vec::new();
    for present in devices(arguments)? {
        match present {
            Present::Absent { name, reason } => absent.push((name, reason)),
            Present::Open(device) => {
                let bar = progress_bar(&format!("cases on {}", device.info().id));
                let progress = |done: usize, total: usize| {
                    bar.set_length(total as u64);
                    bar.set_position(done as u64);
                };
                let tested = run_suite(&device, &selection, &expectations, &progress);
                bar.finish_and_clear();
                let tested = tested.map_err(Failure::of_compared)?;
                keep(arguments, &device, &tested);
                found.push(tested);
            }
        }
    }
    let whole_suite = arguments.op.is_none() && arguments.dtype.is_none();
    let stale: Vec<String> = (found.iter())
        .filter(|tested| whole_suite && tested.stopped.is_none())
        .flat_map(|tested| expectations.stale(&tested.device, &tested.cases))
        .collect();
    let report = SuiteReport::new(found, absent, stale, command_line());
    arguments.reports.write(&report, || report.suites())?;
    if output.is_json() {
        output.json_line(&report)?;
    } else {
        for tested in &report.devices {
            print::print(tested, output)?;
        }
        for absent in &report.not_run {
            output.line(format_args!("{}: NOT-RUN ({})", absent.backend, absent.reason))?;
        }
        for entry in &report.stale_expectations {
            output.line(format_args!("stale expectation: {entry}; take it out"))?;
        }
    }
    output.flush()?;
    outcome(arguments, &report)
}

/// Keeps what is guilty, or says how to.
fn keep(arguments: &ConformArguments, device: &Arc<dyn Device>, tested: &Conformance) {
    let guilty =
        || tested.cases.iter().enumerate().filter(|(_, case)| case.fails() && case.verdict.is_guilty());
    let named = |(at, case): (usize, &'_ CaseReport)| {
        // Cases of one op differ in shapes and values; the number is the one that JUnit has.
        format!("{}-{}-{}-{}", tested.device, case.op, case.dtype, at + 1)
    };
    let kept = guilty().filter_map(|(at, case)| Some((named((at, case)), case.offender.as_ref()?)));
    arguments.repro.keep(&Guilty {
        model: "lockstep conform",
        device: device.info(),
        trusted: "reference",
        offenders: kept.collect(),
        count: guilty().count(),
    });
}

/// What the shell is told; numbers come first.
fn outcome(arguments: &ConformArguments, report: &SuiteReport) -> Outcome {
    let fails = |tested: &Conformance| !tested.failures().is_empty();
    if !report.stale_expectations.is_empty() || report.devices.iter().any(fails) {
        return Err(Failure::Reported);
    }
    if let Some(stopped) = report.devices.iter().find_map(|tested| tested.stopped.as_ref()) {
        return Err(Failure::NotMeasured(stopped.to_string()));
    }
    if let Some(absent) = report.not_run.iter().find(|absent| arguments.require.contains(&absent.backend)) {
        let what = format!("{} is required and not there: {}", absent.backend, absent.reason);
        return Err(Failure::NotMeasured(what));
    }
    let refused = |tested: &&Conformance| tested.cases.iter().any(|case| case.is_unexplained_refusal());
    match report.devices.iter().find(refused) {
        Some(tested) => {
            Err(Failure::Unsupported(format!("{} refuses ops and no expectation says why", tested.device)))
        }
        None => Ok(()),
    }
}

fn known_op(name: &str) -> Outcome {
    let cases = cases::all();
    let mut known: Vec<&str> = cases.iter().flat_map(|case| [case.op.name(), kind(&case.op)]).collect();
    known.sort_unstable();
    known.dedup();
    if known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Failure::Usage(format!("no op is called `{name}`; there are: {}", known.join(", "))))
}

fn expectations(path: Option<&Path>) -> Outcome<Expectations> {
    let Some(path) = path else { return Expectations::ours().map_err(Failure::Failed) };
    let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Expectations::parse(&text).map_err(failed)
}

/// The devices that are named; of none named, every device of every backend but the simulators.
fn devices(arguments: &ConformArguments) -> Outcome<Vec<Present>> {
    let simulators = if arguments.device.is_empty() { Simulators::Named } else { Simulators::Listed };
    let registry = backends::registry(arguments.threads, simulators)?;
    let known: Vec<String> = registry.probe().iter().map(|probe| probe.backend.to_owned()).collect();
    let mut all = Vec::new();
    if arguments.device.is_empty() {
        for probe in registry.probe() {
            match probe.devices {
                Err(error) => {
                    all.push(Present::Absent { name: probe.backend.to_owned(), reason: with_causes(&error) });
                }
                Ok(infos) => {
                    for info in infos {
                        all.push(Present::Open(registry.open(&info.id)?));
                    }
                }
            }
        }
    }
    for spec in &arguments.device {
        let device = registry.open(spec).map_err(Failure::of_compared)?;
        if device.compiled_model().is_some() {
            let what = format!("{spec} runs a compiled model and no other op; name the device alone");
            return Err(Failure::Usage(what));
        }
        all.push(Present::Open(device));
    }
    // A backend that this build does not have is as absent as one without its driver.
    for name in arguments.require.iter().filter(|name| !known.contains(name)) {
        say("note", format_args!("this build has no backend `{name}`; it has {}", known.join(", ")));
        all.push(Present::Absent { name: name.clone(), reason: "this build does not have it".to_owned() });
    }
    Ok(all)
}
