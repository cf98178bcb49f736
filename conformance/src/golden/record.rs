//! Recording a pack.

use super::manifest::{GRAPH, MANIFEST, Manifest, Recorded, RecordedDevice, SCHEMA, TENSORS, sha256};
use super::{DocumentRecording, Error, Result, at_tokens};
use crate::whole_folder::{taken, write_whole};
use lockstep_runtime::graph::Graph;
use lockstep_runtime::tensor::{DType, HostTensor, write_safetensors};
use lockstep_runtime::{RunOptions, Session};
use std::fs;
use std::path::Path;

/// What is to be recorded.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The model's name, for people.
    pub model: &'a str,
    /// The graph as it was built, before any device's plan.
    pub graph: &'a Graph,
    /// The dtype that it computes in.
    pub dtype: DType,
    /// What the inputs are, in words.
    pub inputs_described: &'a str,
    /// The inputs by name.
    pub inputs: &'a [(&'a str, &'a HostTensor)],
    /// Whether checkpoints are kept whole, or only their statistics. Inputs and outputs are always whole.
    pub keep_checkpoints: bool,
    /// What the device gave for the documents of a file, for an acceptance.
    pub documents: Option<&'a DocumentRecording>,
}

/// Runs a graph and writes a pack to `folder`, which must not exist. It appears whole or not at all.
///
/// # Errors
/// [`Error::Io`] for a folder that exists or cannot be written; what the device says.
pub fn record(session: &Session, recording: &Recording<'_>, folder: &Path) -> Result<Manifest> {
    is_free(folder)?;
    let graph = recording.graph;
    let is_output = |id| graph.outputs().iter().any(|(_, output)| *output == id);
    let taps = graph.checkpoints().iter().filter(|(_, id)| !is_output(*id));
    let taps: Vec<&str> = taps.map(|(name, _)| name.as_str()).collect();
    let result = session.run_with(recording.inputs, &RunOptions::new().taps(&taps))?;

    let whole =
        |(name, tensor): &(String, HostTensor)| (name.clone(), at_tokens(session, recording.inputs, tensor));
    let tapped: Vec<(String, HostTensor)> = result.taps().iter().map(whole).collect();
    let gave: Vec<(String, HostTensor)> = result.outputs().iter().map(whole).collect();

    let inputs = recording.inputs.iter().map(|(name, tensor)| Recorded::of(name, tensor, true));
    let checkpoints =
        tapped.iter().map(|(name, tensor)| Recorded::of(name, tensor, recording.keep_checkpoints));
    let outputs = gave.iter().map(|(name, tensor)| Recorded::of(name, tensor, true));
    let text = graph
        .to_json()
        .map_err(|error| Error::Mismatch { path: folder.join(GRAPH), reason: error.to_string() })?;
    let documents = recording.documents.map(DocumentRecording::parts).transpose();
    let documents = documents
        .map_err(|error| Error::Mismatch { path: folder.join(TENSORS), reason: error.to_string() })?;
    let mut manifest = Manifest {
        schema: SCHEMA.to_owned(),
        lockstep: env!("CARGO_PKG_VERSION").to_owned(),
        model: recording.model.to_owned(),
        dtype: recording.dtype,
        inputs_described: recording.inputs_described.to_owned(),
        device: RecordedDevice::of(session.prepared().device().info()),
        graph_sha256: sha256(text.as_bytes()),
        inputs: inputs.collect(),
        values: checkpoints.chain(outputs).collect(),
        documents: documents.as_ref().map(|(said, _)| said.clone()),
        manifest_sha256: String::new(),
    };
    manifest.manifest_sha256 = manifest.digest();

    let kept = recording.keep_checkpoints;
    let given = recording.inputs.iter().map(|(name, tensor)| (*name, *tensor));
    let tapped = tapped.iter().filter(|_| kept).map(|(name, tensor)| (name.as_str(), tensor));
    let gave = gave.iter().map(|(name, tensor)| (name.as_str(), tensor));
    let of_documents =
        documents.iter().flat_map(|(_, tensors)| tensors).map(|(name, tensor)| (*name, tensor));
    let tensors: Vec<(&str, &HostTensor)> = given.chain(tapped).chain(gave).chain(of_documents).collect();
    let failed = |path: &Path, source| Error::Io { path: path.to_owned(), source };
    write_whole(folder, failed, |partial| write(partial, &manifest, &text, &tensors))?;
    Ok(manifest)
}

/// Whether a pack can be written to a folder; worth asking before much is run.
///
/// # Errors
/// [`Error::Io`] for a folder that exists: no pack is ever written over.
pub fn is_free(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    Err(Error::Io { path: folder.to_owned(), source: taken() })
}

fn write(folder: &Path, manifest: &Manifest, graph: &str, tensors: &[(&str, &HostTensor)]) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let path = folder.join(TENSORS);
    let failed = |error: lockstep_runtime::tensor::Error| Error::Mismatch {
        path: path.clone(),
        reason: error.to_string(),
    };
    write_safetensors(&path, tensors.iter().copied()).map_err(failed)?;
    fs::write(folder.join(GRAPH), graph).map_err(io(&folder.join(GRAPH)))?;
    let text = serde_json::to_string_pretty(manifest).map_err(|error| io(folder)(error.into()))?;
    fs::write(folder.join(MANIFEST), text).map_err(io(&folder.join(MANIFEST)))
}
