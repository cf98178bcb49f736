//! Permutations whose output rows are columns of the input, in blocks that fit the nearest cache.

use super::Strided;
use crate::{Parallel, pieces};

/// Side of a block: 16 elements of 4 bytes are a cache line.
const SIDE: usize = 16;

/// Whether the innermost run jumps through the input while another dimension walks it.
pub(super) fn applies(walk: &Strided<1>) -> bool {
    walk.inner().strides[0] > 1 && contiguous(walk).is_some()
}

/// The dimension, other than the innermost, along which the input is contiguous.
fn contiguous(walk: &Strided<1>) -> Option<usize> {
    let outer = walk.dimensions().len().saturating_sub(1);
    walk.dimensions()[..outer].iter().position(|dimension| dimension.strides[0] == 1)
}

/// Copies by blocks; `applies(walk)` holds.
pub(super) fn copy<T: Copy + Send + Sync>(pool: &dyn Parallel, walk: &Strided<1>, x: &[T], out: &mut [T]) {
    let Some(across) = contiguous(walk) else { return };
    let dimensions = walk.dimensions();
    let (inner, across_length) = (walk.inner(), dimensions[across].length);
    // How far the output moves for one step along `across`.
    let across_step = dimensions[across + 1..].iter().map(|dimension| dimension.length).product::<usize>();
    // Whole slabs, each one turn of the dimensions from `across` inwards, or parts of one slab if there are few.
    let slab = across_length * across_step;
    let slabs = out.len().checked_div(slab).unwrap_or(0);
    if slabs > 1 {
        pieces::rows(pool, out, slab, slab, &|range, out| {
            for (index, out) in range.zip(out.chunks_exact_mut(slab)) {
                let rows = Rows { first: 0, last: across_length, slab_start: index * slab };
                transpose_rows(walk, rows, across_step, inner.length, x, out);
            }
        });
    } else {
        pieces::rows(pool, out, across_step, across_step, &|range, out| {
            let rows = Rows { first: range.start, last: range.end, slab_start: 0 };
            transpose_rows(walk, rows, across_step, inner.length, x, out);
        });
    }
}

/// Steps `first..last` along the contiguous dimension, within the slab that starts at output element `slab_start`.
struct Rows {
    first: usize,
    last: usize,
    slab_start: usize,
}

fn transpose_rows<T: Copy>(
    walk: &Strided<1>,
    rows: Rows,
    across_step: usize,
    inner_length: usize,
    x: &[T],
    out: &mut [T],
) {
    let inner_stride = walk.inner().strides[0];
    // Between `across` and the innermost there may be more dimensions: each of their turns is a matrix of its own.
    for matrix in 0..across_step / inner_length {
        let target = matrix * inner_length;
        let source = walk.row_start((rows.slab_start + target) / inner_length)[0];
        for row in (rows.first..rows.last).step_by(SIDE) {
            let row_end = rows.last.min(row + SIDE);
            for column in (0..inner_length).step_by(SIDE) {
                let column_end = inner_length.min(column + SIDE);
                for r in row..row_end {
                    let start = (r - rows.first) * across_step + target;
                    let line = &mut out[start + column..start + column_end];
                    for (c, value) in (column..column_end).zip(line) {
                        *value = x[source + c * inner_stride + r];
                    }
                }
            }
        }
    }
}
