//! Writing a pack.

use super::manifest::{Finding, SCHEMA};
use super::{BOUND, DATA, Error, FOUND, INPUT, MANIFEST, MODEL, OUTPUT, Offender, Result, damaged, io};
use crate::golden::{RecordedDevice, sha256};
use crate::one_op::Argument;
use crate::verdict::Verdict;
use crate::whole_folder::write_whole;
use lockstep_onnx::{graph_bytes, tensor_bytes};
use lockstep_runtime::DeviceInfo;
use lockstep_runtime::graph::{Graph, GraphBuilder, Result as GraphResult, TensorType};
use lockstep_runtime::tensor::HostTensor;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Who found an offender, and how.
#[derive(Clone, Copy, Debug)]
pub struct Finder<'a> {
    /// The model, or the suite, in which it was found.
    pub model: &'a str,
    /// The device that is guilty.
    pub device: &'a DeviceInfo,
    /// The device that was trusted.
    pub trusted: &'a str,
    /// The command line.
    pub command: &'a str,
}

/// A name for the folder of a node's pack: the node's own, without what file systems and shells take amiss.
pub fn folder_name(node: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = node.chars().map(plain).collect();
    // Neither hidden nor a folder above.
    match name.strip_prefix(['.', '-']) {
        Some(rest) => format!("_{rest}"),
        None if name.is_empty() => "node".to_owned(),
        None => name,
    }
}

/// Writes a pack to `folder`, which must not exist. It appears whole or not at all.
///
/// # Errors
/// [`Error::Io`] for a folder that exists or cannot be written; [`Error::Pack`] for an op that has no form in ONNX.
pub fn write(offender: &Offender, finder: Finder<'_>, folder: &Path) -> Result<()> {
    if folder.exists() {
        let taken = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "exists already; choose another");
        return Err(io(folder, taken));
    }
    let files = files(offender).map_err(|reason| damaged(folder, reason))?;
    let digests = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    let finding = finding(offender, finder, folder, digests);
    write_whole(folder, io, |partial| {
        fs::create_dir_all(partial.join(DATA)).map_err(|error| io(&partial.join(DATA), error))?;
        for (name, bytes) in &files {
            let path = partial.join(name);
            fs::write(&path, bytes).map_err(|error| io(&path, error))?;
        }
        let path = partial.join(MANIFEST);
        let text = serde_json::to_string_pretty(&finding).map_err(|error| io(&path, error.into()))?;
        fs::write(&path, text).map_err(|error: std::io::Error| -> Error { io(&path, error) })
    })
}

/// Every file but the manifest: its path in the pack, and its bytes.
fn files(offender: &Offender) -> std::result::Result<Vec<(String, Vec<u8>)>, String> {
    let graph = graph(offender).map_err(|error| error.to_string())?;
    let mut files = vec![(MODEL.to_owned(), graph_bytes(&graph).map_err(|error| error.to_string())?)];
    for (at, (name, tensor)) in given(offender).into_iter().enumerate() {
        files.push((format!("{DATA}/input_{at}.pb"), tensor_bytes(&name, tensor)));
    }
    let truth = &offender.truth;
    let rounded = if truth.dtype().is_float() { truth.cast(offender.storage) } else { Ok(truth.clone()) };
    let rounded = rounded.map_err(|error| error.to_string())?;
    files.push((format!("{DATA}/output_0.pb"), tensor_bytes(OUTPUT, &rounded)));
    if let Some(found) = &offender.found {
        files.push((FOUND.to_owned(), tensor_bytes("found", found)));
    }
    if offender.worst_case.len() == truth.element_count() && truth.dtype().is_float() {
        let bound = HostTensor::from_slice(truth.shape(), &offender.worst_case);
        files.push((BOUND.to_owned(), tensor_bytes("bound", &bound.map_err(|error| error.to_string())?)));
    }
    Ok(files)
}

/// Whether an operand is handed to the run. A graph of constants alone would be computed before it runs, so that there would
/// be nothing to judge; then all are.
fn is_given(offender: &Offender, argument: &Argument) -> bool {
    let is_input = |argument: &Argument| matches!(argument, Argument::Given(_));
    is_input(argument) || !offender.arguments.iter().any(is_input)
}

/// The model's inputs, in order.
fn given(offender: &Offender) -> Vec<(String, &HostTensor)> {
    let operands = offender.arguments.iter().enumerate();
    let given = operands.filter(|(_, argument)| is_given(offender, argument));
    given.map(|(at, argument)| (format!("{INPUT}{at}"), argument.tensor())).collect()
}

/// The op alone.
fn graph(offender: &Offender) -> GraphResult<Graph> {
    let mut b = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, argument) in offender.arguments.iter().enumerate() {
        let (name, tensor) = (format!("{INPUT}{at}"), argument.tensor());
        ids.push(match argument {
            Argument::Constant(constant) if !is_given(offender, argument) => {
                b.shared_constant(&name, constant.clone())
            }
            _ => b.input(&name, TensorType::fixed(tensor.dtype(), tensor.shape()))?,
        });
    }
    // Only the first output of an op is judged.
    if let Some(&id) = b.node(&offender.node, offender.op.clone(), &ids)?.first() {
        b.output(OUTPUT, id)?;
    }
    b.finish()
}

fn finding(
    offender: &Offender,
    finder: Finder<'_>,
    folder: &Path,
    files: BTreeMap<String, String>,
) -> Finding {
    let operand = |argument: &Argument| {
        let tensor = argument.tensor();
        let constant = if is_given(offender, argument) { "" } else { " constant" };
        format!("{}{:?}{constant}", tensor.dtype(), tensor.shape())
    };
    let operands: Vec<String> = offender.arguments.iter().map(operand).collect();
    let reason = match &offender.verdict {
        Verdict::Crash(reason) => Some(reason.clone()),
        _ => None,
    };
    // The pack is made to travel: from wherever it lies.
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    let replay = format!("lockstep compare {name} --devices {},{}", finder.trusted, finder.device.id);
    Finding {
        schema: SCHEMA.to_owned(),
        lockstep: env!("CARGO_PKG_VERSION").to_owned(),
        model: finder.model.to_owned(),
        node: offender.node.clone(),
        op: offender.op.name().to_owned(),
        case: format!("{:?} of {}", offender.op, operands.join(", ")),
        dtype: offender.storage,
        accumulate: offender.accumulate,
        device: RecordedDevice::of(finder.device),
        verdict: offender.verdict.name().to_owned(),
        reason,
        of_worst_case: offender.of_worst_case.filter(|multiple| multiple.is_finite()),
        fits: offender.fits.clone(),
        command: finder.command.to_owned(),
        replay,
        files,
    }
}
