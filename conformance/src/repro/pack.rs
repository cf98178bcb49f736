//! Reading a pack.

use super::{DATA, FOUND, Finding, MODEL, Result, damaged, io};
use crate::inputs;
use crate::one_op::Argument;
use lockstep_onnx::{read_graph, read_tensor};
use lockstep_runtime::graph::{Graph, Node};
use lockstep_runtime::tensor::{DType, HostTensor};
use std::path::Path;

/// A pack that was read: one of ours, or any folder in the layout of ONNX's backend tests whose model we can read.
#[derive(Debug)]
pub struct Pack {
    pub(super) graph: Graph,
    pub(super) inputs: Vec<(String, HostTensor)>,
    pub(super) finding: Option<Finding>,
    pub(super) found: Option<HostTensor>,
    remarks: Vec<String>,
}

impl Pack {
    /// Whether a folder is meant as a pack. One with a `config.json` is a model with its own files, whatever was exported
    /// into it.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(MODEL).exists() && !folder.join("config.json").exists()
    }

    /// Opens a pack and checks it: digests, model, inputs.
    ///
    /// # Errors
    /// [`super::Error::Io`] for a file that cannot be read, [`super::Error::Pack`] for one that is damaged or holds what is
    /// not read, [`super::Error::Inputs`] for tensors that do not fit the model.
    pub fn open(folder: &Path) -> Result<Self> {
        let finding = Finding::read(folder)?;
        let path = folder.join(MODEL);
        let bytes = std::fs::read(&path).map_err(|error| io(&path, error))?;
        let graph = read_graph(&bytes).map_err(|error| damaged(&path, error))?;
        // A model without inputs needs no data.
        let (inputs, remarks) = if graph.inputs().is_empty() {
            (Vec::new(), Vec::new())
        } else {
            let read = inputs::read(&folder.join(DATA), &graph)?;
            (read.tensors, read.remarks)
        };
        let path = folder.join(FOUND);
        let found = if path.exists() {
            let bytes = std::fs::read(&path).map_err(|error| io(&path, error))?;
            Some(read_tensor(&bytes).map_err(|error| damaged(&path, error))?.tensor)
        } else {
            None
        };
        Ok(Self { graph, inputs, finding, found, remarks })
    }

    /// The model.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What it is run on, by name.
    pub fn inputs(&self) -> &[(String, HostTensor)] {
        &self.inputs
    }

    /// What was found, if the pack is one of ours.
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// What is allowed but should be known, such as a NaN among the inputs.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The dtype of the first output.
    pub fn dtype(&self) -> DType {
        // A finished graph has an output.
        self.graph.outputs().first().map_or(DType::F32, |(_, id)| self.graph.value(*id).ty.dtype)
    }

    /// The one node and its operands; `None` if there are several.
    pub(super) fn node(&self) -> Option<(&Node, Vec<Argument>)> {
        let [node] = self.graph.nodes() else { return None };
        let operand = |id| match self.graph.constant(id) {
            Some(constant) => Some(Argument::Constant(constant.clone())),
            None => {
                let name = &self.graph.value(id).name;
                let given = self.inputs.iter().find(|(input, _)| input == name);
                given.map(|(_, tensor)| Argument::Given(tensor.clone()))
            }
        };
        Some((node, node.inputs.iter().map(|&id| operand(id)).collect::<Option<_>>()?))
    }
}
