//! Attention by products, softmax and masks, all in f32: what is between them is never rounded to half precision.

use super::Lowering;
use crate::error::unclaimed;
use crate::launch::{Call, View};
use lockstep_hal::Result;
use lockstep_hal::graph::{Attention, DType, Operands, Sequences};

/// Extents of heads: batch, heads, positions, columns of a head.
fn heads_of(x: &View, first: usize, heads: usize, size: usize) -> View {
    let (batch, positions, row) = (x.dims[0], x.dims[1], x.dims[2]);
    x.strided(&[batch, heads, positions, size], &[positions * row, size, row, 1], first)
}

impl Lowering<'_> {
    pub(super) fn attention(&mut self, attention: &Attention) -> Result<()> {
        let out = self.out()?;
        let (batch, queries, hidden) = match out.dims[..] {
            [batch, queries, hidden] => (batch, queries, hidden),
            _ => return Err(unclaimed(self.op)),
        };
        let heads = attention.heads;
        let size = hidden / heads.max(1);
        let (q, k, v) = match attention.operands {
            Operands::Separate => (
                heads_of(&self.input(0)?, 0, heads, size),
                heads_of(&self.input(1)?, 0, heads, size),
                heads_of(&self.input(2)?, 0, heads, size),
            ),
            Operands::Merged => {
                let merged = self.input(0)?;
                let part = |at: usize| heads_of(&merged, at * hidden, heads, size);
                (part(0), part(1), part(2))
            }
        };
        let keys = k.dims[2];
        if keys == 0 {
            self.fill_with(out, 0.0);
            return Ok(());
        }
        let mask = match attention.sequences {
            Sequences::Dense => None,
            Sequences::KeyMask => Some(self.input(self.inputs.len() - 1)?),
            Sequences::Ends => return Err(unclaimed(self.op)),
        };
        let [q, k, v] = [q, k, v].map(|x| self.in_f32(x));
        let shape = [batch, heads, queries, keys];
        let scores = self.temporary(DType::F32, &shape);
        self.calls.push(Call::Matmul { a: q, b: k.transposed(), out: scores.clone() });
        self.calls.push(Call::InplaceMuls { x: scores.clone(), factor: attention.scale as f32 });
        let (scores, values) = match mask {
            None => (scores, v),
            Some(mask) => {
                let lowest = self.constants.scalar(DType::F32, f64::NEG_INFINITY)?;
                let zero = self.constants.scalar(DType::F32, 0.0)?;
                let kept = self.temporary(DType::F32, &shape);
                let of_keys = mask.strided(&[batch, 1, 1, keys], &[keys, 0, 0, 1], 0);
                self.calls.push(Call::SWhere { condition: of_keys, a: scores, b: lowest, out: kept.clone() });
                // A masked value's weight is 0, but 0 times NaN is NaN.
                let values = self.temporary(DType::F32, &v.dims);
                let of_values = mask.strided(&[batch, 1, keys, 1], &[keys, 0, 1, 0], 0);
                self.calls.push(Call::SWhere { condition: of_values, a: v, b: zero, out: values.clone() });
                (kept, values)
            }
        };
        let weights = self.temporary(DType::F32, &shape);
        self.softmax_of(&scores, 3, weights.clone())?;
        let joined = heads_of(&out, 0, heads, size);
        if out.dtype == DType::F32 {
            self.calls.push(Call::Matmul { a: weights, b: values, out: joined });
            return Ok(());
        }
        let context = self.temporary(DType::F32, &joined.dims);
        self.calls.push(Call::Matmul { a: weights, b: values, out: context.clone() });
        self.calls.push(Call::Cast { x: context, out: joined });
        Ok(())
    }

    fn in_f32(&mut self, x: View) -> View {
        if x.dtype == DType::F32 { x } else { self.casted(&x, DType::F32) }
    }
}
