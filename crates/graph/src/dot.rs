//! The graph as a picture: Graphviz DOT.

use crate::{Graph, Origin};
use std::fmt::Write;

impl Graph {
    /// The graph in Graphviz's language: nodes by op and name, edges by type, checkpoints framed twice, constants left
    /// out.
    pub fn to_dot(&self) -> String {
        let mut dot = String::from(
            "digraph lockstep {\n  rankdir=TB;\n  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=8];\n",
        );
        let checkpoints: Vec<_> = self.checkpoints().iter().map(|(_, id)| *id).collect();
        for &id in self.inputs() {
            let value = self.value(id);
            let label = escape(&format!("{}\n{}", value.name, value.ty));
            let _ = writeln!(dot, "  v{} [label=\"{label}\", shape=ellipse];", id.0);
        }
        for (at, node) in self.nodes().iter().enumerate() {
            let marked = node.outputs.iter().any(|id| checkpoints.contains(id));
            let frame = if marked { ", peripheries=2" } else { "" };
            let _ = writeln!(
                dot,
                "  n{at} [label=\"{}\"{frame}];",
                escape(&format!("{}\n{}", node.op, node.name))
            );
            for &id in &node.inputs {
                let value = self.value(id);
                let source = match value.origin {
                    Origin::Input => format!("v{}", id.0),
                    Origin::Node { node, .. } => format!("n{}", node.0),
                    Origin::Constant(_) => continue,
                };
                let _ = writeln!(dot, "  {source} -> n{at} [label=\"{}\"];", escape(&value.ty.to_string()));
            }
        }
        for (at, (name, id)) in self.outputs().iter().enumerate() {
            let _ = writeln!(dot, "  o{at} [label=\"{}\", shape=ellipse, penwidth=2];", escape(name));
            match self.value(*id).origin {
                Origin::Node { node, .. } => drop(writeln!(dot, "  n{} -> o{at};", node.0)),
                _ => drop(writeln!(dot, "  v{} -> o{at};", id.0)),
            }
        }
        dot.push_str("}\n");
        dot
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
