//! A small BERT-like graph built by hand: embeddings, one layer, a pooler, a classifier.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses its own part.

use lockstep_graph::{
    Activation, Attention, DType, Dim, GeluForm, Graph, GraphBuilder, HostTensor, Linear, Op, Operands,
    PoolKind, Result, Sequences, TensorType, UnaryOp, ValueId,
};

pub const HIDDEN: usize = 8;

pub fn weight(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    let count: usize = shape.iter().product();
    let seed = name.bytes().map(f32::from).sum::<f32>();
    let data: Vec<f32> = (0..count).map(|at| (at as f32 * 0.7 + seed).sin()).collect();
    b.constant(name, HostTensor::from_slice(shape, &data).expect("as many values as the shape holds"))
}

fn linear(
    b: &mut GraphBuilder,
    name: &str,
    x: ValueId,
    out: usize,
    activation: Option<Activation>,
) -> Result<ValueId> {
    let width = b.ty(x).shape.last().and_then(Dim::as_const).expect("a known width");
    let (weight, bias) =
        (weight(b, &format!("{name}.weight"), &[out, width]), weight(b, &format!("{name}.bias"), &[out]));
    b.linear(name, x, weight, bias, activation)
}

fn norm(b: &mut GraphBuilder, name: &str, x: ValueId, residual: ValueId) -> Result<ValueId> {
    let (gamma, beta) =
        (weight(b, &format!("{name}.gamma"), &[HIDDEN]), weight(b, &format!("{name}.beta"), &[HIDDEN]));
    b.single(name, Op::AddLayerNorm { epsilon: 1e-12 }, &[x, residual, gamma, beta])
}

fn built() -> Result<Graph> {
    let mut b = GraphBuilder::new();
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let ids = b.input("input_ids", TensorType::new(DType::I64, [batch.clone(), seq.clone()]))?;
    let mask = b.input("attention_mask", TensorType::new(DType::Bool, [batch.clone(), seq.clone()]))?;
    let words = weight(&mut b, "words", &[11, HIDDEN]);
    let word = b.gather("word", words, 0, ids)?;
    let positions = weight(&mut b, "positions", &[6, HIDDEN]);
    let position = b.slice("position", positions, 0, 0, seq.clone())?;
    let x = b.add("embeddings", word, position)?;
    b.checkpoint("embeddings", x)?;
    let y = b.scoped("layer", |b| {
        let q = linear(b, "query", x, HIDDEN, None)?;
        let k = linear(b, "key", x, HIDDEN, None)?;
        let v = linear(b, "value", x, HIDDEN, None)?;
        let attention =
            Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
        let context = b.single("attention", Op::Attention(attention), &[q, k, v, mask])?;
        let y = norm(b, "norm", context, x)?;
        let inner = linear(b, "inner", y, 2 * HIDDEN, Some(Activation::Gelu(GeluForm::Erf)))?;
        let outer = linear(b, "outer", inner, HIDDEN, None)?;
        let y = norm(b, "output", outer, y)?;
        b.checkpoint("output", y)?;
        Ok(y)
    })?;
    let pooled =
        b.single("pooled", Op::Pool { kind: PoolKind::Mean, sequences: Sequences::KeyMask }, &[y, mask])?;
    let pooled = b.unary("tanh", UnaryOp::Tanh, pooled)?;
    let logits = weight(&mut b, "classifier", &[3, HIDDEN]);
    let bare = Op::Linear(Linear { bias: false, activation: None, residual: false });
    let logits = b.single("logits", bare, &[pooled, logits])?;
    b.output("logits", logits)?;
    b.output("hidden", y)?;
    b.finish()
}

pub fn transformer() -> Graph {
    built().expect("a graph that fits")
}
