//! A graph that can be edited: what the generator draws and the shrinker erases. [`Sketch::graph`] makes the graph of it, which
//! checks it whole.

use lockstep_runtime::graph::{Graph, GraphBuilder, Op, Result, TensorType, ValueId};
use lockstep_runtime::tensor::HostTensor;

/// A small graph with its tensors. Every value that no node reads is an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    /// Tensors from outside.
    pub leaves: Vec<Leaf>,
    /// Nodes, each after those that it reads.
    pub nodes: Vec<SketchNode>,
}

/// A tensor from outside. Equal to another with the same bits, NaN or not.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its elements.
    pub tensor: HostTensor,
    /// Whether it is part of the graph, as weights are, or handed to the run.
    pub is_constant: bool,
}

/// An op on what came before.
#[derive(Clone, Debug, PartialEq)]
pub struct SketchNode {
    /// What it computes.
    pub op: Op,
    /// What on.
    pub inputs: Vec<Source>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A leaf, by its place.
    Leaf(usize),
    /// A node, by its place.
    Node(usize),
}

impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        let alike = |a: &HostTensor, b: &HostTensor| a.dtype() == b.dtype() && a.shape() == b.shape();
        self.is_constant == other.is_constant
            && alike(&self.tensor, &other.tensor)
            && self.tensor.bytes() == other.tensor.bytes()
    }
}

impl Sketch {
    /// The graph. Leaves are called `x0` or, as constants, `w0`; nodes `n0`; outputs as the nodes that compute them.
    ///
    /// # Errors
    /// A node that does not fit what it reads.
    pub fn graph(&self) -> Result<Graph> {
        let mut b = GraphBuilder::new();
        let mut leaves = Vec::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            leaves.push(match leaf.is_constant {
                true => b.constant(&self.leaf_name(at), leaf.tensor.clone()),
                false => b.input(&self.leaf_name(at), type_of(&leaf.tensor))?,
            });
        }
        let mut nodes: Vec<ValueId> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let value = |source: &Source| match *source {
                Source::Leaf(at) => leaves[at],
                Source::Node(at) => nodes[at],
            };
            let inputs: Vec<ValueId> = node.inputs.iter().map(value).collect();
            nodes.push(b.single(&format!("n{at}"), node.op.clone(), &inputs)?);
        }
        for at in self.unread_nodes() {
            b.output(&format!("n{at}"), nodes[at])?;
        }
        b.finish()
    }

    /// What a run of the graph is given.
    pub fn inputs(&self) -> Vec<(String, &HostTensor)> {
        let given = self.leaves.iter().enumerate().filter(|(_, leaf)| !leaf.is_constant);
        given.map(|(at, leaf)| (self.leaf_name(at), &leaf.tensor)).collect()
    }

    /// Every leaf by its name, constants too.
    pub fn tensors(&self) -> Vec<(String, &HostTensor)> {
        self.leaves.iter().enumerate().map(|(at, leaf)| (self.leaf_name(at), &leaf.tensor)).collect()
    }

    /// A line for each leaf and node.
    pub fn describe(&self) -> Vec<String> {
        let leaves = self.leaves.iter().enumerate().map(|(at, leaf)| {
            let values = leaf.tensor.to_f64();
            let first: Vec<String> = values.iter().take(8).map(|x| format!("{x:?}")).collect();
            let more = if values.len() > first.len() { ", .." } else { "" };
            let (dtype, shape) = (leaf.tensor.dtype(), leaf.tensor.shape());
            format!("{} = {dtype}{shape:?} [{}{more}]", self.leaf_name(at), first.join(", "))
        });
        let nodes = self.nodes.iter().enumerate().map(|(at, node)| {
            let inputs: Vec<String> = node.inputs.iter().map(|&source| self.source_name(source)).collect();
            format!("n{at} = {:?} of ({})", node.op, inputs.join(", "))
        });
        leaves.chain(nodes).collect()
    }

    /// The nodes that no other reads.
    pub(super) fn unread_nodes(&self) -> Vec<usize> {
        let is_read = |at: &usize| self.nodes.iter().any(|node| node.inputs.contains(&Source::Node(*at)));
        (0..self.nodes.len()).filter(|at| !is_read(at)).collect()
    }

    /// The same with `instead` wherever a node's value is read, and without the node and the leaves that nothing reads then.
    /// `instead` must be known before the node.
    pub(super) fn without_node(&self, gone: usize, instead: Option<Source>) -> Sketch {
        let moved = |source: Source| match (source, instead) {
            (Source::Node(at), Some(instead)) if at == gone => instead,
            (Source::Node(at), _) if at > gone => Source::Node(at - 1),
            (other, _) => other,
        };
        let mut sketch = self.clone();
        sketch.nodes.remove(gone);
        for node in &mut sketch.nodes {
            node.inputs.iter_mut().for_each(|source| *source = moved(*source));
        }
        sketch.swept()
    }

    /// The same without the leaves that nothing reads.
    pub(super) fn swept(mut self) -> Sketch {
        let is_read = |at: &usize| self.nodes.iter().any(|node| node.inputs.contains(&Source::Leaf(*at)));
        let kept: Vec<usize> = (0..self.leaves.len()).filter(is_read).collect();
        for node in &mut self.nodes {
            for source in &mut node.inputs {
                if let Source::Leaf(at) = source {
                    // It is read, so it is kept.
                    *at = kept.iter().position(|kept| kept == at).unwrap_or_default();
                }
            }
        }
        self.leaves = kept.iter().map(|&at| self.leaves[at].clone()).collect();
        self
    }

    fn leaf_name(&self, at: usize) -> String {
        format!("{}{at}", if self.leaves[at].is_constant { "w" } else { "x" })
    }

    fn source_name(&self, source: Source) -> String {
        match source {
            Source::Leaf(at) => self.leaf_name(at),
            Source::Node(at) => format!("n{at}"),
        }
    }
}

