//! A graph's inputs from files: what someone has recorded elsewhere and wants to run here.
//!
//! A folder of `NAME.npy` or `NAME.pb`, ONNX's `input_0.pb`, `input_1.pb`, .. (which say their names, or go by their places),
//! or an `inputs.safetensors`; or such a file itself. Everything is checked before anything runs, so that an error names the
//! file and not a node deep in the graph.

use lockstep_onnx::read_tensor;
use lockstep_runtime::graph::{DType, Dim, Graph, Op, Symbol, ValueId};
use lockstep_runtime::tensor::{HostTensor, TensorSource, read_npy};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The one file that may hold all inputs.
const SAFETENSORS: &str = "inputs.safetensors";

/// What is wrong with a file, or with what is missing in a folder.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Error {
    /// The file or the folder.
    pub path: PathBuf,
    /// What is wrong, what was expected, and what to try.
    pub reason: String,
}

type Result<T> = std::result::Result<T, Error>;

/// Inputs by name, in the graph's order.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The tensors.
    pub tensors: Vec<(String, HostTensor)>,
    /// What is allowed but should be known: a NaN among floats.
    pub remarks: Vec<String>,
}

/// A tensor and the file that it is from.
struct Found {
    path: PathBuf,
    tensor: HostTensor,
}

fn wrong(path: &Path, reason: impl Into<String>) -> Error {
    Error { path: path.to_owned(), reason: reason.into() }
}

/// Reads every input of `graph` from `path`. Other files of the folder, ONNX's `output_0.pb` among them, are passed over.
///
/// # Errors
/// A file that cannot be read or is damaged; one that names no input of the graph; two for one input, or none; a tensor of
/// another dtype or shape; ids beyond the table that the graph looks them up in.
pub fn read(path: &Path, graph: &Graph) -> Result<Inputs> {
    let mut found: BTreeMap<ValueId, Found> = BTreeMap::new();
    let mut add = |file: &Path, name: &str, tensor: HostTensor| {
        let id = graph.input(name).ok_or_else(|| {
            let what = format!("holds `{name}`, which is no input; the graph takes {}", names(graph));
            wrong(file, what)
        })?;
        match found.insert(id, Found { path: file.to_owned(), tensor }) {
            None => Ok(()),
            Some(other) => Err(wrong(file, format!("holds `{name}`, and so does {}", other.path.display()))),
        }
    };
    for file in files(path)? {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match extension {
            "npy" => {
                add(&file, stem, read_npy(&file).map_err(|error| wrong(&file, of_file(&file, &error)))?)?
            }
            "pb" if !stem.starts_with("output_") => {
                let (name, tensor) = protobuf(&file, stem, graph)?;
                add(&file, &name, tensor)?;
            }
            "safetensors" => {
                let failed = |error| wrong(&file, of_file(&file, &error));
                let source = TensorSource::open(&file).map_err(failed)?;
                for name in source.names() {
                    add(&file, name, source.tensor(name).map_err(failed)?)?;
                }
            }
            _ => {}
        }
    }
    let mut inputs = Inputs { tensors: Vec::new(), remarks: Vec::new() };
    let mut extents = BTreeMap::new();
    for &id in graph.inputs() {
        let name = &graph.value(id).name;
        let found = found.remove(&id).ok_or_else(|| {
            let what = format!(
                "has no file for the input `{name}`, {}; expected {name}.npy, {name}.pb, ONNX's input_N.pb or {SAFETENSORS}",
                graph.value(id).ty
            );
            wrong(path, what)
        })?;
        check(graph, id, &found, &mut extents)?;
        let values = if found.tensor.dtype().is_float() { found.tensor.to_f64() } else { Vec::new() };
        let count = values.iter().filter(|x| x.is_nan()).count();
        if count > 0 {
            let of = values.len();
            inputs.remarks.push(format!("{}: {count} of {of} values are NaN", found.path.display()));
        }
        inputs.tensors.push((name.clone(), found.tensor));
    }
    Ok(inputs)
}

