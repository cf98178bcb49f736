//! The encoder: layers of self-attention and a feed-forward block, each followed by a residual and a LayerNorm.
//!
//! Written op by op, as PyTorch runs it eagerly: attention from products, a scale, a mask and a softmax. Fusing is the
//! planner's work, and what is written here is what it must agree with.

use crate::config::{BertConfig, GeluForm};
use crate::weights::{Extent, Module, Weights};
use lockstep_graph::{Dim, GraphBuilder, Result, ValueId};

/// Adds all layers: `x` `[batch, seq, hidden]` to the same shape. `mask`, bool `[batch, seq]`, is true where a token
/// counts as a key.
///
/// The checkpoints of layer `i` are `encoder.{i}.attention.self` (the context, before its dense layer),
/// `encoder.{i}.attention.output`, `encoder.{i}.intermediate` (after the GELU) and `encoder.{i}.output`.
///
/// # Errors
/// As the builder's methods; a tensor that cannot be read.
pub(crate) fn encoder(
    b: &mut GraphBuilder,
    weights: &mut Weights<'_>,
    config: &BertConfig,
    mut x: ValueId,
    mask: ValueId,
) -> Result<ValueId> {
    let [batch, seq] = [0, 1].map(|axis| b.ty(mask).shape[axis].clone());
    let keys = b.reshape("encoder.key_mask", mask, &[batch, Dim::from(1), Dim::from(1), seq])?;
    for index in 0..config.num_hidden_layers {
        let mut w = weights.module(&format!("encoder.layer.{index}"));
        x = b.scoped(&format!("encoder.{index}"), |b| layer(b, &mut w, config, x, keys))?;
    }
    Ok(x)
}

fn layer(
    b: &mut GraphBuilder,
    w: &mut Module<'_, '_>,
    config: &BertConfig,
    x: ValueId,
    keys: ValueId,
) -> Result<ValueId> {
    let hidden = Extent::new(config.hidden_size, "hidden_size");
    let intermediate = Extent::new(config.intermediate_size, "intermediate_size");

    let context = self_attention(b, w, config, x, keys)?;
    b.checkpoint("attention.self", context)?;

    let dense = w.linear(b, "attention.output.dense", context, hidden, hidden)?;
    let sum = b.add("attention.output.add", dense, x)?;
    let attended = w.layer_norm(b, "attention.output.LayerNorm", sum, hidden)?;
    b.checkpoint("attention.output", attended)?;

    let dense = w.linear(b, "intermediate.dense", attended, hidden, intermediate)?;
    let activated = b.gelu("intermediate.gelu", dense, config.gelu.into())?;
    b.checkpoint("intermediate", activated)?;

    let dense = w.linear(b, "output.dense", activated, intermediate, hidden)?;
    let sum = b.add("output.add", dense, attended)?;
    let output = w.layer_norm(b, "output.LayerNorm", sum, hidden)?;
    b.checkpoint("output", output)?;
    Ok(output)
}

/// Adds `softmax(q k^T / sqrt(size)) v` for each head (Vaswani et al. 2017, section 3.2): `[batch, seq, hidden]` to the
/// same shape, with `keys` bool `[batch, 1, 1, seq]`.
fn self_attention(
    b: &mut GraphBuilder,
    w: &mut Module<'_, '_>,
    config: &BertConfig,
    x: ValueId,
    keys: ValueId,
) -> Result<ValueId> {
    let hidden = Extent::new(config.hidden_size, "hidden_size");
    let shape = b.ty(x).shape.clone();
    let dtype = b.ty(x).dtype;
    let split =
        [shape[0].clone(), shape[1].clone(), config.num_attention_heads.into(), config.head_size().into()];

    let query = w.linear(b, "attention.self.query", x, hidden, hidden)?;
    let key = w.linear(b, "attention.self.key", x, hidden, hidden)?;
    let value = w.linear(b, "attention.self.value", x, hidden, hidden)?;
    b.scoped("attention.self", |b| {
        let query = b.reshape("query.heads", query, &split)?;
        let query = b.transpose("query.transposed", query, &[0, 2, 1, 3])?;
        let key = b.reshape("key.heads", key, &split)?;
        let key = b.transpose("key.transposed", key, &[0, 2, 3, 1])?;
        let value = b.reshape("value.heads", value, &split)?;
        let value = b.transpose("value.transposed", value, &[0, 2, 1, 3])?;

        let product = b.matmul("product", query, key)?;
        let scale = b.scalar("scale", dtype, 1.0 / (config.head_size() as f64).sqrt())?;
        let scores = b.mul("scores", product, scale)?;
        let lowest = b.scalar("lowest", dtype, f64::NEG_INFINITY)?;
        let masked = b.select("masked", keys, scores, lowest)?;
        let probabilities = b.softmax("probabilities", masked, 3)?;
        let context = b.matmul("context", probabilities, value)?;
        let context = b.transpose("context.transposed", context, &[0, 2, 1, 3])?;
        b.reshape("context.joined", context, &shape)
    })
}

impl From<GeluForm> for lockstep_graph::GeluForm {
    fn from(form: GeluForm) -> Self {
        match form {
            GeluForm::Erf => Self::Erf,
            GeluForm::Tanh => Self::Tanh,
        }
    }
}