pub(super) fn type_of(tensor: &HostTensor) -> TensorType {
    TensorType::fixed(tensor.dtype(), tensor.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_runtime::graph::{BinaryOp, UnaryOp};

    fn sketch() -> Sketch {
        let leaf =
            |x: f32, is_constant| Leaf { tensor: HostTensor::from_slice(&[1], &[x]).unwrap(), is_constant };
        let node = |op, inputs: &[Source]| SketchNode { op, inputs: inputs.to_vec() };
        Sketch {
            leaves: vec![leaf(1.0, false), leaf(2.0, true), leaf(3.0, false)],
            nodes: vec![
                node(Op::Unary(UnaryOp::Exp), &[Source::Leaf(1)]),
                node(Op::Unary(UnaryOp::Neg), &[Source::Leaf(2)]),
                node(Op::Binary(BinaryOp::Add), &[Source::Node(1), Source::Leaf(0)]),
            ],
        }
    }

    #[test]
    fn what_nothing_reads_is_an_output() {
        let graph = sketch().graph().unwrap();
        let outputs: Vec<&str> = graph.outputs().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(outputs, ["n0", "n2"]);
        assert_eq!(sketch().inputs().len(), 2);
    }

    #[test]
    fn a_node_goes_with_the_leaves_that_only_it_read() {
        let left = sketch().without_node(0, None);
        assert_eq!((left.nodes.len(), left.leaves.len()), (2, 2));
        assert_eq!(left.nodes[1].inputs, [Source::Node(0), Source::Leaf(0)]);
        let shorter = left.without_node(0, Some(Source::Leaf(1)));
        assert_eq!(shorter.nodes[0].inputs, [Source::Leaf(1), Source::Leaf(0)]);
        assert_eq!(shorter.graph().unwrap().nodes().len(), 1);
    }
}
