//! Fused graphs compute what unfused ones do: fused without a device's veto, decomposed again, run on the reference in
//! f64.

use super::fuse;
use crate::{PlanOptions, Prepared};
use lockstep_hal::graph::{
    Activation, CompareOp, DType, Dim, GeluForm, Graph, GraphBuilder, HostTensor, Op, ReduceOp, Result,
    SymbolValues, TensorType, UnaryOp, ValueId,
};
use lockstep_hal::{Backend, Cancel, Usage};
use lockstep_reference::ReferenceBackend;
use std::collections::BTreeMap;
use std::sync::Arc;

const HIDDEN: usize = 12;
const HEADS: usize = 3;

fn constant(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    let count: usize = shape.iter().product();
    let seed = name.bytes().map(f64::from).sum::<f64>();
    let data: Vec<f64> = (0..count).map(|i| ((i as f64 * 0.7 + seed).sin()) * 0.5).collect();
    b.constant(name, HostTensor::from_slice(shape, &data).unwrap())
}

fn linear(b: &mut GraphBuilder, name: &str, x: ValueId, out: usize, inner: usize) -> Result<ValueId> {
    let weight = constant(b, &format!("{name}.weight"), &[out, inner]);
    let bias = constant(b, &format!("{name}.bias"), &[out]);
    b.linear(name, x, weight, bias, None)
}

fn heads(b: &mut GraphBuilder, name: &str, x: ValueId, axes: &[usize]) -> Result<ValueId> {
    let shape = b.ty(x).shape.clone();
    let split = [shape[0].clone(), shape[1].clone(), Dim::from(HEADS), Dim::from(HIDDEN / HEADS)];
    let split = b.reshape(name, x, &split)?;
    b.transpose(name, split, axes)
}

/// A transformer layer written out as exporters write it: products, masked softmax, sums and norms.
fn layer(checkpoint_scores: bool) -> Result<Graph> {
    let mut b = GraphBuilder::new();
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let x = b.input("x", TensorType::new(DType::F64, [batch.clone(), seq.clone(), Dim::from(HIDDEN)]))?;
    let mask = b.input("mask", TensorType::new(DType::I64, [batch.clone(), seq.clone()]))?;
    let zero = b.scalar("zero", DType::I64, 0.0)?;
    let kept = b.compare("kept", CompareOp::Ne, mask, zero)?;
    let kept = b.reshape("kept", kept, &[batch.clone(), Dim::from(1), Dim::from(1), seq.clone()])?;
    let (q, k, v) = (
        linear(&mut b, "q", x, HIDDEN, HIDDEN)?,
        linear(&mut b, "k", x, HIDDEN, HIDDEN)?,
        linear(&mut b, "v", x, HIDDEN, HIDDEN)?,
    );
    let q = heads(&mut b, "q", q, &[0, 2, 1, 3])?;
    let k = heads(&mut b, "k", k, &[0, 2, 3, 1])?;
    let v = heads(&mut b, "v", v, &[0, 2, 1, 3])?;
    let product = b.matmul("product", q, k)?;
    let scale = b.scalar("scale", DType::F64, 0.5)?;
    let scaled = b.mul("scaled", product, scale)?;
    if checkpoint_scores {
        b.checkpoint("scores", scaled)?;
    }
    let lowest = b.scalar("lowest", DType::F64, f64::NEG_INFINITY)?;
    let scores = b.select("masked", kept, scaled, lowest)?;
    let probabilities = b.softmax("probabilities", scores, 3)?;
    let context = b.matmul("context", probabilities, v)?;
    let joined = b.transpose("joined", context, &[0, 2, 1, 3])?;
    let joined = b.reshape("joined", joined, &[batch, seq, Dim::from(HIDDEN)])?;
    // The output product is a bare MatMul with a bias, as ONNX has it.
    let weight = constant(&mut b, "dense.weight", &[HIDDEN, HIDDEN]);
    let bias = constant(&mut b, "dense.bias", &[HIDDEN]);
    let dense = b.matmul("dense", joined, weight)?;
    let dense = b.add("dense.biased", dense, bias)?;
    let sum = b.add("sum", dense, x)?;
    let (gamma, beta) = (constant(&mut b, "gamma", &[HIDDEN]), constant(&mut b, "beta", &[HIDDEN]));
    let normed = b.layer_norm("norm", sum, gamma, beta, 1e-5)?;
    let inner = linear(&mut b, "ffn", normed, 2 * HIDDEN, HIDDEN)?;
    let inner = b.gelu("gelu", inner, GeluForm::Erf)?;
    let outer = linear(&mut b, "ffn.out", inner, HIDDEN, 2 * HIDDEN)?;
    let y = b.add("residual", outer, normed)?;
    let y = b.unary("tanh", UnaryOp::Tanh, y)?;
    b.output("y", y)?;
    b.finish()
}

fn ops(graph: &Graph) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for node in graph.nodes() {
        *counts.entry(node.op.name().to_owned()).or_default() += 1;
    }
    counts
}

