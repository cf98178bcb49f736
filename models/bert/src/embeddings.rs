//! Token ids to vectors: the sum of word, segment and position embeddings, normalised.

use crate::config::BertConfig;
use crate::weights::{Extent, Weights};
use lockstep_graph::{DType, GraphBuilder, Result, ValueId};

/// Adds the embeddings: i64 `[batch, seq]` twice to `[batch, seq, hidden]`, the checkpoint `embeddings`.
///
/// Devlin et al. 2018, section 3; the order of the sum is transformers'. Tables stay in the dtype that they are stored
/// in, and the few rows that a text needs are cast.
///
/// # Errors
/// As the builder's methods; a tensor that cannot be read.
pub(crate) fn embeddings(
    b: &mut GraphBuilder,
    weights: &mut Weights<'_>,
    config: &BertConfig,
    input_ids: ValueId,
    token_type_ids: ValueId,
) -> Result<ValueId> {
    let compute = weights.compute();
    // In half precision the sum is rounded once, after its normalisation, and not at each of three terms.
    let wide = if compute == DType::F64 { DType::F64 } else { DType::F32 };
    let hidden = Extent::new(config.hidden_size, "hidden_size");
    let words = Extent::new(config.vocab_size, "vocab_size");
    let segments = Extent::new(config.type_vocab_size, "type_vocab_size");
    let positions = Extent::new(config.max_position_embeddings, "max_position_embeddings");
    let seq = b.ty(input_ids).shape[1].clone();
    let mut w = weights.module("embeddings");
    let normalised = b.scoped("embeddings", |b| {
        let table = w.table(b, "word_embeddings", words, hidden)?;
        let word = b.gather("word_embeddings", table, 0, input_ids)?;
        let word = b.cast("word_embeddings.cast", word, wide)?;
        let table = w.table(b, "token_type_embeddings", segments, hidden)?;
        let segment = b.gather("token_type_embeddings", table, 0, token_type_ids)?;
        let segment = b.cast("token_type_embeddings.cast", segment, wide)?;
        let table = w.table(b, "position_embeddings", positions, hidden)?;
        let position = b.slice("position_embeddings", table, 0, 0, seq)?;
        let position = b.cast("position_embeddings.cast", position, wide)?;
        let sum = b.add("add_token_type", word, segment)?;
        let sum = b.add("add_position", sum, position)?;
        let normalised = w.layer_norm(b, "LayerNorm", sum, hidden)?;
        b.cast("narrow", normalised, compute)
    })?;
    b.checkpoint("embeddings", normalised)?;
    Ok(normalised)
}
