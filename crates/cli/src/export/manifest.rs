//! `manifest.json`: what an export is, for programs.

use super::atc::{self, PRECISIONS};
use super::gears::Gears;
use crate::failure::Outcome;
use lockstep_bert::BertModel;
use lockstep_onnx::{EXPORT_OPSET, Export, Port};
use lockstep_runtime::tensor::{DType, Dim};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The format of the file.
pub(super) const SCHEMA: &str = "lockstep-export/1";

/// An export.
#[derive(Debug, Serialize)]
pub(super) struct Manifest {
    schema: &'static str,
    lockstep: &'static str,
    /// The folder that was exported.
    pub(super) model: String,
    pub(super) dtype: DType,
    pub(super) opset: i64,
    pub(super) inputs: Vec<Value>,
    pub(super) outputs: Vec<Value>,
    /// How many of the outputs, the first ones, are the model's own.
    #[serde(skip)]
    pub(super) own_outputs: usize,
    /// Each checkpoint with the output that gives it.
    pub(super) checkpoints: BTreeMap<String, String>,
    /// How many nodes there are of each operator.
    operators: BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ascend: Option<Ascend>,
    /// The SHA-256 of every file but this one.
    pub(super) files: BTreeMap<String, String>,
}

/// How ATC is called.
#[derive(Debug, Serialize)]
pub(super) struct Ascend {
    pub(super) soc: String,
    pub(super) gears: Gears,
    pub(super) precisions: Vec<Precision>,
}

/// One compiled model.
#[derive(Debug, Serialize)]
pub(super) struct Precision {
    /// ATC's `--precision_mode_v2`.
    pub(super) mode: &'static str,
    /// The file that ATC writes.
    pub(super) compiled: String,
    /// The command line, word by word.
    pub(super) command: Vec<String>,
}

impl Ascend {
    /// How ATC is called for a chip, gears, and a model with these inputs.
    ///
    /// # Errors
    /// As [`Gears::flags`].
    pub(super) fn new(soc: String, gears: Gears, inputs: &[Port]) -> Outcome<Self> {
        let flags = gears.flags(inputs)?;
        let precision = |(mode, _): (&'static str, _)| Precision {
            mode,
            compiled: format!("{}.om", atc::compiled(mode)),
            command: atc::command(mode, &soc, &flags),
        };
        let precisions = PRECISIONS.map(precision).into();
        Ok(Self { soc, gears, precisions })
    }
}

impl Manifest {
    /// The manifest of an export, without its files' digests.
    pub(super) fn new(
        folder: &Path,
        model: &BertModel,
        dtype: DType,
        exported: &Export,
        ascend: Option<Ascend>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            lockstep: env!("CARGO_PKG_VERSION"),
            model: folder.display().to_string(),
            dtype,
            opset: EXPORT_OPSET,
            inputs: exported.inputs().iter().map(port).collect(),
            outputs: exported.outputs().iter().map(port).collect(),
            own_outputs: model.graph().outputs().len(),
            checkpoints: exported.checkpoints().iter().cloned().collect(),
            operators: exported.operators(),
            ascend,
            files: BTreeMap::new(),
        }
    }
}

/// A name with its dtype and extents: numbers, and names of those that a run fixes.
fn port(port: &Port) -> Value {
    let dim = |dim: &Dim| match dim.as_const() {
        Some(extent) => Value::from(extent),
        None => Value::from(dim.to_string()),
    };
    let dims: Vec<Value> = port.ty.shape.iter().map(dim).collect();
    serde_json::json!({ "name": port.name, "dtype": port.ty.dtype.to_string(), "dims": dims })
}
