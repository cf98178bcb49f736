//! What can go wrong at a device, said so that someone can act on it.

use std::fmt;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// One node that a device cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReason {
    /// The node's name.
    pub node: String,
    /// Its op.
    pub op: String,
    /// Its inputs' types.
    pub inputs: Vec<String>,
    /// Why the device refuses it.
    pub reason: String,
    /// What was tried: rules applied, decompositions not allowed.
    pub tried: String,
}

impl fmt::Display for NodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} of {}): {}; {}",
            self.node,
            self.op,
            self.inputs.join(", "),
            self.reason,
            self.tried
        )
    }
}

/// An error of a backend or device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A backend whose driver or library is not there.
    #[error("{backend} is not available: {library} not found (searched {}). {hint}", searched.join(", "))]
    Unavailable {
        /// The backend.
        backend: String,
        /// What is missing.
        library: String,
        /// Where it was looked for.
        searched: Vec<String>,
        /// What to do.
        hint: String,
    },
    /// A device number that the backend does not have.
    #[error("{backend}:{ordinal} does not exist; {backend} has {count} device(s), numbered from 0")]
    NoSuchDevice {
        /// The backend.
        backend: String,
        /// The number asked for.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// Nodes that the device cannot run, all of them.
    #[error("{device} cannot run {} node(s):{}", nodes.len(), list(nodes))]
    Unsupported {
        /// The device.
        device: String,
        /// The nodes.
        nodes: Vec<NodeReason>,
    },
    /// A program that is not well formed, or a buffer that does not fit it.
    #[error("program: {reason}")]
    Program {
        /// What is wrong.
        reason: String,
    },
    /// A compiled model that cannot be had, or that does not give what is asked of it.
    #[error("{file}: {reason}")]
    CompiledModel {
        /// Its file, or the device that runs it.
        file: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Values that an op cannot take, such as an index out of range.
    #[error("{node}: {reason}")]
    Value {
        /// The node.
        node: String,
        /// What was found, and what is allowed.
        reason: String,
    },
    /// A call to a driver that failed.
    #[error("{device}: {call} failed at {node} with code {code}: {driver_text}")]
    Device {
        /// The device.
        device: String,
        /// The node that was running.
        node: String,
        /// The driver's function.
        call: String,
        /// What it returned.
        code: i64,
        /// What the driver says of it.
        driver_text: String,
    },
    /// Memory that is not to be had.
    #[error("{device}: out of memory: {requested} bytes requested{}", free.map(|f| format!(", {f} free")).unwrap_or_default())]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes asked for.
        requested: usize,
        /// Bytes free, where known.
        free: Option<usize>,
    },
    /// The run was cancelled before this node.
    #[error("cancelled before {node}")]
    Cancelled {
        /// The node that would have run next.
        node: String,
    },
    /// An error of a graph.
    #[error(transparent)]
    Graph(#[from] lockstep_graph::Error),
    /// An error of a tensor.
    #[error(transparent)]
    Tensor(#[from] lockstep_graph::tensor::Error),
}

fn list(nodes: &[NodeReason]) -> String {
    nodes.iter().map(|node| format!("\n  {node}")).collect()
}

impl Error {
    /// An error of the program or its buffers.
    pub fn program(reason: impl Into<String>) -> Self {
        Error::Program { reason: reason.into() }
    }

    /// An error of a compiled model.
    pub fn compiled_model(file: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::CompiledModel { file: file.into(), reason: reason.into() }
    }

    /// An error of the values that reached a node.
    pub fn value(node: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Value { node: node.into(), reason: reason.into() }
    }
}
