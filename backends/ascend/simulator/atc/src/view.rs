//! Views: what Transpose, Expand, Slice and most Reshapes are instead of work.

use lockstep_ascend_container::Operand;

/// How many elements there are; `None` for a negative extent, and where [`room`] is beyond 64 bits.
pub(crate) fn elements(dims: &[i64]) -> Option<i64> {
    room(dims).map(|room| if dims.contains(&0) { 0 } else { room })
}

/// How many elements there would be if no extent were 0, which is what strides and places are computed of; `None` for a
/// negative extent and beyond 64 bits. An extent of 0 hides no other one from it.
pub(crate) fn room(dims: &[i64]) -> Option<i64> {
    dims.iter().try_fold(1i64, |product, &dim| product.checked_mul(dim.max(1)).filter(|_| dim >= 0))
}

fn is_empty(x: &Operand) -> bool {
    x.dims.contains(&0)
}

/// All of a value, row-major. `dims` must be countable, as those of every value are.
pub(crate) fn whole(value: usize, dims: &[i64]) -> Operand {
    Operand { value, dims: dims.to_vec(), strides: row_major(dims), offset: 0 }
}

fn row_major(dims: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(dims[axis].max(1));
    }
    strides
}

/// Whether the elements are those of a value of so many, in its order.
pub(crate) fn is_whole(operand: &Operand, of: u64) -> bool {
    let dense = row_major(&operand.dims);
    let in_order = (operand.dims.iter().zip(&operand.strides).zip(&dense))
        .all(|((&dim, stride), dense)| dim <= 1 || stride == dense);
    operand.offset == 0 && in_order && elements(&operand.dims).is_some_and(|count| count as u64 == of)
}

/// Axes in another order; `permutation` must be one.
pub(crate) fn transposed(x: &Operand, permutation: &[usize]) -> Operand {
    let take = |from: &[i64]| permutation.iter().map(|&axis| from[axis]).collect();
    Operand { value: x.value, dims: take(&x.dims), strides: take(&x.strides), offset: x.offset }
}

/// Repeated to these extents, which must be what its own broadcast to.
pub(crate) fn expanded(x: &Operand, dims: &[i64]) -> Operand {
    let missing = dims.len() - x.dims.len();
    let stride = |axis: usize| match axis.checked_sub(missing) {
        Some(own) if x.dims[own] == dims[axis] => x.strides[own],
        _ => 0,
    };
    let strides = (0..dims.len()).map(stride).collect();
    Operand { value: x.value, dims: dims.to_vec(), strides, offset: x.offset }
}

/// What of an axis a slice takes: as many elements as `length`, from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) axis: usize,
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) length: i64,
}

/// A part along an axis, which must lie in it. One without elements begins where its whole does.
pub(crate) fn sliced(x: &Operand, span: Span) -> Operand {
    let mut part = x.clone();
    let stride = x.strides[span.axis];
    part.dims[span.axis] = span.length;
    if is_empty(&part) {
        return part;
    }
    part.offset += span.start * stride;
    // That of an axis of one element is never used; it may be any step, also backwards.
    if span.length > 1 {
        part.strides[span.axis] = stride * span.step;
    }
    part
}

/// The same elements in order, in other extents of as many; `None` where no strides say that.
pub(crate) fn reshaped(x: &Operand, dims: &[i64]) -> Option<Operand> {
    if elements(dims)? == 0 {
        return Some(Operand { offset: x.offset, ..whole(x.value, dims) });
    }
    let old: Vec<(i64, i64)> =
        x.dims.iter().copied().zip(x.strides.iter().copied()).filter(|(dim, _)| *dim != 1).collect();
    let mut strides = vec![1i64; dims.len()];
    let (mut from, mut to) = (0, 0);
    while from < old.len() {
        // The fewest axes of each that hold as many elements.
        let (first, start) = (from, to);
        let (mut left, mut right) = (old[from].0, 1);
        from += 1;
        while left != right {
            if left < right {
                left *= old.get(from)?.0;
                from += 1;
            } else {
                right *= dims.get(to)?;
                to += 1;
            }
        }
        let group = &old[first..from];
        if group.windows(2).any(|pair| pair[0].1 != pair[1].1 * pair[1].0) {
            return None;
        }
        let mut stride = group.last()?.1;
        for axis in (start..to).rev() {
            strides[axis] = stride;
            stride = stride.saturating_mul(dims[axis]);
        }
    }
    Some(Operand { value: x.value, dims: dims.to_vec(), strides, offset: x.offset })
}

