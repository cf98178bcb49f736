//! The nodes and initializers of an exported model, as they are added, with names that are free.

use crate::Result;
use crate::messages::{AttributeProto, NodeProto};
use lockstep_graph::{DType, HostTensor};
use std::collections::{HashMap, HashSet};

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<(String, HostTensor)>,
    taken: HashSet<String>,
    shared: HashMap<(DType, Vec<usize>, Vec<u8>), String>,
}

/// A name as compilers take it, which make file and node names of it: letters, digits, `.`, `_`, `/` and `-`.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain.is_empty() { "value".to_owned() } else { plain }
}

impl Nodes {
    /// A name that nothing has, this one if it is free; taken from here on.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        let wanted = plain(wanted);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let free = std::iter::once(wanted.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let free = free.unwrap_or(wanted);
        self.taken.insert(free.clone());
        free
    }

    /// Adds a node whose result is called `output`, a name that was taken for it; the node is called the same, since that is
    /// what tools show.
    pub(super) fn named(
        &mut self,
        output: &str,
        op_type: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: output.to_owned(),
            op_type: op_type.to_owned(),
            attribute,
            domain: String::new(),
        });
    }

    /// Adds a node and gives its result a free name.
    pub(super) fn part(
        &mut self,
        wanted: &str,
        op_type: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = self.name(wanted);
        self.named(&name, op_type, inputs, attribute);
        name
    }

    /// Adds a weight and gives its name.
    pub(super) fn weight(&mut self, wanted: &str, tensor: HostTensor) -> String {
        let name = self.name(wanted);
        self.initializers.push((name.clone(), tensor));
        name
    }

    /// A small tensor's name; equal ones are there once.
    pub(super) fn shared(&mut self, wanted: &str, tensor: HostTensor) -> String {
        let key = (tensor.dtype(), tensor.shape().to_vec(), tensor.bytes().to_vec());
        if let Some(name) = self.shared.get(&key) {
            return name.clone();
        }
        let name = self.weight(wanted, tensor);
        self.shared.insert(key, name.clone());
        name
    }

    /// The name of a list of whole numbers, such as a shape.
    ///
    /// # Errors
    /// None in practice: a list is as long as its shape says.
    pub(super) fn numbers(&mut self, numbers: &[i64]) -> Result<String> {
        let digits: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let tensor =
            HostTensor::from_slice(&[numbers.len()], numbers).map_err(lockstep_graph::Error::from)?;
        Ok(self.shared(&format!("i64.{}", digits.join("_")), tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_made_plain_and_numbered() {
        let mut nodes = Nodes::default();
        let names = ["encoder.2.output", "encoder.2.output", "a b:0", "", "层"].map(|name| nodes.name(name));
        assert_eq!(names, ["encoder.2.output", "encoder.2.output_2", "a_b_0", "value", "_"]);
    }

    #[test]
    fn equal_numbers_are_written_once() {
        let mut nodes = Nodes::default();
        let names = [&[0i64, -1][..], &[0, -1], &[0]].map(|list| nodes.numbers(list).unwrap());
        assert_eq!(names, ["i64.0_-1", "i64.0_-1", "i64.0"]);
        assert_eq!(nodes.initializers.len(), 2);
    }
}
