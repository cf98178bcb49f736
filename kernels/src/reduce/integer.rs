//! Reductions of integers, exact or wrapping, in any order.

use super::Reduction;
use crate::elementwise::Integer;
use crate::{Parallel, pieces};

/// What a set of integers is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceInteger {
    /// The sum, wrapping; 0 of nothing.
    Sum,
    /// The largest; the type's smallest value of nothing.
    Max,
    /// The smallest; the type's largest value of nothing.
    Min,
}

/// Reduces i32 or i64.
///
/// * `x`: dense, of the shape that `reduction` was made for; `out`: dense, the kept axes.
///
/// # Panics
/// If a slice's length does not fit the reduction.
pub fn reduce_integer<T: Integer>(
    pool: &dyn Parallel,
    op: ReduceInteger,
    reduction: &Reduction,
    x: &[T],
    out: &mut [T],
) {
    reduction.check(x.len(), out.len());
    match op {
        ReduceInteger::Sum => fold(pool, reduction, x, out, T::ZERO, T::wrapping_add),
        ReduceInteger::Max => fold(pool, reduction, x, out, T::MIN, T::max),
        ReduceInteger::Min => fold(pool, reduction, x, out, T::MAX, T::min),
    }
}

fn fold<T: Integer>(
    pool: &dyn Parallel,
    reduction: &Reduction,
    x: &[T],
    out: &mut [T],
    empty: T,
    join: impl Fn(T, T) -> T + Sync,
) {
    pieces::rows(pool, out, 1, reduction.reduced_len().max(1), &|range, out| {
        for kept in reduction.kept.runs(range.start, range.end) {
            let out = &mut out[kept.at - range.start..][..kept.length];
            for (index, out) in out.iter_mut().enumerate() {
                let start = kept.starts[0] + index * kept.strides[0];
                let mut total = empty;
                for run in reduction.reduced.runs(0, reduction.reduced.len()) {
                    let values =
                        x[start + run.starts[0]..].iter().step_by(run.strides[0].max(1)).take(run.length);
                    total = values.fold(total, |total, &value| join(total, value));
                }
                *out = total;
            }
        }
    });
}
