//! The graph: nodes in topological order, values in single assignment.

use crate::{DType, Dim, HostTensor, Op};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u32);

/// The index of a value in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

impl ValueId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The dtype and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorType {
    /// Its element type.
    pub dtype: DType,
    /// Its extents, outermost first; they may be symbolic.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A type.
    pub fn new(dtype: DType, shape: impl Into<Vec<Dim>>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// A type whose extents are all known.
    pub fn fixed(dtype: DType, shape: &[usize]) -> Self {
        Self { dtype, shape: shape.iter().map(|&extent| Dim::from(extent)).collect() }
    }

    /// The extents, if all are known.
    pub fn fixed_shape(&self) -> Option<Vec<usize>> {
        self.shape.iter().map(Dim::as_const).collect()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extents: Vec<String> = self.shape.iter().map(Dim::to_string).collect();
        write!(f, "{}[{}]", self.dtype, extents.join(", "))
    }
}

/// What tells one constant from another, for as long as the process runs; devices key their packed weights by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConstantKey(u64);

/// A tensor that is part of the graph: a weight, or the result of folding.
#[derive(Clone, Debug)]
pub struct Constant {
    key: ConstantKey,
    tensor: HostTensor,
}

impl Constant {
    /// A constant with a new key. Clones share the key.
    pub fn new(tensor: HostTensor) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { key: ConstantKey(NEXT.fetch_add(1, Ordering::Relaxed)), tensor }
    }

    /// Its key.
    pub fn key(&self) -> ConstantKey {
        self.key
    }

    /// Its elements.
    pub fn tensor(&self) -> &HostTensor {
        &self.tensor
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The caller, at each run.
    Input,
    /// The graph itself.
    Constant(Constant),
    /// An output of a node.
    Node {
        /// Which node.
        node: NodeId,
        /// Which of its outputs.
        output: usize,
    },
}

/// A tensor-valued edge of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its name: the input's, the weight's, or the node's with an output number where there are several.
    pub name: String,
    /// Its dtype and shape.
    pub ty: TensorType,
    /// Where it comes from.
    pub origin: Origin,
}

/// An op applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    /// A hierarchical name, such as `encoder.2.attention.output.dense`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads, in the op's order.
    pub inputs: Vec<ValueId>,
    /// What it writes.
    pub outputs: Vec<ValueId>,
}

/// A whole computation. Built by [`GraphBuilder`](crate::GraphBuilder), immutable afterwards.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) values: Vec<Value>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<(String, ValueId)>,
    pub(crate) checkpoints: Vec<(String, ValueId)>,
}

impl Graph {
    /// The nodes; each comes after those whose outputs it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Every value, indexed by [`ValueId`].
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.values.iter().enumerate().map(|(at, value)| (ValueId(at as u32), value))
    }

    /// The value of that id, which must be of this graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// What a run must be given, in order.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// What a run gives, by name, in order.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }

    /// The values that may be tapped, by name, in order of the computation. No pass removes one.
    pub fn checkpoints(&self) -> &[(String, ValueId)] {
        &self.checkpoints
    }

    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<ValueId> {
        self.inputs.iter().copied().find(|&id| self.value(id).name == name)
    }

    /// The node that writes a value; `None` for inputs and constants.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        match self.value(id).origin {
            Origin::Node { node, .. } => Some(&self.nodes[node.0 as usize]),
            _ => None,
        }
    }

    /// The constant behind a value, if it is one.
    pub fn constant(&self, id: ValueId) -> Option<&Constant> {
        match &self.value(id).origin {
            Origin::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// How often each value is read by nodes, indexed by [`ValueId`].
    pub fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.values.len()];
        for input in self.nodes.iter().flat_map(|node| &node.inputs) {
            counts[input.index()] += 1;
        }
        counts
    }

    /// The values that must stay visible: outputs and checkpoints.
    pub fn pinned(&self) -> BTreeSet<ValueId> {
        self.outputs.iter().chain(&self.checkpoints).map(|(_, id)| *id).collect()
    }

    /// How many elements the constants hold.
    pub fn parameter_count(&self) -> usize {
        self.values
            .iter()
            .map(|value| match &value.origin {
                Origin::Constant(constant) => constant.tensor.element_count(),
                _ => 0,
            })
            .sum()
    }
}
