//! Comparisons, logic on booleans, and selection by them. A boolean is a u8: 0 is false, all else true, and what is
//! written is 0 or 1.

use super::integer::apply;
use super::{Strided, check_lengths};
use crate::{Parallel, pieces};

/// A comparison. With a NaN on either side all but [`Comparison::Ne`] are false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `a == b`.
    Eq,
    /// `a != b`; true if either is NaN.
    Ne,
    /// `a < b`.
    Lt,
    /// `a <= b`.
    Le,
    /// `a > b`.
    Gt,
    /// `a >= b`.
    Ge,
}

/// `out = a ? b` as 0 or 1; `walk` from [`Strided::broadcast`] with the shapes of out, a and b.
///
/// Any type with an order: floats of all storage types, integers, booleans.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn compare<T: Copy + PartialOrd + Send + Sync>(
    pool: &dyn Parallel,
    op: Comparison,
    walk: &Strided<2>,
    a: &[T],
    b: &[T],
    out: &mut [u8],
) {
    check_lengths!(walk, out, a, b);
    match op {
        Comparison::Eq => apply(pool, walk, a, b, out, |a, b| u8::from(a == b)),
        Comparison::Ne => apply(pool, walk, a, b, out, |a, b| u8::from(a != b)),
        Comparison::Lt => apply(pool, walk, a, b, out, |a, b| u8::from(a < b)),
        Comparison::Le => apply(pool, walk, a, b, out, |a, b| u8::from(a <= b)),
        Comparison::Gt => apply(pool, walk, a, b, out, |a, b| u8::from(a > b)),
        Comparison::Ge => apply(pool, walk, a, b, out, |a, b| u8::from(a >= b)),
    }
}

/// A function of two booleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Logical {
    /// Both.
    And,
    /// At least one.
    Or,
}

/// `out = op(a, b)` on booleans; `walk` from [`Strided::broadcast`] with the shapes of out, a and b.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn logical(pool: &dyn Parallel, op: Logical, walk: &Strided<2>, a: &[u8], b: &[u8], out: &mut [u8]) {
    check_lengths!(walk, out, a, b);
    match op {
        Logical::And => apply(pool, walk, a, b, out, |a, b| u8::from(a != 0 && b != 0)),
        Logical::Or => apply(pool, walk, a, b, out, |a, b| u8::from(a != 0 || b != 0)),
    }
}

/// `out[i]` is 1 where `x[i]` is 0, else 0.
///
/// # Panics
/// If the lengths differ.
pub fn logical_not(pool: &dyn Parallel, x: &[u8], out: &mut [u8]) {
    assert_eq!(x.len(), out.len(), "input and output have the same length");
    pieces::elements(pool, out, &|range, out| {
        for (out, &x) in out.iter_mut().zip(&x[range]) {
            *out = u8::from(x == 0);
        }
    });
}

/// `out = if condition { a } else { b }`, bit for bit; `walk` from [`Strided::broadcast`] with the shapes of out,
/// condition, a and b.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn select<T: Copy + Send + Sync>(
    pool: &dyn Parallel,
    walk: &Strided<3>,
    condition: &[u8],
    a: &[T],
    b: &[T],
    out: &mut [T],
) {
    check_lengths!(walk, out, condition, a, b);
    pieces::elements(pool, out, &|range, out| {
        for run in walk.runs(range.start, range.end) {
            let out = &mut out[run.at - range.start..][..run.length];
            let ([c, x, y], [c_step, x_step, y_step]) = (run.starts, run.strides);
            for (index, out) in out.iter_mut().enumerate() {
                let taken = condition[c + index * c_step] != 0;
                *out = if taken { a[x + index * x_step] } else { b[y + index * y_step] };
            }
        }
    });
}
