//! Attention and pooling: the ops that know where sequences are.

use super::{Launch, StepPlan, with_float};
use crate::memory::{Memory, Slot};
use lockstep_hal::graph::{Attention, Operands, PoolKind, Sequences};
use lockstep_hal::{Error, Result};
use lockstep_kernels::attention::{AttentionInputs, Rows, Sequences as KernelSequences, attention as kernel};
use lockstep_kernels::{Isa, pooling};

/// Where sequences end, as the kernels take it: `0`, then every end. Checked at each run, since it is data.
struct Offsets {
    slot: Slot,
    tokens: usize,
    node: String,
    offsets: Vec<i64>,
}

impl Offsets {
    fn new(plan: &StepPlan<'_>, input: usize, tokens: usize) -> Self {
        let offsets = Vec::with_capacity(plan.shape(input)[0] + 1);
        Self { slot: plan.inputs[input].clone(), tokens, node: plan.name(), offsets }
    }

    fn get(&mut self, memory: &Memory<'_>) -> Result<&[i64]> {
        let ends = memory.read::<i64>(&self.slot);
        self.offsets.clear();
        self.offsets.push(0);
        self.offsets.extend_from_slice(ends);
        let ascending = self.offsets.is_sorted();
        if !ascending || self.offsets.last() != Some(&(self.tokens as i64)) {
            let reason = format!("sequence ends {ends:?} must ascend to the {} tokens", self.tokens);
            return Err(Error::value(self.node.clone(), reason));
        }
        Ok(&self.offsets)
    }
}

/// f32 of scratch that an [`attention`] over at most `longest` keys takes.
pub(crate) fn attention_scratch(isa: Isa, head_size: usize, longest: usize, threads: usize) -> usize {
    lockstep_kernels::attention::attention_scratch(isa, head_size, longest, threads)
}

pub(super) fn attention(plan: &StepPlan<'_>, attention: &Attention) -> Result<Launch> {
    let out = plan.out_shape();
    let hidden = out[out.len() - 1];
    let (heads, head_size, scale) = (attention.heads, hidden / attention.heads, attention.scale as f32);
    let merged = attention.operands == Operands::Merged;
    let place = |part: usize| {
        if merged {
            (plan.inputs[0].clone(), 3 * hidden, part * hidden)
        } else {
            (plan.inputs[part].clone(), hidden, 0)
        }
    };
    let operands = [place(0), place(1), place(2)];
    let keys = plan.shape(if merged { 0 } else { 1 });
    let last = plan.inputs.len() - 1;
    let (batch, query_len, key_len) = match attention.sequences {
        Sequences::Ends => (0, 0, 0),
        _ => (out[0], out[1], keys[1]),
    };
    let mask = (attention.sequences == Sequences::KeyMask).then(|| plan.inputs[last].clone());
    let mut ends = (attention.sequences == Sequences::Ends).then(|| Offsets::new(plan, last, out[0]));
    let (isa, pool, scratch, output) = (plan.isa, plan.pool.clone(), plan.scratch(), plan.output.clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let [q, k, v] = operands.each_ref().map(|(slot, stride, offset)| Rows {
            data: memory.read::<T>(slot),
            stride: *stride,
            offset: *offset,
        });
        let sequences = match &mut ends {
            Some(ends) => KernelSequences::Offsets(ends.get(memory)?),
            None => KernelSequences::Dense {
                batch,
                query_len,
                key_len,
                key_mask: mask.as_ref().map(|slot| memory.read::<u8>(slot)),
            },
        };
        let inputs = AttentionInputs { heads, head_size, scale, q, k, v, sequences };
        kernel(isa, pool.as_ref(), &inputs, memory.write::<T>(&output), memory.scratch(&scratch));
        Ok(())
    })), else Err(plan.unclaimed()))
}

pub(super) fn pool(plan: &StepPlan<'_>, kind: PoolKind, sequences: Sequences) -> Result<Launch> {
    let kind = match kind {
        PoolKind::Mean => pooling::Pooling::Mean,
        PoolKind::Max => pooling::Pooling::Max,
    };
    let shape = plan.shape(0);
    let width = shape[shape.len() - 1];
    let (isa, pool, name) = (plan.isa, plan.pool.clone(), plan.name());
    let (x, output) = (plan.inputs[0].clone(), plan.output.clone());
    if sequences == Sequences::Ends {
        let mut ends = Offsets::new(plan, 1, shape[0]);
        return with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
            let (x, out) = (memory.read::<T>(&x), memory.write::<T>(&output));
            pooling::pool_packed(isa, pool.as_ref(), kind, width, x, ends.get(memory)?, out)
                .map_err(|error| Error::value(name.clone(), error.to_string()))
        })), else Err(plan.unclaimed()));
    }
    let (length, mask) = (shape[1], plan.inputs[1].clone());
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (x, mask, out) = (memory.read::<T>(&x), memory.read::<u8>(&mask), memory.write::<T>(&output));
        pooling::pool_padded(isa, pool.as_ref(), kind, length, width, x, mask, out);
        Ok(())
    })), else Err(plan.unclaimed()))
}
