//! Views with their axes in another order, and rows of a view.

use super::access::Access;
use crate::meta::executor::Fault;
use crate::numerics::{Number, Rounding};
use crate::view::View;

/// The view with its axes in `order`.
pub(crate) fn permuted(view: &View, order: &[usize]) -> View {
    View {
        dtype: view.dtype,
        dims: order.iter().map(|axis| view.dims[*axis]).collect(),
        strides: order.iter().map(|axis| view.strides[*axis]).collect(),
        data: view.data,
    }
}

/// The view without its first elements along an axis: `count` of them, `step` apart, from `start` on.
pub(crate) fn narrowed(view: &View, axis: usize, start: i64, count: i64, step: i64) -> View {
    let mut narrow = view.clone();
    narrow.dims[axis] = count;
    narrow.strides[axis] = view.strides[axis].saturating_mul(step);
    if count > 0 {
        let size = crate::view::element_size(view.dtype).unwrap_or(1) as isize;
        let offset = (view.strides[axis].saturating_mul(start) as isize).saturating_mul(size);
        narrow.data = view.data.wrapping_offset(offset);
    }
    narrow
}

/// A view as rows: some axes say which row, the others which element of it.
pub(crate) struct Rows {
    access: Access,
    /// Elements of a row.
    pub(crate) len: usize,
    /// How many there are.
    pub(crate) count: usize,
}

impl Rows {
    /// Rows over `axes`, ascending; the others, in their order, number the rows.
    ///
    /// # Errors
    /// As for [`Access::of`].
    pub(crate) fn over(view: &View, axes: &[usize], rounding: Rounding) -> Result<Self, Fault> {
        let mut order: Vec<usize> = (0..view.dims.len()).filter(|axis| !axes.contains(axis)).collect();
        let extent = |axes: &[usize]| axes.iter().map(|axis| view.dims[*axis] as usize).product();
        let (count, len) = (extent(&order), extent(axes));
        order.extend_from_slice(axes);
        Ok(Self { access: Access::of(&permuted(view, &order), rounding)?, len, count })
    }

    /// Reads a row.
    pub(crate) fn load<C: Number>(&self, row: usize, into: &mut [C]) {
        self.access.load(row * self.len, &mut into[..self.len]);
    }

    /// Rounds and writes a row.
    pub(crate) fn store<C: Number>(&self, row: usize, from: &[C]) {
        self.access.store(row * self.len, &from[..self.len]);
    }
}
