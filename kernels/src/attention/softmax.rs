//! Softmax down the columns of a block of transposed scores: a column is a query, a row a key.

use crate::math::exp;
use crate::simd::{Kernel, LANES, Simd};

/// Keys whose terms are summed before the sum is added to the total, to keep chains of roundings short.
const SUMMED_KEYS: usize = 16;

/// Turns `scores`, `[keys, width]`, into `exp(score - largest score of the column)`, and gives each column's 1 / sum. A column
/// of nothing but -inf becomes zeros and gives 0, as the op Softmax says.
pub(super) struct ColumnSoftmax<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) width: usize,
    /// `[width]`.
    pub(super) reciprocals: &'a mut [f32],
}

impl Kernel for &mut ColumnSoftmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let ColumnSoftmax { scores, width, reciprocals } = self;
        let width = *width;
        for first in (0..width).step_by(LANES) {
            // Four chains, so that a maximum does not wait for the one before; which it is makes no difference to it.
            let mut largest = [simd.splat(f32::NEG_INFINITY); 4];
            for rows in scores.chunks(4 * width) {
                for (row, largest) in rows.chunks_exact(width).zip(&mut largest) {
                    *largest = simd.max(simd.load(&row[first..]), *largest);
                }
            }
            let largest = simd.max(simd.max(largest[0], largest[1]), simd.max(largest[2], largest[3]));
            let is_lowest = simd.eq(largest, simd.splat(f32::NEG_INFINITY));
            let shift = simd.select(is_lowest, simd.zero(), largest);
            let mut total = simd.zero();
            for rows in scores.chunks_mut(SUMMED_KEYS * width) {
                let mut sum = simd.zero();
                for row in rows.chunks_exact_mut(width) {
                    let lanes = &mut row[first..first + LANES];
                    let term = exp(simd, simd.sub(simd.load(lanes), shift));
                    simd.store(term, lanes);
                    sum = simd.add(sum, term);
                }
                total = simd.add(total, sum);
            }
            let is_empty = simd.eq(total, simd.zero());
            let reciprocal = simd.select(is_empty, simd.zero(), simd.div(simd.splat(1.0), total));
            simd.store(reciprocal, &mut reciprocals[first..]);
        }
    }
}
