//! Ops whose positions come from a tensor. Every index is checked before anything is moved.

use super::cast::wrap;
use crate::buffer::{ReferenceTensor, Values};
use crate::error;
use lockstep_hal::{Error, Result};

/// The index as positions of an axis of `limit`.
fn positions(node: &str, index: &ReferenceTensor, limit: usize) -> Result<Vec<usize>> {
    let Values::Integer(values) = &index.values else {
        return Err(Error::program(format!("{node}: the index is {}, not an integer", index.dtype)));
    };
    let position = |(at, &index): (usize, &i64)| match usize::try_from(index) {
        Ok(position) if position < limit => Ok(position),
        _ => Err(error::index_out_of_range(node, at, index, limit)),
    };
    values.iter().enumerate().map(position).collect()
}

/// `out[.., i.., ..] = data[.., index[i..], ..]`.
pub(super) fn gather(
    node: &str,
    data: &ReferenceTensor,
    index: &ReferenceTensor,
    axis: usize,
) -> Result<Values> {
    let positions = positions(node, index, data.shape[axis])?;
    let (outer, inner): (usize, usize) =
        (data.shape[..axis].iter().product(), data.shape[axis + 1..].iter().product());
    let mut offsets = Vec::with_capacity(outer * positions.len() * inner);
    for block in 0..outer {
        for position in &positions {
            let start = (block * data.shape[axis] + position) * inner;
            offsets.extend(start..start + inner);
        }
    }
    Ok(data.values.pick(offsets.into_iter()))
}

/// `out = base; out[.., index[i], ..] += source[.., i, ..]`, in ascending `i`.
pub(super) fn index_add(
    node: &str,
    base: &ReferenceTensor,
    index: &ReferenceTensor,
    source: &ReferenceTensor,
    axis: usize,
) -> Result<Option<Values>> {
    let positions = positions(node, index, base.shape[axis])?;
    let shape =
        (base.shape[..axis].iter().product(), base.shape[axis], base.shape[axis + 1..].iter().product());
    Ok(match (&base.values, &source.values) {
        (Values::Float(base), Values::Float(source)) => {
            Some(Values::floats(add_rows(base, source, &positions, shape, |a, b| a + b)))
        }
        (Values::Integer(sums), Values::Integer(source)) => {
            let add = |a: i64, b| wrap(base.dtype, a.wrapping_add(b));
            Some(Values::integers(add_rows(sums, source, &positions, shape, add)))
        }
        _ => None,
    })
}

fn add_rows<T: Copy>(
    base: &[T],
    source: &[T],
    positions: &[usize],
    (outer, extent, inner): (usize, usize, usize),
    add: impl Fn(T, T) -> T,
) -> Vec<T> {
    let mut sums = base.to_vec();
    for block in 0..outer {
        for (i, position) in positions.iter().enumerate() {
            for column in 0..inner {
                let to = (block * extent + position) * inner + column;
                sums[to] = add(sums[to], source[(block * positions.len() + i) * inner + column]);
            }
        }
    }
    sums
}
