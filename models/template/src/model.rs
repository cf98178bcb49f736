//! A model folder as a graph.
//!
//! What to do, in order:
//! 1. Inputs: name them as the original does; symbols (`batch`, `seq`) for every extent that a run may choose.
//! 2. Body: one function per part of the model (see `models/bert/src/{embeddings,encoder,heads}.rs` once there is more than
//!    a page), each with its formula and where it is from. Scale, mask and normalise with explicit primitives.
//! 3. Checkpoints: one after each part. Passes never fuse them away, and they are what devices are compared by.
//! 4. Outputs: name them as the original does; compute logits in f32 at least.
//! 5. To have sequences packed on devices that prefer it, let positions meet only in `Attention` and `Pool`: `pooled`
//!    below is packed, a `Reduce` over the axis of positions would keep the whole graph padded.

use crate::config::BagConfig;
use crate::error::Result;
use crate::weights::Weights;
use lockstep_graph::tensor::TensorSource;
use lockstep_graph::{
    CompareOp, DType, Dim, Graph, GraphBuilder, Op, PoolKind, Sequences, TensorType, ValueId,
};
use std::path::Path;

/// A bag-of-embeddings classifier: its graph with the weights in it, and its settings.
///
/// The graph takes `input_ids` and `attention_mask`, each i64 `[batch, seq]`; a token of a mask other than 0 counts. It
/// gives `logits` `[batch, labels]`. Its checkpoints are `embeddings` `[batch, seq, embedding]` and `pooled`
/// `[batch, embedding]`.
#[derive(Debug)]
pub struct BagModel {
    config: BagConfig,
    graph: Graph,
}

impl BagModel {
    /// Loads `config.json` and `model.safetensors` of a folder and builds a graph that computes in `dtype`, f64 or f32.
    ///
    /// # Errors
    /// Those of [`BagConfig::from_file`]; [`crate::Error::Tensor`] for a weight file that is not whole;
    /// [`crate::Error::Weights`] for every tensor that is missing, of another shape, or not of floats;
    /// [`crate::Error::Graph`] for a `dtype` that is no float.
    pub fn load(folder: &Path, dtype: DType) -> Result<Self> {
        let config = BagConfig::from_file(&folder.join("config.json"))?;
        let source = TensorSource::open(&folder.join("model.safetensors"))?;
        let graph = build(&source, &config, dtype)?;
        Ok(Self { config, graph })
    }

    /// The settings.
    pub fn config(&self) -> &BagConfig {
        &self.config
    }

    /// What the model computes, weights included; a clone shares their bytes.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

fn build(source: &TensorSource, config: &BagConfig, dtype: DType) -> Result<Graph> {
    let mut b = GraphBuilder::new();
    let mut weights = Weights::new(source);
    let tokens = TensorType::new(DType::I64, [Dim::symbol("batch"), Dim::symbol("seq")]);
    let input_ids = b.input("input_ids", tokens.clone())?;
    let attention_mask = b.input("attention_mask", tokens)?;
    let pooled = embedded_mean(&mut b, &mut weights, config, dtype, input_ids, attention_mask)?;
    let logits = classifier(&mut b, &mut weights, config, pooled)?;
    b.output("logits", logits)?;
    // First, because a graph with placeholders in it is not to be used.
    weights.finish()?;
    Ok(b.finish()?)
}

/// `mean over tokens of table[id]`, of the tokens that the mask keeps: i64 `[batch, seq]` to `[batch, embedding]`.
fn embedded_mean(
    b: &mut GraphBuilder,
    weights: &mut Weights<'_>,
    config: &BagConfig,
    dtype: DType,
    input_ids: ValueId,
    attention_mask: ValueId,
) -> Result<ValueId> {
    let table = weights.constant(b, "embedding.weight", &[config.vocab_size, config.embedding_size])?;
    let rows = b.gather("embeddings", table, 0, input_ids)?;
    let rows = b.cast("embeddings.cast", rows, dtype)?;
    b.checkpoint("embeddings", rows)?;
    let zero = b.scalar("attention_mask.zero", DType::I64, 0.0)?;
    let kept = b.compare("attention_mask.kept", CompareOp::Ne, attention_mask, zero)?;
    let pool = Op::Pool { kind: PoolKind::Mean, sequences: Sequences::KeyMask };
    let pooled = b.single("pooled", pool, &[rows, kept])?;
    b.checkpoint("pooled", pooled)?;
    Ok(pooled)
}

/// `pooled weight^T + bias`: `[batch, embedding]` to `[batch, labels]`.
fn classifier(
    b: &mut GraphBuilder,
    weights: &mut Weights<'_>,
    config: &BagConfig,
    pooled: ValueId,
) -> Result<ValueId> {
    let weight = weights.constant(b, "classifier.weight", &[config.num_labels, config.embedding_size])?;
    let bias = weights.constant(b, "classifier.bias", &[config.num_labels])?;
    Ok(b.linear("classifier", pooled, weight, bias, None)?)
}
