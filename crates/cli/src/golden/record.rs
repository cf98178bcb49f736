//! `lockstep golden record`.

use crate::arguments::DeviceArguments;
use crate::backends;
use crate::documents::{self, BATCH, DocumentArguments, Documents};
use crate::failure::{Failure, Outcome};
use crate::given::{Given, InputArguments};
use crate::output::Output;
use crate::progress::progress_bar;
use clap::Args;
use lockstep_conformance::accept::{self, DocumentOutputs, Task};
use lockstep_conformance::golden::{DocumentRecording, Recording, is_free, record as write_pack};
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, Session};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model, a device, and a folder to write.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep golden record MODEL --device cpu --file documents.jsonl --texts 32 -o pack
  lockstep golden record MODEL --device cuda --data test.jsonl -o pack

With --data the pack also holds the outputs of every document of the file, and how fast the device was on them: what \
`lockstep accept --against pack` needs.")]
pub(super) struct RecordArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The folder to write; it must not exist yet
    #[arg(short, long, value_name = "PACK")]
    output: PathBuf,
    #[command(flatten)]
    inputs: InputArguments,
    #[command(flatten)]
    device: DeviceArguments,
    /// Keep only statistics of checkpoints; inputs and outputs are kept whole all the same
    #[arg(long)]
    statistics: bool,
    /// Keep the outputs of these documents, too, and the device's speed: a JSON object with a "text" per line
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    documents: DocumentArguments,
}

/// Records a pack.
pub(super) fn record(arguments: &RecordArguments, output: &mut Output) -> Outcome {
    let DeviceArguments { device, dtype, threads } = &arguments.device;
    is_free(&arguments.output)?;
    let device = backends::open(device, *threads)?;
    let given = Given::load(&arguments.model, *dtype, device.clone(), &arguments.inputs)?;
    if given.pack.is_some() {
        let what = format!("{} is a repro pack; golden packs are of models", arguments.model.display());
        return Err(Failure::Usage(what));
    }
    let session =
        Session::builder(given.graph.clone()).device(device.clone()).build().map_err(Failure::of_compared)?;
    let inputs = given.inputs();
    let documents = match &arguments.data {
        Some(file) => Some(run_documents(arguments, file, device.clone(), given.dtype)?),
        None => None,
    };
    let recording = Recording {
        model: &arguments.model.display().to_string(),
        graph: &given.graph,
        dtype: given.dtype,
        inputs_described: &given.described,
        inputs: &inputs,
        keep_checkpoints: !arguments.statistics,
        documents: documents.as_ref(),
    };
    let manifest = write_pack(&session, &recording, &arguments.output)?;
    if output.is_json() {
        return output.json_line(&manifest);
    }
    let simulated = if device.info().simulated { " (simulated)" } else { "" };
    let documents = manifest.documents.as_ref().map_or_else(String::new, |documents| {
        let speed = documents.measured.as_ref().map(|measured| {
            let (rate, p99) = (measured.documents_per_second, measured.latency.p99_ms);
            format!(" at {rate:.1} documents/s in batches of {}, P99 {p99:.2} ms", measured.batch)
        });
        format!("; {} documents{}", documents.count, speed.unwrap_or_default())
    });
    output.line(format_args!(
        "{}: {} values of {} on {}{simulated} in {}, {}{documents}; {}",
        arguments.output.display(),
        manifest.values.len(),
        manifest.model,
        manifest.device.id,
        manifest.dtype,
        manifest.inputs_described,
        size(&arguments.output)
    ))
}

/// What the device gives for every document, and how fast.
fn run_documents(
    arguments: &RecordArguments,
    file: &Path,
    device: Arc<dyn Device>,
    dtype: DType,
) -> Outcome<DocumentRecording> {
    let set = arguments.documents.read(file)?;
    let (_, session) = documents::session(&arguments.model, device.clone(), dtype)?;
    let reader = documents::reader(&arguments.model, device, dtype)?;
    let documents = Documents::new(&reader, &set)?;
    let (count, batch) = (set.documents.len(), arguments.documents.batch.unwrap_or(BATCH));
    let bar = progress_bar("documents");
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let outputs = DocumentOutputs::run_all(&session, &documents, count, batch, &progress);
    bar.finish_and_clear();
    let outputs = outputs?;
    let measured = accept::measure(&[&session], &documents, count, batch, arguments.documents.time())?;
    Ok(DocumentRecording {
        data_sha256: set.sha256.clone(),
        output: documents.output().to_owned(),
        outputs,
        measured: measured.into_iter().next(),
    })
}

/// What the folder's files take.
fn size(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    crate::table::with_prefix(bytes as f64, "B")
}
