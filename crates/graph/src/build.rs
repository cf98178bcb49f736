//! Building graphs: every node is shape-checked as it is added.

use crate::{
    Activation, BinaryOp, CompareOp, Constant, Custom, CustomOp, DType, Dim, Error, GeluForm, Graph,
    HostTensor, Linear, Node, NodeId, Op, Origin, ReduceOp, Result, TensorType, UnaryOp, Value, ValueId,
    infer,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Builds a [`Graph`] node by node.
///
/// Methods take a node's name first; inside [`GraphBuilder::scoped`] names get a prefix, and a name that is taken gets a
/// number, so that node names are unique. Each method fails with [`Error::Shape`] when the inputs do not fit the op.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    scope: Vec<String>,
    names: HashSet<String>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `body` with `name` prefixed to every name it gives.
    ///
    /// # Errors
    /// What `body` returns.
    pub fn scoped<T>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scope.push(name.to_owned());
        let result = body(self);
        self.scope.pop();
        result
    }

    fn path(&self, name: &str) -> String {
        let mut parts: Vec<&str> = self.scope.iter().map(String::as_str).collect();
        if !name.is_empty() {
            parts.push(name);
        }
        parts.join(".")
    }

    fn unique(&mut self, name: String) -> String {
        if self.names.insert(name.clone()) {
            return name;
        }
        let free =
            (2..).map(|number| format!("{name}_{number}")).find(|numbered| !self.names.contains(numbered));
        let numbered = free.unwrap_or(name);
        self.names.insert(numbered.clone());
        numbered
    }

    fn push_value(&mut self, name: String, ty: TensorType, origin: Origin) -> ValueId {
        self.graph.values.push(Value { name, ty, origin });
        ValueId((self.graph.values.len() - 1) as u32)
    }

    /// An input that each run is given; its name gets no prefix.
    ///
    /// # Errors
    /// [`Error::Structure`] if the name is taken.
    pub fn input(&mut self, name: &str, ty: TensorType) -> Result<ValueId> {
        if self.graph.input(name).is_some() {
            return Err(Error::structure(format!("two inputs are called `{name}`")));
        }
        let id = self.push_value(name.to_owned(), ty, Origin::Input);
        self.graph.inputs.push(id);
        Ok(id)
    }

    /// A tensor that is part of the graph; its name gets no prefix.
    pub fn constant(&mut self, name: &str, tensor: HostTensor) -> ValueId {
        self.shared_constant(name, Constant::new(tensor))
    }

    /// A constant that keeps its key, so that devices recognise it.
    pub fn shared_constant(&mut self, name: &str, constant: Constant) -> ValueId {
        let ty = TensorType::fixed(constant.tensor().dtype(), constant.tensor().shape());
        self.push_value(name.to_owned(), ty, Origin::Constant(constant))
    }

    /// A node with all its outputs.
    ///
    /// # Errors
    /// [`Error::Shape`] if the inputs do not fit the op.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let name = self.unique(self.path(name));
        if let Some(id) = inputs.iter().find(|id| id.index() >= self.graph.values.len()) {
            return Err(Error::structure(format!("{name}: value {} is not of this graph", id.0)));
        }
        let types: Vec<&TensorType> = inputs.iter().map(|&id| &self.graph.value(id).ty).collect();
        let output_types = infer(&name, &op, &types)?;
        let node = NodeId(self.graph.nodes.len() as u32);
        let several = output_types.len() > 1;
        let mut outputs = Vec::with_capacity(output_types.len());
        for (output, ty) in output_types.into_iter().enumerate() {
            let value_name = if several { format!("{name}:{output}") } else { name.clone() };
            outputs.push(self.push_value(value_name, ty, Origin::Node { node, output }));
        }
        self.graph.nodes.push(Node { name, op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// A node of one output.
    ///
    /// # Errors
    /// [`Error::Shape`] if the inputs do not fit the op, or it has not exactly one output.
    pub fn single(&mut self, name: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let op_name = op.name().to_owned();
        match self.node(name, op, inputs)?.as_slice() {
            [output] => Ok(*output),
            outputs => {
                Err(Error::shape(name, op_name, format!("has {} outputs, expected one", outputs.len())))
            }
        }
    }

    /// How many nodes were added so far.
    pub fn node_count(&self) -> usize {
        self.graph.nodes.len()
    }

    /// The names of the nodes added since there were `count`.
    pub fn node_names_from(&self, count: usize) -> impl Iterator<Item = &str> {
        self.graph.nodes[count.min(self.graph.nodes.len())..].iter().map(|node| node.name.as_str())
    }

    /// The type of a value added so far.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.graph.value(id).ty
    }

    /// Names a value as an output of the graph.
    ///
    /// # Errors
    /// [`Error::Structure`] if the name is taken.
    pub fn output(&mut self, name: &str, id: ValueId) -> Result<()> {
        push_named(&mut self.graph.outputs, "output", name.to_owned(), id)
    }

    /// Names a value as a checkpoint, with the scope's prefix: it can be tapped, and no pass fuses it away.
    ///
    /// # Errors
    /// [`Error::Structure`] if the name is taken.
    pub fn checkpoint(&mut self, name: &str, id: ValueId) -> Result<()> {
        let name = self.path(name);
        push_named(&mut self.graph.checkpoints, "checkpoint", name, id)
    }

    /// The finished graph.
    ///
    /// # Errors
    /// [`Error::Structure`] if it has no output.
    pub fn finish(self) -> Result<Graph> {
        if self.graph.outputs.is_empty() {
            return Err(Error::structure("no output is named; call `output` on what a run should give"));
        }
        Ok(self.graph)
    }

    /// [`Op::Unary`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn unary(&mut self, name: &str, op: UnaryOp, x: ValueId) -> Result<ValueId> {
        self.single(name, Op::Unary(op), &[x])
    }

    /// [`Op::Binary`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn binary(&mut self, name: &str, op: BinaryOp, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.single(name, Op::Binary(op), &[a, b])
    }

    /// `a + b`.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.binary(name, BinaryOp::Add, a, b)
    }

    /// `a * b`.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn mul(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.binary(name, BinaryOp::Mul, a, b)
    }

    /// [`Op::Compare`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn compare(&mut self, name: &str, op: CompareOp, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.single(name, Op::Compare(op), &[a, b])
    }

    /// [`Op::Select`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn select(&mut self, name: &str, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.single(name, Op::Select, &[condition, a, b])
    }

    /// [`Op::Cast`]; `x` itself where it has that dtype already.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn cast(&mut self, name: &str, x: ValueId, to: DType) -> Result<ValueId> {
        if self.ty(x).dtype == to {
            return Ok(x);
        }
        self.single(name, Op::Cast { to }, &[x])
    }

    /// [`Op::MatMul`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn matmul(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.single(name, Op::MatMul, &[a, b])
    }

    /// [`Op::Transpose`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn transpose(&mut self, name: &str, x: ValueId, permutation: &[usize]) -> Result<ValueId> {
        self.single(name, Op::Transpose { permutation: permutation.to_vec() }, &[x])
    }

    /// [`Op::Reshape`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn reshape(&mut self, name: &str, x: ValueId, shape: &[Dim]) -> Result<ValueId> {
        self.single(name, Op::Reshape { shape: shape.to_vec() }, &[x])
    }

    /// [`Op::Slice`] of consecutive positions.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn slice(
        &mut self,
        name: &str,
        x: ValueId,
        axis: usize,
        start: usize,
        length: Dim,
    ) -> Result<ValueId> {
        self.single(name, Op::Slice { axis, start, step: 1, length }, &[x])
    }

    /// [`Op::Gather`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn gather(&mut self, name: &str, data: ValueId, axis: usize, index: ValueId) -> Result<ValueId> {
        self.single(name, Op::Gather { axis }, &[data, index])
    }

    /// [`Op::IndexAdd`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn index_add(
        &mut self,
        name: &str,
        axis: usize,
        base: ValueId,
        index: ValueId,
        source: ValueId,
    ) -> Result<ValueId> {
        self.single(name, Op::IndexAdd { axis }, &[base, index, source])
    }

    /// [`Op::Reduce`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn reduce(
        &mut self,
        name: &str,
        op: ReduceOp,
        x: ValueId,
        axes: &[usize],
        keep_axes: bool,
    ) -> Result<ValueId> {
        self.single(name, Op::Reduce { op, axes: axes.to_vec(), keep_axes }, &[x])
    }

    /// A scalar of `dtype`.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn scalar(&mut self, name: &str, dtype: DType, value: f64) -> Result<ValueId> {
        self.fill(name, dtype, value, &[])
    }

    /// [`Op::Fill`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn fill(&mut self, name: &str, dtype: DType, value: f64, shape: &[Dim]) -> Result<ValueId> {
        self.single(name, Op::Fill { dtype, value, shape: shape.to_vec() }, &[])
    }

    /// [`Op::Softmax`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn softmax(&mut self, name: &str, x: ValueId, axis: usize) -> Result<ValueId> {
        self.single(name, Op::Softmax { axis }, &[x])
    }

    /// [`Op::LayerNorm`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: ValueId,
        gamma: ValueId,
        beta: ValueId,
        epsilon: f64,
    ) -> Result<ValueId> {
        self.single(name, Op::LayerNorm { epsilon }, &[x, gamma, beta])
    }

    /// [`Op::Gelu`].
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn gelu(&mut self, name: &str, x: ValueId, form: GeluForm) -> Result<ValueId> {
        self.single(name, Op::Gelu(form), &[x])
    }

    /// [`Op::Linear`] with a bias, with an activation or without.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn linear(
        &mut self,
        name: &str,
        x: ValueId,
        weight: ValueId,
        bias: ValueId,
        activation: Option<Activation>,
    ) -> Result<ValueId> {
        self.single(name, Op::Linear(Linear { bias: true, activation, residual: false }), &[x, weight, bias])
    }

    /// [`Op::Custom`].
    ///
    /// # Errors
    /// [`Error::Shape`] with what the op's shape rule says.
    pub fn custom(&mut self, name: &str, op: Arc<dyn CustomOp>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        self.node(name, Op::Custom(Custom::new(op)), inputs)
    }
}

fn push_named(list: &mut Vec<(String, ValueId)>, kind: &str, name: String, id: ValueId) -> Result<()> {
    if list.iter().any(|(taken, _)| *taken == name) {
        return Err(Error::structure(format!("two {kind}s are called `{name}`")));
    }
    list.push((name, id));
    Ok(())
}