/// An error of tensors without the file's name, which is said already.
fn of_file(file: &Path, error: &lockstep_runtime::tensor::Error) -> String {
    let said = error.to_string();
    said.strip_prefix(&format!("{}: ", file.display())).unwrap_or(&said).to_owned()
}

/// The files to read: those of a folder by name, or the one that was named.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| wrong(path, error.to_string());
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let together = path.join(SAFETENSORS);
    if together.exists() {
        return Ok(vec![together]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "npy" || extension == "pb") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// A tensor in ONNX's format and the input that it is for: the one that it names, else the one that its file is numbered
/// after, else the one that its file is called after.
fn protobuf(file: &Path, stem: &str, graph: &Graph) -> Result<(String, HostTensor)> {
    let bytes = std::fs::read(file).map_err(|error| wrong(file, error.to_string()))?;
    let read = read_tensor(&bytes).map_err(|error| wrong(file, error.to_string()))?;
    let place = stem.strip_prefix("input_").and_then(|place| place.parse::<usize>().ok());
    let name = match place {
        Some(_) if !read.name.is_empty() => read.name,
        Some(place) => {
            let id = graph.inputs().get(place).ok_or_else(|| {
                let count = graph.inputs().len();
                wrong(
                    file,
                    format!("is the input at place {place} of {count}; the graph takes {}", names(graph)),
                )
            })?;
            graph.value(*id).name.clone()
        }
        None => stem.to_owned(),
    };
    Ok((name, read.tensor))
}

fn names(graph: &Graph) -> String {
    let described = |&id: &ValueId| format!("`{}` {}", graph.value(id).name, graph.value(id).ty);
    let all: Vec<String> = graph.inputs().iter().map(described).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Whether a tensor is what the graph wants. `extents` keeps what each symbol stands for, and which file said so.
fn check(
    graph: &Graph,
    id: ValueId,
    found: &Found,
    extents: &mut BTreeMap<Symbol, (usize, PathBuf)>,
) -> Result<()> {
    let value = graph.value(id);
    let (dtype, shape) = (found.tensor.dtype(), found.tensor.shape());
    let expected = || format!("`{}` is {dtype}{shape:?}, the graph takes {}", value.name, value.ty);
    if dtype != value.ty.dtype {
        return Err(wrong(&found.path, format!("{}; convert it", expected())));
    }
    if shape.len() != value.ty.shape.len() {
        return Err(wrong(&found.path, expected()));
    }
    for (&extent, dim) in shape.iter().zip(&value.ty.shape) {
        if dim.as_const().is_some_and(|fixed| fixed != extent) {
            return Err(wrong(&found.path, expected()));
        }
        let Some(symbol) = dim.as_symbol() else { continue };
        let (known, by) = extents.entry(symbol.clone()).or_insert_with(|| (extent, found.path.clone()));
        if *known != extent {
            let what = format!("{}, and `{}` is {known} in {}", expected(), symbol.name(), by.display());
            return Err(wrong(&found.path, what));
        }
    }
    let Some(rows) = looked_up_in(graph, id) else { return Ok(()) };
    match found.tensor.to_f64().into_iter().find(|&index| index < 0.0 || index >= rows as f64) {
        Some(index) => {
            let what = format!(
                "`{}` holds {index}; the graph looks it up in {rows} rows, 0 to {}",
                value.name,
                rows - 1
            );
            Err(wrong(&found.path, what))
        }
        None => Ok(()),
    }
}

/// How many rows the smallest table has that an input's values are looked up in, directly or in another shape.
fn looked_up_in(graph: &Graph, id: ValueId) -> Option<usize> {
    if !matches!(graph.value(id).ty.dtype, DType::I64 | DType::I32) {
        return None;
    }
    let rows = graph.nodes().iter().filter_map(|node| match (&node.op, node.inputs.as_slice()) {
        (Op::Gather { axis }, [data, index]) if *index == id => {
            graph.value(*data).ty.shape.get(*axis).and_then(Dim::as_const)
        }
        (Op::Reshape { .. }, [x]) if *x == id => looked_up_in(graph, node.outputs[0]),
        _ => None,
    });
    rows.min()
}
