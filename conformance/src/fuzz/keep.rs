//! Graphs that fail, on disk: the graph as JSON and its tensors, so that they can be looked at and run again anywhere.

use super::sketch::Sketch;
use lockstep_runtime::graph::{self, CustomOps, Graph};
use lockstep_runtime::tensor::{self, HostTensor, TensorSource, write_safetensors};
use std::path::{Path, PathBuf};

const GRAPH: &str = "graph.json";
const TENSORS: &str = "tensors.safetensors";

/// What can go wrong with a kept graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A graph that is not one, or does not fit its tensors.
    #[error("{}: {source}", path.display())]
    Graph {
        /// The file.
        path: PathBuf,
        /// Why.
        source: graph::Error,
    },
    /// Tensors that cannot be read or written.
    #[error(transparent)]
    Tensor(#[from] tensor::Error),
}

/// A graph and what a run of it is given.
#[derive(Debug)]
pub struct Kept {
    /// The graph.
    pub graph: Graph,
    /// Its inputs by name.
    pub inputs: Vec<(String, HostTensor)>,
}

/// Writes a graph and its tensors to a folder, which is made if it is not there.
///
/// # Errors
/// What cannot be written.
pub fn keep(sketch: &Sketch, folder: &Path) -> Result<(), KeepError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KeepError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let path = folder.join(GRAPH);
    let of_graph = |source| KeepError::Graph { path: path.clone(), source };
    let text = sketch.graph().and_then(|graph| graph.to_json()).map_err(of_graph)?;
    std::fs::write(&path, text).map_err(io(&path))?;
    let tensors = sketch.tensors();
    write_safetensors(&folder.join(TENSORS), tensors.iter().map(|(name, x)| (name.as_str(), *x)))?;
    Ok(())
}

/// Reads what [`keep`] wrote.
///
/// # Errors
/// Files that are not there, damaged, or do not belong together.
pub fn kept(folder: &Path) -> Result<Kept, KeepError> {
    let path = folder.join(GRAPH);
    let text =
        std::fs::read_to_string(&path).map_err(|source| KeepError::Io { path: path.clone(), source })?;
    let tensors = TensorSource::open(&folder.join(TENSORS))?;
    let graph = Graph::from_json(&text, &CustomOps::new(), |name| Ok(tensors.tensor(name)?))
        .map_err(|source| KeepError::Graph { path, source })?;
    let inputs = graph.inputs().iter().map(|&id| {
        let name = graph.value(id).name.clone();
        let tensor = tensors.tensor(&name)?;
        Ok((name, tensor))
    });
    let inputs = inputs.collect::<Result<_, tensor::Error>>()?;
    Ok(Kept { graph, inputs })
}
