//! Rows of the left operand as f32, block of k by block of k, far enough apart that no two fight for a cache set.

use crate::matmul::tile::{BLOCK_K, Left};
use crate::simd::{Kernel, LANES, Simd};
use crate::{Element, Isa};

/// The layout of packed rows of `k` steps.
pub(crate) fn packed_layout(k: usize) -> Left {
    Left::rows_of(k.min(BLOCK_K))
}

/// f32 from one packed row of `k` steps to the next.
pub(crate) fn packed_stride(k: usize) -> usize {
    // The same on every path.
    packed_layout(k).stride(Isa::Portable)
}

/// f32 that `rows` packed rows of `k` take.
pub(crate) fn packed_len(rows: usize, k: usize) -> usize {
    k.div_ceil(BLOCK_K) * rows * packed_stride(k)
}

/// Copies `rows` rows of `k` values to `[blocks of k, block_rows, packed_stride]`.
pub(crate) struct PackRows<T> {
    pub(crate) rows: usize,
    /// Rows of the whole, of which these are the ones that start at `to`.
    pub(crate) block_rows: usize,
    pub(crate) k: usize,
    /// The first row, of `k` values.
    pub(crate) from: *const T,
    /// Elements between rows.
    pub(crate) stride: usize,
    /// The place of the first row's first block.
    pub(crate) to: *mut f32,
}

impl<T: Element> Kernel for &PackRows<T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let packed = packed_stride(self.k);
        for row in 0..self.rows {
            for (block, start) in (0..self.k).step_by(BLOCK_K).enumerate() {
                let steps = (self.k - start).min(BLOCK_K);
                // SAFETY: whoever builds a `PackRows` vouches for `rows` rows of `k` at `from`, `stride` apart, and for
                // its place among `packed_len(block_rows, k)` at `to`; a
                // packed row has room for whole vectors.
                unsafe {
                    let from = self.from.add(row * self.stride + start);
                    let to = self.to.add((block * self.block_rows + row) * packed);
                    for step in (0..steps - steps % LANES).step_by(LANES) {
                        simd.store_to(simd.load_from(from.add(step)), to.add(step));
                    }
                    let tail = steps % LANES;
                    if tail > 0 {
                        let step = steps - tail;
                        simd.store_to(simd.load_first_from(from.add(step), tail), to.add(step));
                    }
                }
            }
        }
    }
}