fn run(graph: &Graph, batch: usize, seq: usize, mask: &[i64]) -> Vec<f64> {
    let device = ReferenceBackend::new().open(0).unwrap();
    let options = PlanOptions { fuse: false, packing: crate::Packing::Off, ..PlanOptions::default() };
    let prepared = Prepared::new(graph, device.clone(), options).unwrap();
    let data: Vec<f64> = (0..batch * seq * HIDDEN).map(|i| (i as f64 * 1.3).cos()).collect();
    let x = HostTensor::from_slice(&[batch, seq, HIDDEN], &data).unwrap();
    let mask = HostTensor::from_slice(&[batch, seq], mask).unwrap();
    let mut symbols = SymbolValues::new();
    for (name, value) in [("batch", batch), ("seq", seq)] {
        symbols.insert(lockstep_hal::graph::Symbol::new(name), value);
    }
    let bound = prepared.bind(&symbols, &["y"], &[]).unwrap();
    let program = bound.program.clone();
    let io: Vec<_> = program
        .io()
        .iter()
        .map(|&id| device.alloc(program.operand(id).bytes(), Usage::Input).unwrap())
        .collect();
    for (slot, name) in bound.inputs.iter().enumerate() {
        let tensor = if name == "x" { &x } else { &mask };
        device.write(&io[slot], 0, tensor.bytes()).unwrap();
    }
    let mut executable = Arc::clone(&device).compile(program).unwrap();
    executable.submit(&io, &Cancel::new()).unwrap();
    executable.wait().unwrap();
    let mut bytes = vec![0u8; io[bound.inputs.len()].bytes()];
    device.read(&io[bound.inputs.len()], 0, &mut bytes).unwrap();
    bytes.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()
}

#[test]
fn a_layer_fuses_to_its_composites_and_computes_the_same() {
    let graph = layer(false).unwrap();
    let fused = fuse(&graph, None).unwrap();
    let counts = ops(&fused);
    for (op, wanted) in
        [("Attention", 1), ("AddLayerNorm", 1), ("LinearGelu", 1), ("LinearAdd", 1), ("Linear", 2)]
    {
        assert_eq!(counts.get(op), Some(&wanted), "{op} in {counts:?}");
    }
    assert!(!counts.contains_key("MatMul") && !counts.contains_key("Softmax"), "{counts:?}");
    let mask = [1, 1, 1, 0, 0, 1, 1, 1, 1, 1];
    let (plain, fused) = (run(&graph, 2, 5, &mask), run(&fused, 2, 5, &mask));
    for (at, (a, b)) in plain.iter().zip(&fused).enumerate() {
        assert!((a - b).abs() < 1e-12, "element {at}: {a} and {b}");
    }
}

#[test]
fn no_fusion_swallows_a_checkpoint() {
    let fused = fuse(&layer(true).unwrap(), None).unwrap();
    assert!(fused.checkpoints().iter().any(|(name, _)| name == "scores"));
    assert!(!ops(&fused).contains_key("Attention"));
}

#[test]
fn a_value_that_is_read_twice_stays() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F64, &[4, HIDDEN])).unwrap();
    let y = linear(&mut b, "ffn", x, HIDDEN, HIDDEN).unwrap();
    let activated = b.gelu("gelu", y, GeluForm::Tanh).unwrap();
    let both = b.add("both", y, activated).unwrap();
    b.output("y", both).unwrap();
    let fused = fuse(&b.finish().unwrap(), None).unwrap();
    assert_eq!(ops(&fused).get("GeluTanh"), Some(&1));
}

#[test]
fn an_activation_is_not_taken_past_a_residual() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F64, &[4, HIDDEN])).unwrap();
    let y = linear(&mut b, "ffn", x, HIDDEN, HIDDEN).unwrap();
    let sum = b.add("sum", y, x).unwrap();
    let activated = b.gelu("gelu", sum, GeluForm::Erf).unwrap();
    b.output("y", activated).unwrap();
    let fused = fuse(&b.finish().unwrap(), None).unwrap();
    let is_linear_gelu =
        |op: &Op| matches!(op, Op::Linear(p) if p.activation == Some(Activation::Gelu(GeluForm::Erf)));
    assert!(!fused.nodes().iter().any(|node| is_linear_gelu(&node.op)));
}

#[test]
fn a_softmax_over_another_axis_is_no_attention() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F64, &[2, 3, HIDDEN])).unwrap();
    let q = heads(&mut b, "q", x, &[0, 2, 1, 3]).unwrap();
    let k = heads(&mut b, "k", x, &[0, 2, 3, 1]).unwrap();
    let scores = b.matmul("scores", q, k).unwrap();
    let wrong = b.softmax("wrong", scores, 2).unwrap();
    let sum = b.reduce("sum", ReduceOp::Sum, wrong, &[3], false).unwrap();
    b.output("y", sum).unwrap();
    assert!(!ops(&fuse(&b.finish().unwrap(), None).unwrap()).contains_key("Attention"));
}

/// Scores of one batch of queries and another of keys, which products broadcast and attention does not.
#[test]
fn an_attention_that_broadcasts_its_batch_stays_as_it_is() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F64, &[2, 3, HIDDEN])).unwrap();
    let memory = b.input("memory", TensorType::fixed(DType::F64, &[1, 5, HIDDEN])).unwrap();
    let q = heads(&mut b, "q", x, &[0, 2, 1, 3]).unwrap();
    let k = heads(&mut b, "k", memory, &[0, 2, 3, 1]).unwrap();
    let v = heads(&mut b, "v", memory, &[0, 2, 1, 3]).unwrap();
    let scores = b.matmul("scores", q, k).unwrap();
    let probabilities = b.softmax("probabilities", scores, 3).unwrap();
    let context = b.matmul("context", probabilities, v).unwrap();
    let joined = b.transpose("joined", context, &[0, 2, 1, 3]).unwrap();
    let joined = b.reshape("joined", joined, &[2, 3, HIDDEN].map(Dim::from)).unwrap();
    b.output("y", joined).unwrap();
    let graph = b.finish().unwrap();
    assert!(!ops(&fuse(&graph, None).unwrap()).contains_key("Attention"));
    let device = ReferenceBackend::new().open(0).unwrap();
    Prepared::new(&graph, device, PlanOptions::default()).unwrap();
}
