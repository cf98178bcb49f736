//! How the kernels here cut their work: into runs of whole rows, large enough to be worth handing to another thread.

use std::ops::Range;

use crate::Parallel;
use crate::matmul::shared::SharedMut;

/// Elements of work below which handing a piece to another thread costs more than it saves.
const WORTH_A_PIECE: usize = 16 * 1024;

/// Pieces a thread, so that one slow thread does not hold up the others.
const PIECES_PER_THREAD: usize = 4;

/// Calls `work(rows, part of out)` for runs of rows that together cover `out`, `[rows, width]`, on the threads of `pool`.
///
/// `cost` is the work of one row, in elements read or written. Where the cuts fall depends on the number of threads, so
/// `work` must treat each row by itself.
pub(crate) fn rows<T: Send>(
    pool: &dyn Parallel,
    out: &mut [T],
    width: usize,
    cost: usize,
    work: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    if out.is_empty() || width == 0 {
        return;
    }
    let rows = out.len() / width;
    let pieces = (rows.saturating_mul(cost) / WORTH_A_PIECE)
        .min(pool.threads().saturating_mul(PIECES_PER_THREAD))
        .clamp(1, rows);
    if pieces == 1 || pool.threads() <= 1 {
        work(0..rows, out);
        return;
    }
    let shared = SharedMut::new(out);
    let first = |piece: usize| (piece as u128 * rows as u128 / pieces as u128) as usize;
    pool.run(pieces, &|piece| {
        let range = first(piece)..first(piece + 1);
        // SAFETY: the runs of different pieces do not overlap.
        let part = unsafe { shared.part(range.start * width..range.end * width) };
        work(range, part);
    });
}

/// [`rows`] where each element stands for itself: `work(elements, part of out)`.
pub(crate) fn elements<T: Send>(
    pool: &dyn Parallel,
    out: &mut [T],
    work: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    rows(pool, out, 1, 1, work);
}
