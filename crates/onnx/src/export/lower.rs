//! Composites in the forms that graph compilers know.
//!
//! A compiler finds LayerNorm and GELU again by the operators that PyTorch's exporter writes for them, in that order and
//! with constants in those places; our own decompositions differ in a square, a reciprocal and an order. Softmax stays one
//! node. Everything else is decomposed as it is specified.

use crate::function::DEEPEST;
use crate::{Error, Result};
use lockstep_graph::{
    BinaryOp, DType, GeluForm, Graph, GraphBuilder, Op, ReduceOp, Result as GraphResult, Rewriter,
    TensorType, UnaryOp, ValueId, decompose,
};
use std::f64::consts::SQRT_2;

/// The same graph in primitives and Softmax.
///
/// # Errors
/// [`Error::Model`] for a custom op whose decomposition does not end in primitives; [`Error::Graph`] for one without.
pub(super) fn lowered(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    for _ in 0..DEEPEST {
        let Some(left) = graph.nodes().iter().find(|node| !is_kept(&node.op)) else { return Ok(graph) };
        let name = left.name.clone();
        graph = once(&graph)
            .map_err(|error| Error::model(&name, format!("has no form in standard operators: {error}")))?;
    }
    match graph.nodes().iter().find(|node| !is_kept(&node.op)) {
        None => Ok(graph),
        Some(left) => Err(Error::model(&left.name, "its decomposition does not end in primitives")),
    }
}

fn is_kept(op: &Op) -> bool {
    op.is_primitive() || matches!(op, Op::Softmax { .. })
}

fn once(graph: &Graph) -> GraphResult<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in graph.nodes() {
        if is_kept(&node.op) {
            rewriter.copy(node)?;
            continue;
        }
        let inputs = rewriter.values(&node.inputs)?;
        let types: Vec<&TensorType> = node.outputs.iter().map(|&id| &graph.value(id).ty).collect();
        let outputs = rewriter.builder.scoped(&node.name, |b| form(b, &node.op, &inputs, &types))?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            rewriter.replace(old, new);
        }
    }
    rewriter.finish()
}

fn form(
    b: &mut GraphBuilder,
    op: &Op,
    inputs: &[ValueId],
    outputs: &[&TensorType],
) -> GraphResult<Vec<ValueId>> {
    match (op, inputs, outputs) {
        (_, _, [output]) if is_half(output.dtype) && rounds_once(op) => {
            Ok(vec![widened(b, op, inputs, output.dtype)?])
        }
        (Op::LayerNorm { epsilon }, &[x, gamma, beta], _) => {
            Ok(vec![layer_norm(b, x, [gamma, beta], *epsilon)?])
        }
        (Op::Gelu(GeluForm::Erf), &[x], _) => Ok(vec![gelu(b, x)?]),
        // Primitives, which alone have none, do not come here.
        _ => Ok(decompose(op, b, inputs)?.unwrap_or_default()),
    }
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::Bf16)
}

/// Whether an op in half precision is computed in f32 and rounded at its end: spelled out, a LayerNorm would overflow at a
/// deviation of 256, and a GELU be a hundred times as far off as one rounding. Products stay in half precision, which is
/// what a matrix unit is for; it sums in f32 of its own.
fn rounds_once(op: &Op) -> bool {
    matches!(op, Op::LayerNorm { .. } | Op::AddLayerNorm { .. } | Op::Gelu(_) | Op::Pool { .. })
}

fn widened(b: &mut GraphBuilder, op: &Op, inputs: &[ValueId], narrow: DType) -> GraphResult<ValueId> {
    let mut wide = Vec::with_capacity(inputs.len());
    for &id in inputs {
        wide.push(if is_half(b.ty(id).dtype) { b.cast("wide", id, DType::F32)? } else { id });
    }
    let result = b.single("f32", op.clone(), &wide)?;
    b.cast("", result, narrow)
}

/// ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add; one difference serves the square and the quotient.
fn layer_norm(
    b: &mut GraphBuilder,
    x: ValueId,
    [gamma, beta]: [ValueId; 2],
    epsilon: f64,
) -> GraphResult<ValueId> {
    let dtype = b.ty(x).dtype;
    // Inference has seen that there is one.
    let last = b.ty(x).shape.len().saturating_sub(1);
    let mean = b.reduce("mean", ReduceOp::Mean, x, &[last], true)?;
    let centred = b.binary("centred", BinaryOp::Sub, x, mean)?;
    let two = b.scalar("two", dtype, 2.0)?;
    let squares = b.binary("squares", BinaryOp::Pow, centred, two)?;
    let variance = b.reduce("variance", ReduceOp::Mean, squares, &[last], true)?;
    let epsilon = b.scalar("epsilon", dtype, epsilon)?;
    let shifted = b.add("shifted", variance, epsilon)?;
    let deviation = b.unary("deviation", UnaryOp::Sqrt, shifted)?;
    let normalised = b.binary("normalised", BinaryOp::Div, centred, deviation)?;
    let gamma = b.cast("gamma", gamma, dtype)?;
    let beta = b.cast("beta", beta, dtype)?;
    let scaled = b.mul("scaled", normalised, gamma)?;
    b.add("", scaled, beta)
}

/// Div by the root of two, Erf, Add, Mul, Mul.
fn gelu(b: &mut GraphBuilder, x: ValueId) -> GraphResult<ValueId> {
    let dtype = b.ty(x).dtype;
    let root = b.scalar("root_two", dtype, SQRT_2)?;
    let quotient = b.binary("quotient", BinaryOp::Div, x, root)?;
    let erf = b.unary("erf", UnaryOp::Erf, quotient)?;
    let one = b.scalar("one", dtype, 1.0)?;
    let shifted = b.add("shifted", erf, one)?;
    let product = b.mul("product", x, shifted)?;
    let half = b.scalar("half", dtype, 0.5)?;
    b.mul("", product, half)
}
