//! Where the elements of a row-major tensor are: strides, and walks over them in another order.

/// How far apart neighbours along each axis are.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The offset in a source of each element of a shape, in row-major order.
#[derive(Debug)]
pub(crate) struct Offsets {
    shape: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    offset: usize,
    left: usize,
}

impl Offsets {
    /// Walks `shape`, moving `strides[axis]` in the source for each step along an axis, from `start`.
    pub(crate) fn new(shape: &[usize], strides: Vec<usize>, start: usize) -> Self {
        let left = shape.iter().product();
        Self { shape: shape.to_vec(), strides, index: vec![0; shape.len()], offset: start, left }
    }

    /// Walks `to` over a source of shape `from`, repeating it as NumPy broadcasts: axes of extent 1 and missing leading
    /// axes do not move.
    pub(crate) fn broadcast(from: &[usize], to: &[usize]) -> Self {
        let missing = to.len() - from.len();
        let moving =
            from.iter().zip(strides(from)).map(|(&extent, stride)| if extent == 1 { 0 } else { stride });
        Self::new(to, std::iter::repeat_n(0, missing).chain(moving).collect(), 0)
    }
}

impl Iterator for Offsets {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let here = self.offset;
        for axis in (0..self.shape.len()).rev() {
            self.index[axis] += 1;
            self.offset += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.offset -= self.strides[axis] * self.shape[axis];
            self.index[axis] = 0;
        }
        Some(here)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_repeats_axes_of_extent_one_and_new_leading_axes() {
        let walk: Vec<usize> = Offsets::broadcast(&[2, 1], &[2, 2, 3]).collect();
        assert_eq!(walk, [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn a_shape_without_axes_has_one_element_and_an_empty_axis_none() {
        assert_eq!(Offsets::broadcast(&[], &[]).collect::<Vec<_>>(), [0]);
        assert_eq!(Offsets::broadcast(&[1], &[3, 0]).count(), 0);
    }

    #[test]
    fn strides_may_go_through_axes_in_any_order() {
        assert_eq!(Offsets::new(&[3, 2], vec![1, 3], 0).collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5]);
    }
}
