//! What follows the encoder: a classifier over the text or each token, a text's vector, or nothing.
//!
//! Each head names its outputs, and makes each a checkpoint of the same name. Heads compute in f32 at least: they cost
//! next to nothing, and a logit of 10 rounded to bf16 is off by up to 0.03 whatever came before.

use crate::architecture::{EmbeddingHead, Head};
use crate::config::BertConfig;
use crate::pooling::Pooling;
use crate::weights::{Extent, Weights};
use lockstep_graph::{
    BinaryOp, DType, GraphBuilder, Op, PoolKind, ReduceOp, Result, Sequences, UnaryOp, ValueId,
};

/// Adds a head to `x`, the encoder's last output `[batch, seq, hidden]`; `mask` is bool `[batch, seq]`.
///
/// * [`Head::SequenceClassification`]: `logits` `[batch, labels]`;
/// * [`Head::TokenClassification`]: `logits` `[batch, seq, labels]`;
/// * [`Head::Encoder`]: `last_hidden_state` `[batch, seq, hidden]`, and `pooler_output` `[batch, hidden]` where the
///   folder has a pooler;
/// * [`Head::Embedding`]: `embedding` `[batch, hidden]`.
///
/// # Errors
/// As the builder's methods; a tensor that cannot be read.
pub(crate) fn head(
    b: &mut GraphBuilder,
    weights: &mut Weights<'_>,
    config: &BertConfig,
    head: &Head,
    x: ValueId,
    mask: ValueId,
) -> Result<()> {
    let hidden = Extent::new(config.hidden_size, "hidden_size");
    let labels = Extent::new(config.labels.len(), "id2label");
    match head {
        Head::SequenceClassification { .. } => {
            let pooled = pooler(b, weights, x, hidden)?;
            let logits = weights.module("").linear(b, "classifier", pooled, hidden, labels)?;
            output(b, "logits", logits)
        }
        Head::TokenClassification => {
            let x = wide(b, x)?;
            let logits = weights.module("").linear(b, "classifier", x, hidden, labels)?;
            output(b, "logits", logits)
        }
        Head::Encoder => {
            output(b, "last_hidden_state", x)?;
            if weights.has_module("pooler.dense") {
                let pooled = pooler(b, weights, x, hidden)?;
                output(b, "pooler_output", pooled)?;
            }
            Ok(())
        }
        Head::Embedding(settings) => {
            let embedding = b.scoped("embedding", |b| embedding(b, settings, x, mask))?;
            output(b, "embedding", embedding)
        }
    }
}

fn output(b: &mut GraphBuilder, name: &str, value: ValueId) -> Result<()> {
    b.output(name, value)?;
    b.checkpoint(name, value)
}

/// `tanh` of a dense layer over the first token: `[batch, seq, hidden]` to `[batch, hidden]`, the checkpoint `pooler`.
fn pooler(b: &mut GraphBuilder, weights: &mut Weights<'_>, x: ValueId, hidden: Extent) -> Result<ValueId> {
    let mut w = weights.module("pooler");
    let pooled = b.scoped("pooler", |b| {
        let first = first_token(b, x)?;
        let first = wide(b, first)?;
        let dense = w.linear(b, "dense", first, hidden, hidden)?;
        b.unary("tanh", UnaryOp::Tanh, dense)
    })?;
    b.checkpoint("pooler", pooled)?;
    Ok(pooled)
}

/// The rows of `[CLS]`: `[batch, seq, hidden]` to `[batch, hidden]`.
fn first_token(b: &mut GraphBuilder, x: ValueId) -> Result<ValueId> {
    let shape = b.ty(x).shape.clone();
    let first = b.slice("first_token", x, 1, 0, 1.into())?;
    b.reshape("first_token.row", first, &[shape[0].clone(), shape[2].clone()])
}

/// One vector per text: `[batch, seq, hidden]` to `[batch, hidden]`.
fn embedding(b: &mut GraphBuilder, settings: &EmbeddingHead, x: ValueId, mask: ValueId) -> Result<ValueId> {
    let pool = |b: &mut GraphBuilder, kind| {
        b.single("pooled", Op::Pool { kind, sequences: Sequences::KeyMask }, &[x, mask])
    };
    let pooled = match settings.pooling {
        Pooling::Cls => first_token(b, x)?,
        Pooling::Mean => pool(b, PoolKind::Mean)?,
        Pooling::Max => pool(b, PoolKind::Max)?,
    };
    let pooled = wide(b, pooled)?;
    if settings.normalize { normalized(b, pooled) } else { Ok(pooled) }
}

/// The value in f32, or in f64 where the model computes in it.
fn wide(b: &mut GraphBuilder, x: ValueId) -> Result<ValueId> {
    let to = if b.ty(x).dtype == DType::F64 { DType::F64 } else { DType::F32 };
    b.cast("wide", x, to)
}

/// `x / max(|x|, 1e-12)` over the last axis of `[batch, hidden]`, as PyTorch's `normalize`.
fn normalized(b: &mut GraphBuilder, x: ValueId) -> Result<ValueId> {
    let dtype = b.ty(x).dtype;
    let squares = b.mul("squares", x, x)?;
    let sum = b.reduce("sum", ReduceOp::Sum, squares, &[1], true)?;
    let norm = b.unary("norm", UnaryOp::Sqrt, sum)?;
    let smallest = b.scalar("smallest", dtype, 1e-12)?;
    let divisor = b.binary("divisor", BinaryOp::Max, norm, smallest)?;
    b.binary("normalized", BinaryOp::Div, x, divisor)
}
