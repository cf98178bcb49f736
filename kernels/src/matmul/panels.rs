//! A right operand that is known only at run time, brought into panels.

use crate::Element;
use crate::simd::{Kernel, LANES, Simd};

/// Copies `rows` rows of `columns` values to `[panels, panel_rows, width]`, the last panel filled up with zeros.
pub(crate) struct PackPanels<T> {
    /// Rows copied: steps of k.
    pub(crate) rows: usize,
    /// Rows of a panel, of which these are the ones that start at `to`.
    pub(crate) panel_rows: usize,
    pub(crate) columns: usize,
    /// The first row.
    pub(crate) from: *const T,
    /// Elements between rows.
    pub(crate) stride: usize,
    /// Columns of a panel, a multiple of 16.
    pub(crate) width: usize,
    /// The place of the first row in the first panel.
    pub(crate) to: *mut f32,
}

impl<T: Element> Kernel for &PackPanels<T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in 0..self.rows {
            for first in (0..self.columns.next_multiple_of(self.width)).step_by(LANES) {
                let (panel, column) = (first / self.width, first % self.width);
                let count = self.columns.saturating_sub(first).min(LANES);
                // SAFETY: whoever builds a `PackPanels` vouches for `rows` rows of `columns` at `from`, and at `to` for
                // these rows of every panel.
                unsafe {
                    let from = self.from.wrapping_add(row * self.stride + first);
                    let to = self.to.add((panel * self.panel_rows + row) * self.width + column);
                    let lanes =
                        if count == LANES { simd.load_from(from) } else { simd.load_first_from(from, count) };
                    simd.store_to(lanes, to);
                }
            }
        }
    }
}
