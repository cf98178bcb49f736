//! Reads and writes the elements of a view block by block, in row-major order, converted to and from the type
//! that is computed in.
//!
//! Elements go through small buffers on the stack: no reference into device memory ever exists, so a program
//! that writes the same memory on two streams gets garbage, as on the device, and nothing worse.

use crate::meta::executor::Fault;
use crate::numerics::storage::{Element, Storage, with_storage};
use crate::numerics::{Number, Rounding};
use crate::view::View;
use core::ptr;

/// Elements that are converted at a time.
const CHUNK: usize = 256;

/// A view, ready to be read and written.
pub(crate) struct Access {
    element: Element,
    /// Extents and strides without axes of one element; axes that lie densely in each other are merged.
    axes: Vec<(usize, isize)>,
    data: *mut u8,
    count: usize,
    rounding: Rounding,
}

impl Access {
    /// # Errors
    /// 507018 for element types that no kernel takes, which phase 1 refuses.
    pub(crate) fn of(view: &View, rounding: Rounding) -> Result<Self, Fault> {
        let element = Element::of(view.dtype)
            .ok_or_else(|| Fault::new(507_018, format!("no kernel takes {:?}", view.dtype)))?;
        let mut axes: Vec<(usize, isize)> = Vec::new();
        for (&dim, &stride) in view.dims.iter().zip(&view.strides) {
            let (dim, stride) = (dim as usize, stride as isize);
            match axes.last_mut() {
                _ if dim == 1 => {}
                Some(outer) if outer.1 == stride.wrapping_mul(dim as isize) => {
                    *outer = (outer.0.saturating_mul(dim), stride);
                }
                _ => axes.push((dim, stride)),
            }
        }
        Ok(Self { element, axes, data: view.data, count: view.count(), rounding })
    }

    /// The view's elements as unsigned integers of their size, for moving them as they are through i64.
    ///
    /// # Errors
    /// As for [`Access::of`].
    pub(crate) fn of_bits(view: &View) -> Result<Self, Fault> {
        let mut access = Self::of(view, Rounding::default())?;
        access.element = match access.element.size() {
            1 => Element::U8,
            2 => Element::U16,
            4 => Element::U32,
            _ => Element::U64,
        };
        Ok(access)
    }

    /// Elements.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Reads the elements from number `start` on.
    pub(crate) fn load<C: Number>(&self, start: usize, into: &mut [C]) {
        with_storage!(self.element, T => {
            let mut chunk = [T::default(); CHUNK];
            for (index, into) in into.chunks_mut(CHUNK).enumerate() {
                let chunk = &mut chunk[..into.len()];
                self.load_bits(start + index * CHUNK, chunk);
                self.rounding.apply_to_operands(chunk);
                T::read_all(chunk, into);
            }
        });
    }

    /// All elements.
    pub(crate) fn all<C: Number>(&self) -> Vec<C> {
        let mut values = vec![C::ZERO; self.count];
        self.load(0, &mut values);
        values
    }

    /// Rounds and writes the elements from number `start` on.
    pub(crate) fn store<C: Number>(&self, start: usize, from: &[C]) {
        with_storage!(self.element, T => {
            let mut chunk = [T::default(); CHUNK];
            for (index, from) in from.chunks(CHUNK).enumerate() {
                let chunk = &mut chunk[..from.len()];
                T::write_all(from, chunk);
                self.rounding.apply(chunk);
                self.store_bits(start + index * CHUNK, chunk);
            }
        });
    }

    /// Reads elements of `T`'s size as they are.
    fn load_bits<T: Copy>(&self, start: usize, into: &mut [T]) {
        let data = self.data.cast::<T>();
        let mut done = 0;
        self.runs(start, into.len(), |offset, stride, len| {
            let into = &mut into[done..done + len];
            // SAFETY: the launch promises that the view's memory is allocated and holds its elements; these are
            // some of them, and any bits are a `T`.
            unsafe {
                let from = data.offset(offset);
                match stride {
                    1 => ptr::copy_nonoverlapping(
                        from.cast::<u8>(),
                        into.as_mut_ptr().cast(),
                        size_of_val(into),
                    ),
                    0 => into.fill(from.read_unaligned()),
                    _ => {
                        for (i, into) in into.iter_mut().enumerate() {
                            *into = from.offset(i as isize * stride).read_unaligned();
                        }
                    }
                }
            }
            done += len;
        });
    }

    /// Writes elements of `T`'s size as they are.
    fn store_bits<T: Copy>(&self, start: usize, from: &[T]) {
        let data = self.data.cast::<T>();
        let mut done = 0;
        self.runs(start, from.len(), |offset, stride, len| {
            let from = &from[done..done + len];
            // SAFETY: as for `load_bits`.
            unsafe {
                let into = data.offset(offset);
                if stride == 1 {
                    ptr::copy_nonoverlapping(from.as_ptr().cast(), into.cast::<u8>(), size_of_val(from));
                } else {
                    for (i, from) in from.iter().enumerate() {
                        into.offset(i as isize * stride).write_unaligned(*from);
                    }
                }
            }
            done += len;
        });
    }

