//! Moves elements without looking at them: permute, slice, broadcast, concatenate, fill. The definition is in `spec.md`.
//!
//! All are generic over plain `Copy` elements, so a caller with untyped bytes uses u8, u16, u32 or u64 by size. [`Strided`]
//! describes where each element comes from; it is made once for given shapes.

mod strided;
mod transpose;

pub(crate) use strided::Run;
pub use strided::{Dimension, MAX_DIMENSIONS, ShapeError, Strided};

use crate::{Parallel, pieces};

/// `out[i]` is the element of `x` that `walk` names for position i: a broadcast, a permutation or a slice.
///
/// * `x`: dense, of the shape that the walk was made for; `out`: dense, `walk.len()` elements.
///
/// A permutation that makes rows of columns is done in square blocks, so that both sides use whole cache lines.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn copy<T: Copy + Send + Sync>(pool: &dyn Parallel, walk: &Strided<1>, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), walk.source_len(0), "x has the shape that the walk was made for");
    assert_eq!(out.len(), walk.len(), "out has as many elements as the walk");
    if transpose::applies(walk) {
        transpose::copy(pool, walk, x, out);
        return;
    }
    pieces::elements(pool, out, &|range, out| {
        for run in walk.runs(range.start, range.end) {
            let target = &mut out[run.at - range.start..][..run.length];
            let (start, stride) = (run.starts[0], run.strides[0]);
            match stride {
                1 => target.copy_from_slice(&x[start..start + run.length]),
                0 => target.fill(x[start]),
                _ => {
                    for (target, value) in target.iter_mut().zip(x[start..].iter().step_by(stride)) {
                        *target = *value;
                    }
                }
            }
        }
    });
}

/// One operand of [`concat()`].
#[derive(Clone, Copy, Debug)]
pub struct Part<'a, T> {
    /// `[outer, width]`, dense.
    pub values: &'a [T],
    /// The length of the joined dimension times that of all after it.
    pub width: usize,
}

/// Joins parts along a dimension: `out[o] = parts[0][o], parts[1][o], ..` for each of the `outer` indices before it.
///
/// `out`: `[outer, sum of widths]`.
///
/// # Panics
/// If a slice's length does not fit the widths.
pub fn concat<T: Copy + Send + Sync>(
    pool: &dyn Parallel,
    outer: usize,
    parts: &[Part<'_, T>],
    out: &mut [T],
) {
    let width = parts.iter().map(|part| part.width).sum::<usize>();
    assert_eq!(out.len(), outer * width, "out is [outer, sum of widths]");
    for part in parts {
        assert_eq!(part.values.len(), outer * part.width, "a part is [outer, width]");
    }
    pieces::rows(pool, out, width, width, &|rows, out| {
        for (row, mut out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
            for part in parts {
                let (target, rest) = out.split_at_mut(part.width);
                target.copy_from_slice(&part.values[row * part.width..(row + 1) * part.width]);
                out = rest;
            }
        }
    });
}

/// Sets every element to `value`.
pub fn fill<T: Copy + Send + Sync>(pool: &dyn Parallel, value: T, out: &mut [T]) {
    pieces::elements(pool, out, &|_, out| out.fill(value));
}

#[cfg(test)]
mod tests;
