//! Rows of a table, by index: embedding tables and the selection of tokens. The definition is in `spec.md`.

mod index;

pub(crate) use index::check_range;
pub use index::{Index, IndexOutOfRange};

use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel, pieces};

/// The sizes of a gather: `table` is `[outer, rows, inner]`, and the output `[outer, index.len(), inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatherShape {
    /// Product of the dimensions before the indexed one; 1 for an embedding table.
    pub outer: usize,
    /// Length of the indexed dimension.
    pub rows: usize,
    /// Product of the dimensions after it: the length of one row.
    pub inner: usize,
}

impl GatherShape {
    fn check(&self, table: usize, indices: usize, out: usize) {
        assert_eq!(table, self.outer * self.rows * self.inner, "the table has its shape's length");
        assert_eq!(out, self.outer * indices * self.inner, "out has its shape's length");
    }
}

/// `out[o, i, ..] = table[o, index[i], ..]`, bit for bit.
///
/// * `table`: `[outer, rows, inner]`, any element type; `index`: i32 or i64, of any shape, flattened; `out`:
///   `[outer, index.len(), inner]`.
///
/// # Errors
/// [`IndexOutOfRange`] names the first offending position; `out` is then untouched.
///
/// # Panics
/// If a slice's length does not fit `shape`.
pub fn gather<T: Copy + Send + Sync, I: Index>(
    pool: &dyn Parallel,
    shape: GatherShape,
    table: &[T],
    index: &[I],
    out: &mut [T],
) -> Result<(), IndexOutOfRange> {
    shape.check(table.len(), index.len(), out.len());
    check_range(index, shape.rows)?;
    pieces::rows(pool, out, shape.inner, shape.inner, &|rows, out| {
        for (row, out) in rows.zip(out.chunks_exact_mut(shape.inner)) {
            out.copy_from_slice(source_row(shape, table, index, row));
        }
    });
    Ok(())
}

/// [`gather`] from a table in one storage type to an output in another: an f16 embedding table is not widened as a whole.
///
/// Each value is read to f32 exactly and rounded once to the output's type.
///
/// # Errors
/// As [`gather`].
///
/// # Panics
/// As [`gather`].
pub fn gather_convert<T: Element, U: Element, I: Index>(
    isa: Isa,
    pool: &dyn Parallel,
    shape: GatherShape,
    table: &[T],
    index: &[I],
    out: &mut [U],
) -> Result<(), IndexOutOfRange> {
    shape.check(table.len(), index.len(), out.len());
    check_range(index, shape.rows)?;
    pieces::rows(pool, out, shape.inner, shape.inner, &|rows, out| {
        dispatch(isa, ConvertRows { shape, table, index, first: rows.start, out });
    });
    Ok(())
}

/// The row of the table that output row `row` shows. Indices have been checked.
#[inline(always)]
fn source_row<'a, T, I: Index>(shape: GatherShape, table: &'a [T], index: &[I], row: usize) -> &'a [T] {
    let (outer, position) = (row / index.len(), row % index.len());
    let start = (outer * shape.rows + index[position].to_i64() as usize) * shape.inner;
    &table[start..start + shape.inner]
}

struct ConvertRows<'a, T, U, I> {
    shape: GatherShape,
    table: &'a [T],
    index: &'a [I],
    first: usize,
    out: &'a mut [U],
}

impl<T: Element, U: Element, I: Index> Kernel for ConvertRows<'_, T, U, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, out) in self.out.chunks_exact_mut(self.shape.inner).enumerate() {
            let mut source =
                source_row(self.shape, self.table, self.index, self.first + row).chunks_exact(LANES);
            let mut out = out.chunks_exact_mut(LANES);
            for (source, out) in (&mut source).zip(&mut out) {
                simd.store(simd.load(source), out);
            }
            simd.store_partial(simd.load_partial(source.remainder(), 0.0), out.into_remainder());
        }
    }
}

#[cfg(test)]
mod tests;
