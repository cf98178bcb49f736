//! `lockstep accept`: whether a device may take another's place on a model, as a page to sign.

mod print;

use crate::arguments::{self, DeviceArguments};
use crate::backends;
use crate::documents::{BATCH, DocumentArguments, Documents, reader, session};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::progress_bar;
use crate::reports::{ReportArguments, command_line};
use crate::run::warn;
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::accept::{POLICY_EXAMPLE, Policy, Setting, Trusted, accept as judge};
use lockstep_conformance::golden::Pack;
use lockstep_runtime::Session;
use lockstep_runtime::tensor::DType;
use std::path::{Path, PathBuf};

/// A model, two devices, documents, and what is asked.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub(crate) struct AcceptArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// The device whose place is to be taken, or a folder that `golden record --data` wrote of it
    #[arg(long, value_name = "DEVICE|PACK")]
    against: String,
    /// The dtype that the device of --against computes in [default: its own]
    #[arg(long, value_name = "DTYPE", value_parser = arguments::float)]
    against_dtype: Option<DType>,
    /// The documents: a JSON object per line, with a "text", and a "label" or "entities"
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The goals, as TOML [default: those below]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    documents: DocumentArguments,
    #[command(flatten)]
    reports: ReportArguments,
}

fn help() -> String {
    format!(
        "\
Examples:
  lockstep accept models/bert-small/document-classifier --device cpu --against candle --data test.jsonl
  lockstep accept MODEL --device cpu --dtype f16 --against pack --data test.jsonl --policy policy.toml

Both devices answer the same documents. A goal is MET, MISSED or NOT-RUN, and a device is ACCEPTED if all are met. The loss \
of a task score must be small, and its interval must exclude a larger one: for that a few hundred documents are too few. \
Two devices of this machine are timed in turns; against a pack, speed is that of another occasion, and the page says so.

A policy, with the goals that hold without one; \"off\" takes a goal away:
{}
Exit codes: 0 accepted; 1 a goal is missed or was not run; 2 usage; 3 a device, the model or a file failed; 4 a device \
refuses ops; 5 the pack does not fit the model or the documents.",
        POLICY_EXAMPLE.lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

/// What stands at the other side.
enum Against {
    Device(Box<Session>, DType),
    Pack(Box<Pack>),
}

/// Runs both sides, prints the page, and fails if the device is not accepted.
pub(crate) fn accept(arguments: &AcceptArguments, output: &mut Output) -> Outcome {
    let policy = arguments.policy.as_deref().map_or(Ok(Policy::default()), Policy::read)?;
    let set = arguments.documents.read(&arguments.data)?;
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    let device = backends::open(device, *threads)?;
    let dtype = dtype.unwrap_or(device.info().default_dtype);
    let against = against(arguments)?;
    if let Against::Device(session, theirs) = &against
        && (session.prepared().device().info().id == device.info().id && *theirs == dtype)
    {
        let what =
            format!("--against {} in {dtype} is the device itself; name another one", device.info().id);
        return Err(Failure::Usage(what));
    }
    let (model, candidate) = session(&arguments.model, device.clone(), dtype)?;
    warn(&arguments.model, model.warnings());
    let reader = reader(&arguments.model, device, dtype)?;
    let documents = Documents::new(&reader, &set)?;
    let (trusted, batch) = match &against {
        Against::Device(session, dtype) => (Trusted::Device(session, *dtype), BATCH),
        Against::Pack(pack) => (Trusted::Pack(pack), pack.batch().unwrap_or(BATCH)),
    };
    let setting = Setting {
        model: arguments.model.display().to_string(),
        policy,
        batch: arguments.documents.batch.unwrap_or(batch),
        time: arguments.documents.time(),
        command: command_line(),
        notes: documents.notes(),
    };
    let bar = progress_bar("documents");
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let report = judge(trusted, (&candidate, dtype), &documents, &set, &setting, &progress);
    bar.finish_and_clear();
    let report = report?;
    arguments.reports.write(&report, || vec![report.suite()])?;
    if output.is_json() {
        output.json_line(&report)?;
    } else {
        print::print(&report, output)?;
    }
    output.flush()?;
    match &report.stopped {
        Some(what) => Err(Failure::NotMeasured(what.clone())),
        None if report.holds() => Ok(()),
        None => Err(Failure::Reported),
    }
}

/// A folder is a pack, anything else a device.
fn against(arguments: &AcceptArguments) -> Outcome<Against> {
    let given = Path::new(&arguments.against);
    if given.is_dir() {
        let pack = Pack::open(given)?;
        let dtype = pack.manifest().dtype;
        if let Some(asked) = arguments.against_dtype.filter(|asked| *asked != dtype) {
            let what = format!("the pack was recorded in {dtype}, not in {asked}; leave --against-dtype out");
            return Err(Failure::Usage(what));
        }
        let recorded = BertModel::load(&arguments.model, LoadOptions { dtype, ..LoadOptions::default() })?;
        pack.fits(recorded.graph())?;
        return Ok(Against::Pack(Box::new(pack)));
    }
    if given.components().count() > 1 {
        return Err(Failure::Failed(format!("{}: no such folder", given.display())));
    }
    let device = backends::open(&arguments.against, arguments.device.threads)?;
    let dtype = arguments.against_dtype.unwrap_or(device.info().default_dtype);
    let (_, session) = session(&arguments.model, device, dtype)?;
    Ok(Against::Device(Box::new(session), dtype))
}
