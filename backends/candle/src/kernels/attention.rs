//! Attention and pooling over sequences. Packed sequences are taken one by one, as candle has no kernel for them.

use super::Result;
use super::composite::softmax;
use super::reduce::extreme;
use candle_core::{DType, Device, Tensor};
use lockstep_hal::Error;
use lockstep_hal::graph::{Attention, Operands, PoolKind, ReduceOp, Sequences};

pub(super) fn attention(node: &str, attention: &Attention, operands: &[&Tensor]) -> Result<Tensor> {
    let wrong = || Error::program(format!("{node}: the operands of Attention do not fit"));
    let (q, k, v, positions) = match (attention.operands, operands) {
        (Operands::Separate, [q, k, v, rest @ ..]) => {
            ((*q).clone(), (*k).clone(), (*v).clone(), rest.first())
        }
        (Operands::Merged, [merged, rest @ ..]) => {
            let axis = merged.rank() - 1;
            let hidden = merged.dims()[axis] / 3;
            let part = |at: usize| merged.narrow(axis, at * hidden, hidden);
            (part(0)?, part(1)?, part(2)?, rest.first())
        }
        _ => return Err(wrong().into()),
    };
    match (attention.sequences, positions) {
        (Sequences::Dense, _) => attend(attention, [&q, &k, &v], None),
        (Sequences::KeyMask, Some(mask)) => attend(attention, [&q, &k, &v], Some(mask)),
        (Sequences::Ends, Some(ends)) => {
            let mut contexts = Vec::new();
            for (start, length) in
                sequences(node, ends, q.dims()[0])?.into_iter().filter(|(_, length)| *length > 0)
            {
                let rows = |x: &Tensor| x.narrow(0, start, length)?.unsqueeze(0);
                contexts.push(attend(attention, [&rows(&q)?, &rows(&k)?, &rows(&v)?], None)?.squeeze(0)?);
            }
            Ok(Tensor::cat(&contexts, 0)?)
        }
        _ => Err(wrong().into()),
    }
}

/// q `[batch, queries, hidden]`, k and v `[batch, keys, hidden]`, the mask `[batch, keys]`.
fn attend(attention: &Attention, [q, k, v]: [&Tensor; 3], mask: Option<&Tensor>) -> Result<Tensor> {
    let (batch, queries, hidden) = q.dims3()?;
    let keys = k.dims()[1];
    if keys == 0 {
        return Ok(q.zeros_like()?);
    }
    let size = hidden / attention.heads;
    let split =
        |x: &Tensor| x.reshape((batch, x.dims()[1], attention.heads, size))?.transpose(1, 2)?.contiguous();
    let scores = (split(q)?.matmul(&split(k)?.t()?)? * attention.scale)?;
    let (scores, v) = match mask {
        None => (scores, v.clone()),
        Some(mask) => {
            // A masked value has weight 0, but 0 times NaN is NaN.
            let kept = mask.reshape((batch, keys, 1))?.broadcast_as(v.shape())?;
            let v = kept.where_cond(v, &v.zeros_like()?)?;
            let lowest = Tensor::new(f64::NEG_INFINITY, &Device::Cpu)?.to_dtype(scores.dtype())?;
            let mask = mask.reshape((batch, 1, 1, keys))?.broadcast_as(scores.shape())?;
            (mask.where_cond(&scores, &lowest.broadcast_as(scores.shape())?)?, v)
        }
    };
    let context = softmax(&scores, 3)?.matmul(&split(&v)?)?;
    Ok(context.transpose(1, 2)?.reshape((batch, queries, hidden))?)
}

/// One row of each packed sequence.
pub(super) fn pool(node: &str, kind: PoolKind, data: &Tensor, ends: &Tensor) -> Result<Tensor> {
    let (tokens, hidden) = data.dims2()?;
    let mut rows = Vec::new();
    for (start, length) in sequences(node, ends, tokens)? {
        let sequence = data.narrow(0, start, length)?;
        rows.push(match (kind, length) {
            (PoolKind::Mean, 0) => Tensor::zeros((1, hidden), data.dtype(), &Device::Cpu)?,
            (PoolKind::Max, 0) => {
                Tensor::full(f64::NEG_INFINITY, (1, hidden), &Device::Cpu)?.to_dtype(data.dtype())?
            }
            (PoolKind::Mean, _) => sequence.mean_keepdim(0)?,
            (PoolKind::Max, _) => extreme(ReduceOp::Max, &sequence, 0)?,
        });
    }
    Ok(Tensor::cat(&rows, 0)?)
}

/// Start and length of each sequence.
fn sequences(node: &str, ends: &Tensor, tokens: usize) -> Result<Vec<(usize, usize)>> {
    let ends = ends.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    let mut start = 0;
    let mut sequences = Vec::with_capacity(ends.len());
    for (at, &end) in ends.iter().enumerate() {
        let whole = usize::try_from(end).ok().filter(|end| (start..=tokens).contains(end));
        let end = whole.ok_or_else(|| {
            Error::value(node, format!("ends[{at}] is {end}, must be at least {start} and at most {tokens}"))
        })?;
        sequences.push((start, end - start));
        start = end;
    }
    if start != tokens {
        return Err(Error::value(
            node,
            format!("the last sequence ends at {start}, there are {tokens} tokens"),
        )
        .into());
    }
    Ok(sequences)
}