/// The extents to which these broadcast.
pub(crate) fn broadcast(all: &[&[i64]]) -> Option<Vec<i64>> {
    let rank = all.iter().map(|dims| dims.len()).max()?;
    let mut result = vec![1; rank];
    for dims in all {
        for (known, &dim) in result[rank - dims.len()..].iter_mut().zip(*dims) {
            match (*known, dim) {
                (_, 1) => {}
                (1, _) => *known = dim,
                (known, dim) if known == dim => {}
                _ => return None,
            }
        }
    }
    Some(result)
}

/// Where its elements are, in order. Of views that are small enough to be listed.
pub(crate) fn positions(x: &Operand) -> Vec<i64> {
    if is_empty(x) {
        return vec![];
    }
    let mut positions = vec![x.offset];
    for (&dim, &stride) in x.dims.iter().zip(&x.strides) {
        positions = positions.iter().flat_map(|at| (0..dim).map(move |index| at + index * stride)).collect();
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(x: &Operand) -> Vec<i64> {
        positions(x)
    }

    #[test]
    fn views_compose() {
        let x = whole(0, &[2, 3, 4]);
        let turned = transposed(&x, &[2, 0, 1]);
        assert_eq!((turned.dims.as_slice(), &read(&turned)[..4]), (&[4, 2, 3][..], &[0, 4, 8, 12][..]));
        let part = sliced(&turned, Span { axis: 0, start: 1, step: 2, length: 2 });
        assert_eq!((part.offset, part.dims[0], part.strides[0]), (1, 2, 2));
        let repeated = expanded(&whole(0, &[3, 1]), &[2, 3, 2]);
        assert_eq!(read(&repeated), [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
        let backwards = sliced(&whole(0, &[4]), Span { axis: 0, start: 3, step: -1, length: 4 });
        assert_eq!(read(&backwards), [3, 2, 1, 0]);
    }

    #[test]
    fn a_reshape_is_a_view_exactly_where_the_order_allows_it() {
        let x = whole(0, &[2, 3, 4]);
        let heads = reshaped(&x, &[2, 3, 2, 2]).unwrap();
        assert_eq!(heads.strides, [12, 4, 2, 1]);
        let turned = transposed(&heads, &[0, 2, 1, 3]);
        // Splitting an axis of it is a view, merging heads is not.
        assert_eq!(reshaped(&turned, &[2, 2, 3, 2, 1]).unwrap().strides[..4], turned.strides[..]);
        assert_eq!(reshaped(&turned, &[2, 2, 6]), None);
        assert_eq!(reshaped(&turned, &[24]), None);
        // Where the reshaped order is the stored one, elements stay where they are.
        for dims in [&[24][..], &[1, 6, 4, 1], &[2, 12], &[6, 2, 2]] {
            assert_eq!(read(&reshaped(&x, dims).unwrap()), read(&x));
        }
        let row = sliced(&x, Span { axis: 1, start: 1, step: 1, length: 1 });
        assert_eq!(read(&reshaped(&row, &[2, 4]).unwrap()), [4, 5, 6, 7, 16, 17, 18, 19]);
        assert!(reshaped(&whole(0, &[0, 3]), &[3, 0]).is_some());
    }

    #[test]
    fn a_whole_view_has_every_element_in_order() {
        assert!(is_whole(&whole(0, &[2, 1, 3]), 6));
        assert!(!is_whole(&whole(0, &[2, 3]), 7));
        assert!(!is_whole(&transposed(&whole(0, &[2, 3]), &[1, 0]), 6));
        assert!(is_whole(&transposed(&whole(0, &[1, 3]), &[1, 0]), 3));
    }

    #[test]
    fn extents_broadcast_as_onnx_says() {
        assert_eq!(broadcast(&[&[3, 1], &[2, 1, 4]]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast(&[&[], &[0]]), Some(vec![0]));
        assert_eq!(broadcast(&[&[2], &[3]]), None);
        assert_eq!(elements(&[i64::MAX, 2]), None);
        assert_eq!(elements(&[-1, -1]), None);
    }

    #[test]
    fn an_extent_of_0_hides_no_huge_one() {
        assert_eq!((elements(&[1 << 40, 0]), room(&[1 << 40, 0])), (Some(0), Some(1 << 40)));
        // In whatever order.
        for dims in [[0, i64::MAX, i64::MAX], [i64::MAX, i64::MAX, 0], [0, -1, 2]] {
            assert_eq!((elements(&dims), room(&dims)), (None, None), "{dims:?}");
        }
        let wide = whole(0, &[1 << 62, 0]);
        assert!(read(&wide).is_empty());
        // Over and over, as a chain of Slices and Reshapes may.
        let mut part = wide.clone();
        for _ in 0..4 {
            part = sliced(&part, Span { axis: 0, start: (1 << 62) - 2, step: 1, length: 2 });
            part = reshaped(&part, &[1 << 62, 0]).unwrap();
        }
        assert_eq!(part, wide);
    }
}
