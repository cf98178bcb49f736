//! Rewriting a graph into a new one, node by node. Every pass is a walk over the old graph that emits into a
//! [`Rewriter`]; what ends up unread is dropped at the end.

use crate::{Error, Graph, GraphBuilder, Node, Origin, Result, ValueId};
use std::collections::HashMap;

/// A graph under construction from an old one, with the map from old values to new.
#[derive(Debug)]
pub struct Rewriter<'a> {
    old: &'a Graph,
    /// The new graph so far.
    pub builder: GraphBuilder,
    map: HashMap<ValueId, ValueId>,
}

impl<'a> Rewriter<'a> {
    /// Starts with the old graph's inputs, in order.
    ///
    /// # Errors
    /// As [`GraphBuilder::input`].
    pub fn new(old: &'a Graph) -> Result<Self> {
        let mut rewriter = Self { old, builder: GraphBuilder::new(), map: HashMap::new() };
        for &id in old.inputs() {
            let value = old.value(id);
            let new = rewriter.builder.input(&value.name, value.ty.clone())?;
            rewriter.map.insert(id, new);
        }
        Ok(rewriter)
    }

    /// The new value that stands for an old one. Constants are copied on first use, with their keys.
    ///
    /// # Errors
    /// [`Error::Structure`] if the node that writes it was not emitted yet.
    pub fn value(&mut self, old: ValueId) -> Result<ValueId> {
        if let Some(&new) = self.map.get(&old) {
            return Ok(new);
        }
        let value = self.old.value(old);
        let Origin::Constant(constant) = &value.origin else {
            return Err(Error::structure(format!("`{}` is read before it is rewritten", value.name)));
        };
        let new = self.builder.shared_constant(&value.name, constant.clone());
        self.map.insert(old, new);
        Ok(new)
    }

    /// The new values that stand for several old ones.
    ///
    /// # Errors
    /// As [`Rewriter::value`].
    pub fn values(&mut self, old: &[ValueId]) -> Result<Vec<ValueId>> {
        old.iter().map(|&id| self.value(id)).collect()
    }

    /// Lets `new` stand for `old` from here on.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        self.map.insert(old, new);
    }

    /// Emits an old node as it is.
    ///
    /// # Errors
    /// As [`GraphBuilder::node`].
    pub fn copy(&mut self, node: &Node) -> Result<()> {
        let inputs = self.values(&node.inputs)?;
        let outputs = self.builder.node(&node.name, node.op.clone(), &inputs)?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            self.replace(old, new);
        }
        Ok(())
    }

    /// The new graph, with the old one's outputs and checkpoints, without what nothing reads.
    ///
    /// # Errors
    /// [`Error::Structure`] if an output was not emitted.
    pub fn finish(mut self) -> Result<Graph> {
        for (name, id) in self.old.outputs() {
            let new = self.value(*id)?;
            self.builder.output(name, new)?;
        }
        for (name, id) in self.old.checkpoints() {
            let new = self.value(*id)?;
            self.builder.checkpoint(name, new)?;
        }
        self.builder.finish()?.pruned()
    }
}

impl Graph {
    /// The same graph without nodes and constants that no output or checkpoint needs. Inputs stay.
    ///
    /// # Errors
    /// None in practice: the graph was well formed before.
    pub fn pruned(&self) -> Result<Graph> {
        let keep: Vec<ValueId> = self.pinned().into_iter().collect();
        self.restricted(&keep, self.outputs.clone(), self.checkpoints.clone())
    }

    /// The part of the graph that gives only these outputs and keeps only these checkpoints, by name.
    ///
    /// # Errors
    /// [`Error::Structure`] names what the graph does not have, and lists what it has.
    pub fn select(&self, outputs: &[&str], checkpoints: &[&str]) -> Result<Graph> {
        let outputs = pick(&self.outputs, outputs, "output")?;
        let checkpoints = pick(&self.checkpoints, checkpoints, "checkpoint")?;
        let keep: Vec<ValueId> = outputs.iter().chain(&checkpoints).map(|(_, id)| *id).collect();
        self.restricted(&keep, outputs, checkpoints)
    }

    /// The part of the graph that gives these values, as outputs of these names; without checkpoints.
    ///
    /// # Errors
    /// [`Error::Structure`] if there are none, or two have one name.
    pub fn giving(&self, outputs: Vec<(String, ValueId)>) -> Result<Graph> {
        let keep: Vec<ValueId> = outputs.iter().map(|(_, id)| *id).collect();
        self.restricted(&keep, outputs, Vec::new())
    }

    fn restricted(
        &self,
        keep: &[ValueId],
        outputs: Vec<(String, ValueId)>,
        checkpoints: Vec<(String, ValueId)>,
    ) -> Result<Graph> {
        let mut live = vec![false; self.values.len()];
        for id in keep {
            live[id.index()] = true;
        }
        let mut needed = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            needed[at] = node.outputs.iter().any(|id| live[id.index()]);
            if needed[at] {
                node.inputs.iter().for_each(|id| live[id.index()] = true);
            }
        }
        let mut rewriter = Rewriter::new(self)?;
        for (_, node) in self.nodes.iter().enumerate().filter(|(at, _)| needed[*at]) {
            rewriter.copy(node)?;
        }
        for (name, id) in outputs {
            let new = rewriter.value(id)?;
            rewriter.builder.output(&name, new)?;
        }
        for (name, id) in checkpoints {
            let new = rewriter.value(id)?;
            rewriter.builder.checkpoint(&name, new)?;
        }
        rewriter.builder.finish()
    }
}

fn pick(all: &[(String, ValueId)], wanted: &[&str], kind: &str) -> Result<Vec<(String, ValueId)>> {
    wanted
        .iter()
        .map(|name| {
            all.iter().find(|(n, _)| n == name).cloned().ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|(n, _)| n.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Error::structure(format!("there is no {kind} `{name}`; there are: {known}"))
            })
        })
        .collect()
}
