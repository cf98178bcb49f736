//! An ONNX model as it is compiled: checked for what ATC's parser takes, its weights loaded.

mod external;

use crate::constants::{ConstantId, Constants};
use crate::dtype::compiled;
use crate::view::room;
use crate::{Error, Result};
use external::Folder;
use lockstep_ascend_container::DType;
use lockstep_onnx::ASCEND_OPSETS;
use lockstep_onnx::messages::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, dtype_of};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// How many axes a tensor may have; ATC's own limit is not in what we know, and no model of this house has more than five.
const MOST_AXES: usize = 8;

/// What is fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// Its extents, as far as the model says them.
    pub(crate) dims: Vec<Option<i64>>,
}

/// What is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    /// What the model says that it is, if it does.
    pub(crate) dtype: Option<DType>,
}

/// A model.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) opset: i64,
    /// In order, each with a name.
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) initializers: Vec<(String, ConstantId)>,
}

impl Model {
    /// Reads a file, and the files of weights that it names.
    ///
    /// # Errors
    /// [`Error::File`] for files that cannot be read, are no model, or of other operators than ATC takes; [`Error::Tensor`] for
    /// inputs, outputs and weights that are not simulated, or not whole.
    pub(crate) fn read(path: &Path, constants: &mut Constants) -> Result<Self> {
        let wrong = |reason: &str| Error::file(path, reason);
        let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
        let model = ModelProto::read(&bytes).map_err(|error| Error::file(path, error))?;
        drop(bytes);
        let opset = opset(&model).map_err(|reason| wrong(&reason))?;
        if let Some(function) = model.functions.first() {
            return Err(wrong(&format!("holds the function `{}`; ATC reads none: inline it", function.name)));
        }
        let graph = model.graph.ok_or_else(|| wrong("has no graph; is it another kind of file?"))?;
        let mut folder = Folder::of(path)?;
        Self::checked(graph, opset, &mut folder, constants)
    }

    fn checked(
        graph: GraphProto,
        opset: i64,
        folder: &mut Folder,
        constants: &mut Constants,
    ) -> Result<Self> {
        let initialized: HashSet<&str> =
            graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        // Old files list initializers among the inputs, too.
        let fed = graph.input.iter().filter(|input| !initialized.contains(input.name.as_str()));
        let inputs = fed.map(input).collect::<Result<Vec<_>>>()?;
        let outputs = graph.output.iter().map(output).collect::<Result<Vec<_>>>()?;
        if outputs.is_empty() {
            return Err(Error::tensor(&graph.name, "the graph has no output"));
        }
        let mut nodes = graph.node;
        let mut initializers = Vec::with_capacity(graph.initializer.len());
        for tensor in graph.initializer.into_iter().chain(constant_nodes(&mut nodes)) {
            let name = tensor.name.clone();
            let loaded = folder.loaded(tensor)?.read()?;
            has_axes(&name, loaded.shape().len())?;
            compiled(loaded.dtype()).map_err(|reason| Error::tensor(&name, reason))?;
            let id = constants.add(&name, loaded);
            let dims = constants.dims(id);
            if room(&dims).is_none() {
                return Err(Error::tensor(
                    &name,
                    format!("has the extents {dims:?}, which do not fit a device"),
                ));
            }
            initializers.push((name, id));
        }
        for node in &mut nodes {
            if node.name.is_empty() {
                node.name = node.output.first().cloned().unwrap_or_default();
            }
        }
        Ok(Self { name: graph.name, opset, nodes, inputs, outputs, initializers })
    }
}

/// Takes nodes that are nothing but a tensor out of the list: some exporters store weights as such.
fn constant_nodes(nodes: &mut Vec<NodeProto>) -> Vec<TensorProto> {
    let mut tensors = Vec::new();
    nodes.retain_mut(|node| {
        if node.op_type != "Constant" || !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return true;
        }
        let value = node.attribute.iter_mut().find(|attribute| attribute.name == "value");
        match (value.and_then(|value| value.t.take()), &node.output[..]) {
            (Some(tensor), [name]) => {
                tensors.push(TensorProto { name: name.clone(), ..tensor });
                false
            }
            _ => true,
        }
    });
    tensors
}

/// The version of ONNX's operators.
fn opset(model: &ModelProto) -> std::result::Result<i64, String> {
    let mut version = None;
    for opset in &model.opset_import {
        if !matches!(opset.domain(), "" | "ai.onnx") {
            return Err(format!("is of the domain `{}`, which ATC does not know", opset.domain()));
        }
        version = version.max(Some(opset.version));
    }
    match version {
        None => Err("says of no version of ONNX's operators; is it another kind of file?".to_owned()),
        Some(version) if ASCEND_OPSETS.contains(&version) => Ok(version),
        Some(version) => Err(format!(
            "is of opset {version}; ATC reads {} to {}",
            ASCEND_OPSETS.start(),
            ASCEND_OPSETS.end()
        )),
    }
}

fn input(info: &ValueInfoProto) -> Result<Input> {
    let name = info.name.clone();
    let tensor = info.ty.as_ref().and_then(|ty| ty.tensor_type.as_ref());
    let tensor =
        tensor.ok_or_else(|| Error::tensor(&name, "is an input that is no tensor, or has no type"))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| {
        Error::tensor(&name, "is an input of which the model does not say how many axes it has")
    })?;
    has_axes(&name, shape.dim.len())?;
    let dims = shape.dim.iter().map(|dim| dim.dim_value.filter(|&extent| extent > 0)).collect();
    Ok(Input { dtype: declared(&name, tensor.elem_type)?, name, dims })
}

fn output(info: &ValueInfoProto) -> Result<Output> {
    let tensor = info.ty.as_ref().and_then(|ty| ty.tensor_type.as_ref()).filter(|ty| ty.elem_type != 0);
    let dtype = tensor.map(|tensor| declared(&info.name, tensor.elem_type)).transpose()?;
    Ok(Output { name: info.name.clone(), dtype })
}

fn declared(name: &str, code: i32) -> Result<DType> {
    let dtype =
        dtype_of(code).ok_or_else(|| Error::tensor(name, format!("is of ONNX's data type {code}")))?;
    compiled(dtype).map_err(|reason| Error::tensor(name, reason))
}

/// Holds a number of axes to the most that there may be.
///
/// # Errors
/// How many they are, to be said of what has or gives them.
pub(crate) fn within_axes(axes: usize) -> std::result::Result<(), String> {
    if axes <= MOST_AXES {
        return Ok(());
    }
    Err(format!("{axes} axes; atc-sim takes {MOST_AXES}"))
}

fn has_axes(name: &str, axes: usize) -> Result<()> {
    within_axes(axes).map_err(|many| Error::tensor(name, format!("has {many}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_onnx::messages::OperatorSetIdProto;

    #[test]
    fn only_what_atcs_parser_takes_is_read() {
        let of = |opsets: &[(&str, i64)]| {
            let opset_import =
                opsets.iter().map(|(domain, version)| OperatorSetIdProto::new(domain, *version)).collect();
            opset(&ModelProto { opset_import, ..ModelProto::default() })
        };
        assert_eq!(of(&[("", 11)]), Ok(11));
        assert_eq!(of(&[("ai.onnx", 18)]), Ok(18));
        assert!(of(&[("", 10)]).unwrap_err().contains("opset 10; ATC reads 11 to 18"));
        assert!(of(&[("", 13), ("com.microsoft", 1)]).unwrap_err().contains("com.microsoft"));
        assert!(of(&[]).unwrap_err().contains("no version"));
    }
}
