//! `lockstep golden record`.

use crate::arguments::DeviceArguments;
use crate::backends;
use crate::failure::{Failure, Outcome};
use crate::given::{Given, TextArguments};
use crate::output::Output;
use clap::Args;
use lockstep_conformance::golden::{Recording, record as write_pack};
use lockstep_runtime::Session;
use std::path::{Path, PathBuf};

/// A model, a device, and a folder to write.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lockstep golden record MODEL --device cpu --file documents.jsonl --texts 32 -o pack")]
pub(super) struct RecordArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The folder to write; it must not exist yet
    #[arg(short, long, value_name = "PACK")]
    output: PathBuf,
    #[command(flatten)]
    texts: TextArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Keep only statistics of checkpoints; inputs and outputs are kept whole all the same
    #[arg(long)]
    statistics: bool,
}

/// Records a pack.
pub(super) fn record(arguments: &RecordArguments, output: &mut Output) -> Outcome {
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    let device = backends::open(device, *threads)?;
    let given = Given::load(&arguments.model, *dtype, device.clone(), &arguments.texts)?;
    let session =
        Session::builder(given.graph.clone()).device(device.clone()).build().map_err(Failure::of_compared)?;
    let inputs = given.inputs();
    let recording = Recording {
        model: &arguments.model.display().to_string(),
        graph: &given.graph,
        dtype: given.dtype,
        inputs_described: &given.described,
        inputs: &inputs,
        keep_checkpoints: !arguments.statistics,
        documents: None,
    };
    let manifest = write_pack(&session, &recording, &arguments.output)?;
    if output.is_json() {
        return output.json_line(&manifest);
    }
    let simulated = if device.info().simulated { " (simulated)" } else { "" };
    output.line(format_args!(
        "{}: {} values of {} on {}{simulated} in {}, {}; {}",
        arguments.output.display(),
        manifest.values.len(),
        manifest.model,
        manifest.device.id,
        manifest.dtype,
        manifest.inputs_described,
        size(&arguments.output)
    ))
}

/// What the folder's files take.
fn size(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    crate::table::with_prefix(bytes as f64, "B")
}
