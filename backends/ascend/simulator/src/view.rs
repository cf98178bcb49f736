//! Views of device memory: dims, strides in elements, and where element 0 is.

use lockstep_ascend_abi::aclDataType;

/// A tensor as a kernel sees it; the offset is in `data` already.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Element type.
    pub dtype: aclDataType,
    /// Extents, none negative.
    pub dims: Vec<i64>,
    /// Elements from one index to the next, per axis; 0 repeats.
    pub strides: Vec<i64>,
    /// Element 0.
    pub data: *mut u8,
}

// SAFETY: a view is an address and its description; it is read and written on the stream's thread only, and
// the launch keeps the memory behind it allocated.
unsafe impl Send for View {}
// SAFETY: as above; sharing the description shares no access.
unsafe impl Sync for View {}

/// Bytes of an element; `None` for what does not fill whole bytes or has no size.
pub(crate) fn element_size(dtype: aclDataType) -> Option<usize> {
    Some(match dtype {
        aclDataType::INT8 | aclDataType::UINT8 | aclDataType::BOOL => 1,
        aclDataType::HIFLOAT8 | aclDataType::FLOAT8_E5M2 => 1,
        aclDataType::FLOAT8_E4M3FN | aclDataType::FLOAT8_E8M0 => 1,
        aclDataType::FLOAT16 | aclDataType::BF16 | aclDataType::INT16 | aclDataType::UINT16 => 2,
        aclDataType::FLOAT | aclDataType::INT32 | aclDataType::UINT32 | aclDataType::COMPLEX32 => 4,
        aclDataType::DOUBLE | aclDataType::INT64 | aclDataType::UINT64 | aclDataType::COMPLEX64 => 8,
        aclDataType::COMPLEX128 => 16,
        _ => return None,
    })
}

/// Strides of `dims` laid out densely, the last axis fastest.
pub(crate) fn contiguous_strides(dims: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(dims[axis].max(1));
    }
    strides
}

impl View {
    /// Elements.
    pub(crate) fn count(&self) -> usize {
        self.dims.iter().map(|dim| *dim as usize).product()
    }

    /// Whether elements lie densely in row-major order.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.dims.iter().zip(&self.strides).rev().all(|(dim, stride)| {
            let fits = *dim == 1 || *stride == expected;
            expected *= dim;
            fits
        }) || self.count() == 0
    }

    /// The offset of each element from `data`, in elements, in row-major order.
    pub(crate) fn offsets(&self) -> Offsets<'_> {
        Offsets {
            view: self,
            index: vec![0; self.dims.len()],
            offset: 0,
            left: self.count(),
            is_contiguous: self.is_contiguous(),
        }
    }

    /// The same memory seen with `dims`, by the usual rules: axes align at the end, extent 1 repeats. `None`
    /// if they do not fit.
    pub(crate) fn broadcast_to(&self, dims: &[i64]) -> Option<Self> {
        let added = dims.len().checked_sub(self.dims.len())?;
        let mut strides = vec![0; added];
        for ((own, stride), wanted) in self.dims.iter().zip(&self.strides).zip(&dims[added..]) {
            match *own {
                own if own == *wanted => strides.push(*stride),
                1 => strides.push(0),
                _ => return None,
            }
        }
        Some(Self { dtype: self.dtype, dims: dims.to_vec(), strides, data: self.data })
    }
}

/// Iterates as [`View::offsets`] says.
pub(crate) struct Offsets<'a> {
    view: &'a View,
    index: Vec<i64>,
    offset: i64,
    left: usize,
    is_contiguous: bool,
}

impl Iterator for Offsets<'_> {
    type Item = isize;

    fn next(&mut self) -> Option<isize> {
        self.left = self.left.checked_sub(1)?;
        let offset = self.offset;
        if self.is_contiguous {
            self.offset += 1;
            return Some(offset as isize);
        }
        for axis in (0..self.index.len()).rev() {
            self.index[axis] += 1;
            self.offset += self.view.strides[axis];
            if self.index[axis] < self.view.dims[axis] {
                break;
            }
            self.offset -= self.view.strides[axis] * self.view.dims[axis];
            self.index[axis] = 0;
        }
        Some(offset as isize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Offsets<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(dims: &[i64], strides: &[i64]) -> View {
        View {
            dtype: aclDataType::FLOAT,
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            data: core::ptr::null_mut(),
        }
    }

    #[test]
    fn dense_views_count_up() {
        let dense = view(&[2, 3], &[3, 1]);
        assert!(dense.is_contiguous());
        assert_eq!(dense.offsets().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_transposed_view_goes_down_the_columns() {
        let transposed = view(&[3, 2], &[1, 3]);
        assert!(!transposed.is_contiguous());
        assert_eq!(transposed.offsets().collect::<Vec<_>>(), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn a_scalar_has_one_element_and_an_empty_view_none() {
        assert_eq!(view(&[], &[]).offsets().collect::<Vec<_>>(), [0]);
        assert_eq!(view(&[2, 0], &[0, 1]).offsets().len(), 0);
    }

    #[test]
    fn broadcasting_repeats_with_stride_zero() {
        let row = view(&[1, 3], &[3, 1]).broadcast_to(&[2, 2, 3]).expect("fits");
        assert_eq!(row.strides, [0, 0, 1]);
        assert_eq!(row.offsets().collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert!(view(&[2], &[1]).broadcast_to(&[3]).is_none());
        assert!(view(&[2, 2], &[2, 1]).broadcast_to(&[2]).is_none());
    }

    #[test]
    fn an_axis_of_one_may_have_any_stride() {
        assert!(view(&[2, 1, 3], &[3, 77, 1]).is_contiguous());
        assert_eq!(contiguous_strides(&[2, 1, 3]), [3, 3, 1]);
    }
}
