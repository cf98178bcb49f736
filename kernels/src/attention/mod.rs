//! `softmax(q k^T scale) v` per sequence and head, over packed sequences or a dense batch with a key mask.

mod head;
mod softmax;
mod spans;
mod transpose;

use crate::matmul::claims::{Claims, MAX_WORKERS};
use crate::matmul::shared::{LINE, SharedMut, from_line};
use crate::matmul::tile::panel_width;
use crate::{Element, Isa, Parallel};
use head::{HeadWorker, worker_scratch};
use spans::{Cut, Spans};

/// Rows of heads inside a larger matrix: head `h` of row `r` is `data[r * stride + offset + h * head_size ..][..head_size]`.
///
/// So q, k and v may be column ranges of one merged `[tokens, 3 * hidden]` matrix, or a matrix each (`offset` 0).
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    /// The matrix the rows lie in.
    pub data: &'a [T],
    /// Elements from one row to the next.
    pub stride: usize,
    /// Elements from a row's start to its first head.
    pub offset: usize,
}

/// Which query rows attend to which key rows.
#[derive(Clone, Copy, Debug)]
pub enum Sequences<'a> {
    /// Packed: sequence `s` is the rows `offsets[s] .. offsets[s + 1]` of q, k, v and out. Ascending, first 0.
    Offsets(&'a [i64]),
    /// Sequence `s` is the query rows `s * query_len ..` and the key rows `s * key_len ..`.
    Dense {
        /// The number of sequences.
        batch: usize,
        /// Query rows of each sequence.
        query_len: usize,
        /// Key rows of each sequence.
        key_len: usize,
        /// `[batch, key_len]`, nonzero for keys that are attended to; all of them if `None`.
        key_mask: Option<&'a [u8]>,
    },
}

/// What [`attention`] reads.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a, T> {
    /// The number of heads.
    pub heads: usize,
    /// Elements of one head.
    pub head_size: usize,
    /// What scores are multiplied by; usually `1 / sqrt(head_size)`.
    pub scale: f32,
    /// Query rows.
    pub q: Rows<'a, T>,
    /// Key rows.
    pub k: Rows<'a, T>,
    /// Value rows.
    pub v: Rows<'a, T>,
    /// Which rows belong together.
    pub sequences: Sequences<'a>,
}

/// How many f32 of scratch [`attention`] needs if no sequence has more than `longest` keys, on a pool of `threads`.
pub fn attention_scratch(isa: Isa, head_size: usize, longest: usize, threads: usize) -> usize {
    worker_scratch(isa, head_size, longest) * threads.clamp(1, MAX_WORKERS) + LINE
}

/// Scaled dot-product attention per sequence and head: `out = softmax(q k^T scale) v`, `[rows, heads * head_size]`.
///
/// A query with no key (an empty or wholly masked sequence) gives zeros. Keys that the mask drops are never read, so a
/// padded sequence gives the bits of the same sequence packed. `scratch`: [`attention_scratch`] values; they are lost.
///
/// # Panics
/// If a slice is too short for the sizes, or the offsets do not ascend from 0.
pub fn attention<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    inputs: &AttentionInputs<'_, T>,
    out: &mut [T],
    scratch: &mut [f32],
) {
    let isa = isa.min(Isa::detect());
    let spans = Spans::new(inputs.sequences);
    inputs.check(&spans, out.len());
    if out.is_empty() {
        return;
    }
    // Whole heads where there are enough to share evenly, else blocks of their queries.
    let heads = spans.len() * inputs.heads;
    let block = if heads >= HEADS_PER_THREAD * pool.threads() { usize::MAX } else { panel_width(isa) };
    let cut = Cut::new(&spans, inputs.heads, block);
    let threads = if out.len().saturating_mul(cut.longest) < SERIAL_MACS { 1 } else { pool.threads() };
    let workers = threads.clamp(1, MAX_WORKERS).min(cut.items);
    let part = worker_scratch(isa, inputs.head_size, cut.longest);
    let scratch = from_line(scratch);
    assert!(scratch.len() >= part * workers, "scratch is at least attention_scratch");
    let (scratch, out, claims) =
        (SharedMut::new(scratch), SharedMut::new(out), Claims::new(cut.items, workers));
    pool.run(workers, &|worker| {
        // SAFETY: each worker has its own part.
        let scratch = unsafe { scratch.part(worker * part..(worker + 1) * part) };
        let mut head = HeadWorker::new(isa, inputs, cut.longest, scratch);
        let mut cursor = cut.cursor();
        while let Some(item) = claims.next(worker) {
            let place = cursor.at(item);
            head.run(&place, &out);
        }
    });
}

/// Heads that each thread should have before queries of one head are not shared.
const HEADS_PER_THREAD: usize = 16;

/// Below this many multiply-adds, waking another thread costs more than it saves.
const SERIAL_MACS: usize = 1 << 16;

impl<T> AttentionInputs<'_, T> {
    fn check(&self, spans: &Spans<'_>, out: usize) {
        let hidden = self.heads * self.head_size;
        let (queries, keys) = spans.rows();
        assert_eq!(out, queries * hidden, "out is [rows, heads * head_size] = [{queries}, {hidden}]");
        for (name, part, rows) in [("q", &self.q, queries), ("k", &self.k, keys), ("v", &self.v, keys)] {
            let needed = if rows == 0 { 0 } else { (rows - 1) * part.stride + part.offset + hidden };
            assert!(
                part.data.len() >= needed,
                "{name} has {} values, its rows need {needed}",
                part.data.len()
            );
        }
    }
}

#[cfg(test)]
mod tests;
