//! The body of index_add: each destination in registers, a few vectors at a time.

use super::{END, IndexAddShape, Positions};
use crate::Element;
use crate::simd::{Kernel, LANES, Simd};

/// Destinations `first_row..` of all, counted over `[outer, rows]`, and the part of the output that they are.
pub(super) struct AddRows<'a, T> {
    pub(super) shape: IndexAddShape,
    pub(super) positions: Positions<'a>,
    pub(super) source: &'a [T],
    pub(super) first_row: usize,
    pub(super) out: &'a mut [T],
}

/// Vectors of a row that are summed together: one pass over the list of positions serves them all.
const BLOCK: usize = 4;

impl<T: Element> Kernel for AddRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let IndexAddShape { rows, inner, .. } = self.shape;
        let indices = self.positions.next.len();
        for (index, out) in self.out.chunks_exact_mut(inner).enumerate() {
            let (outer, row) = ((self.first_row + index) / rows, (self.first_row + index) % rows);
            let first = self.positions.first[row];
            if first == END {
                continue;
            }
            let source = &self.source[outer * indices * inner..(outer + 1) * indices * inner];
            let mut at = 0;
            while at + BLOCK * LANES <= inner {
                let out = &mut out[at..at + BLOCK * LANES];
                let mut sums = [simd.zero(); BLOCK];
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.load(&out[vector * LANES..]);
                }
                let mut position = first;
                while position != END {
                    let start = position as usize * inner + at;
                    let values = &source[start..start + BLOCK * LANES];
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.add(*sum, simd.load(&values[vector * LANES..]));
                    }
                    position = self.positions.next[position as usize];
                }
                for (vector, sum) in sums.into_iter().enumerate() {
                    simd.store(sum, &mut out[vector * LANES..]);
                }
                at += BLOCK * LANES;
            }
            while at < inner {
                let end = inner.min(at + LANES);
                let mut sum = simd.load_partial(&out[at..end], 0.0);
                let mut position = first;
                while position != END {
                    let start = position as usize * inner;
                    sum = simd.add(sum, simd.load_partial(&source[start + at..start + end], 0.0));
                    position = self.positions.next[position as usize];
                }
                simd.store_partial(sum, &mut out[at..end]);
                at = end;
            }
        }
    }
}
