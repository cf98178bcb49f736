//! `lockstep inspect`.

mod print;
mod report;

use crate::arguments::{DeviceArguments, Shape};
use crate::backends;
use crate::failure::{Failure, Outcome, say};
use crate::output::Output;
use crate::run::warn;
use clap::Args;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_runtime::plan::Prepared;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, PlanOptions};
use report::Report;
pub(crate) use report::cost;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model, and the device to ask about it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep inspect models/bert-small/document-classifier
  lockstep inspect MODEL --device reference --shape 8x256
  lockstep inspect MODEL --dot model.dot && dot -Tsvg model.dot > model.svg

A node is native where the device has a kernel for it, rewritten where the device declares another form of it, and \
refused otherwise; a model with refused nodes does not run there. A compiled model (DEVICE@FILE) runs none of them by itself. Operations and bytes are counted from the graph as it \
was built, before fusion: a multiply and an add are two operations.")]
pub(crate) struct InspectArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    device: DeviceArguments,
    /// The extents that costs are counted at, BATCHxTOKENS [default: 1x128, or as many tokens as the model takes]
    #[arg(long, value_name = "SHAPE")]
    shape: Option<Shape>,
    /// Write the graph that the device runs, for Graphviz
    #[arg(long, value_name = "FILE")]
    dot: Option<PathBuf>,
}

/// Shows what a model is and how a device runs it. That a device refuses nodes is an answer, not a failure.
pub(crate) fn inspect(arguments: &InspectArguments, output: &mut Output) -> Outcome {
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    let device = backends::open(device, *threads)?;
    let (model, dtype) = load(&arguments.model, device.as_ref(), *dtype)?;
    warn(&arguments.model, model.warnings());
    let shape = match arguments.shape {
        Some(shape) => check_length(shape, &model)?,
        None => Shape { batch: 1, seq: 128 }.within(model.config().max_position_embeddings),
    };
    // A compiled model runs none of the nodes by itself.
    let survey = match device.compiled_model() {
        Some(_) => Vec::new(),
        None => Prepared::survey(model.graph(), device.as_ref()).map_err(|error| Failure::of(&error))?,
    };
    let options = PlanOptions::default();
    let plan = Prepared::new(model.graph(), Arc::clone(&device), options);
    if let Some(path) = &arguments.dot {
        let dot = plan.as_ref().map_or_else(|_| model.graph().to_dot(), |plan| plan.graph().to_dot());
        std::fs::write(path, dot)
            .map_err(|error| Failure::Failed(format!("{}: cannot be written: {error}", path.display())))?;
        if plan.is_err() {
            say("note", "the device does not run this model; the picture is of the graph as it was built");
        }
    }
    let report = Report::new(&arguments.model, &model, device.as_ref(), dtype, shape, &survey, plan)?;
    if output.is_json() { output.json_line(&report) } else { print::print(&report, output) }
}

/// Loads a model in a dtype that the device computes in, and gives that dtype.
pub(crate) fn load(folder: &Path, device: &dyn Device, dtype: Option<DType>) -> Outcome<(BertModel, DType)> {
    let info = device.info();
    let dtype = dtype.unwrap_or(info.default_dtype);
    if !info.dtypes.contains(&dtype) {
        return Err(lockstep_bert::Error::DTypeOfDevice {
            device: info.id.clone(),
            requested: dtype,
            available: info.dtypes.clone(),
        }
        .into());
    }
    Ok((BertModel::load(folder, LoadOptions { dtype, ..LoadOptions::default() })?, dtype))
}

/// The shape, unless it has more tokens than the model has positions.
pub(crate) fn check_length(shape: Shape, model: &BertModel) -> Outcome<Shape> {
    let longest = model.config().max_position_embeddings;
    if shape.seq > longest {
        let what = format!("--shape {shape}: the model takes at most {longest} tokens");
        return Err(Failure::Usage(what));
    }
    Ok(shape)
}