    /// Calls `run(offset, stride, length)` for elements that lie evenly spaced, `count` from number `start` on.
    fn runs(&self, start: usize, count: usize, mut run: impl FnMut(isize, isize, usize)) {
        let Some((&(inner, stride), outer)) = self.axes.split_last() else {
            if count > 0 {
                run(0, 1, 1);
            }
            return;
        };
        if count == 0 {
            return;
        }
        let (mut row, mut column, mut left) = (start / inner, start % inner, count);
        while left > 0 {
            let mut offset = column as isize * stride;
            let mut rest = row;
            for &(dim, stride) in outer.iter().rev() {
                offset += (rest % dim) as isize * stride;
                rest /= dim;
            }
            let len = left.min(inner - column);
            run(offset, stride, len);
            left -= len;
            column = 0;
            row += 1;
        }
    }
}

/// Copies elements as they are, bit for bit, in row-major order; both views have as many, of one size.
///
/// # Errors
/// As for [`Access::of`].
pub(crate) fn copy_elements(from: &View, to: &View) -> Result<(), Fault> {
    let (from, to) = (Access::of(from, Rounding::default())?, Access::of(to, Rounding::default())?);
    match from.element.size() {
        1 => copy_bits::<u8>(&from, &to),
        2 => copy_bits::<u16>(&from, &to),
        4 => copy_bits::<u32>(&from, &to),
        _ => copy_bits::<u64>(&from, &to),
    }
    Ok(())
}

fn copy_bits<T: Copy + Default>(from: &Access, to: &Access) {
    let mut block = [T::default(); 4 * CHUNK];
    let mut start = 0;
    while start < from.count.min(to.count) {
        let len = block.len().min(from.count - start);
        from.load_bits(start, &mut block[..len]);
        to.store_bits(start, &block[..len]);
        start += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_ascend_abi::aclDataType;

    fn view(data: &mut [f32], dims: &[i64], strides: &[i64]) -> View {
        View {
            dtype: aclDataType::FLOAT,
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            data: data.as_mut_ptr().cast(),
        }
    }

    fn read(view: &View) -> Vec<f32> {
        let access = Access::of(view, Rounding::default()).expect("f32");
        let mut all = vec![0f32; access.count()];
        access.load(0, &mut all);
        // In pieces it must be the same.
        for len in [1, 3, 7] {
            for start in (0..all.len()).step_by(len) {
                let mut piece = vec![0f32; len.min(all.len() - start)];
                access.load(start, &mut piece);
                assert_eq!(piece, all[start..start + piece.len()]);
            }
        }
        all
    }

    #[test]
    fn views_are_read_in_row_major_order() {
        let mut data: Vec<f32> = (0..24).map(|i| i as f32).collect();
        for (dims, strides) in [
            (&[2, 3, 4][..], &[12, 4, 1][..]),
            (&[4, 3, 2], &[1, 4, 12]),
            (&[3, 2, 4], &[4, 12, 1]),
            (&[2, 5, 3], &[3, 0, 1]),
            (&[3, 4], &[1, 0]),
            (&[6], &[-1]),
            (&[], &[]),
            (&[2, 0], &[1, 1]),
        ] {
            let start = if strides.iter().any(|stride| *stride < 0) { 5 } else { 0 };
            let seen = view(&mut data[start..], dims, strides);
            let expected: Vec<f32> = seen.offsets().map(|offset| (start as isize + offset) as f32).collect();
            assert_eq!(read(&seen), expected, "{dims:?} {strides:?}");
        }
    }

    #[test]
    fn more_than_a_chunk_is_read_and_written_in_order() {
        let mut from: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        let mut to = vec![0f32; 3000];
        let transposed = view(&mut from, &[30, 100], &[1, 30]);
        copy_elements(&transposed, &view(&mut to, &[3000], &[1])).expect("f32");
        assert_eq!(to, read(&transposed));
        copy_elements(&view(&mut to, &[30, 100], &[100, 1]), &transposed).expect("f32");
        assert_eq!(from, (0..3000).map(|i| i as f32).collect::<Vec<_>>());
    }

    #[test]
    fn flushing_and_saturating_touch_what_is_subnormal_or_not_finite() {
        let mut data = [1e-40f32, 1.0, -1e-40];
        let rounding = Rounding { flush_subnormals: true, saturate: false };
        let access = Access::of(&view(&mut data, &[3], &[1]), rounding).expect("f32");
        let mut values = [9f64; 3];
        access.load(0, &mut values);
        assert_eq!(values, [0.0, 1.0, 0.0]);
        let mut halves = [0u16; 4];
        let half_view = View {
            dtype: aclDataType::FLOAT16,
            dims: vec![4],
            strides: vec![1],
            data: halves.as_mut_ptr().cast(),
        };
        let rounding = Rounding { flush_subnormals: true, saturate: true };
        Access::of(&half_view, rounding)
            .expect("f16")
            .store(0, &[1e5f32, f32::NEG_INFINITY, f32::NAN, -1e-6]);
        assert_eq!(halves, [0x7bff, 0xfbff, 0, 0x8000]);
    }
}
