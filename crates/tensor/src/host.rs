//! Tensors in host memory.

use crate::narrow::{to_bf16, to_f16};
use crate::{AlignedBytes, Bytes, DType, Element, Error, Result, element_count};
use half::{bf16, f16};

/// An immutable, contiguous, row-major tensor in host memory; cheap to clone.
#[derive(Clone, Debug)]
pub struct HostTensor {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Bytes,
}

impl HostTensor {
    /// A tensor over existing bytes, in native (little-endian) order.
    ///
    /// # Errors
    /// [`Error::Size`] if the bytes do not fill the shape, [`Error::TooLarge`] if the shape overflows.
    pub fn from_bytes(dtype: DType, shape: &[usize], bytes: Bytes) -> Result<Self> {
        let expected = byte_count(dtype, shape)?;
        let actual = bytes.as_slice().len();
        if expected != actual {
            return Err(Error::Size { dtype, shape: shape.to_vec(), expected, actual });
        }
        let aligned = (bytes.as_slice().as_ptr() as usize).is_multiple_of(dtype.size());
        let bytes = if aligned { bytes } else { Bytes::owned(AlignedBytes::copy_of(bytes.as_slice())) };
        Ok(Self { dtype, shape: shape.to_vec(), bytes })
    }

    /// A tensor holding a copy of `data`; its dtype is `T`'s.
    ///
    /// # Errors
    /// As [`HostTensor::from_bytes`].
    pub fn from_slice<T: Element>(shape: &[usize], data: &[T]) -> Result<Self> {
        let bytes = AlignedBytes::copy_of(bytemuck::cast_slice(data));
        Self::from_bytes(T::DTYPE, shape, Bytes::owned(bytes))
    }

    /// A truth-value tensor.
    ///
    /// # Errors
    /// As [`HostTensor::from_bytes`].
    pub fn from_bools(shape: &[usize], data: &[bool]) -> Result<Self> {
        let bytes: Vec<u8> = data.iter().map(|&b| u8::from(b)).collect();
        Self::from_bytes(DType::Bool, shape, Bytes::owned(AlignedBytes::copy_of(&bytes)))
    }

    /// A tensor of no axes holding one value.
    pub fn scalar<T: Element>(value: T) -> Self {
        let bytes = Bytes::owned(AlignedBytes::copy_of(bytemuck::bytes_of(&value)));
        Self { dtype: T::DTYPE, shape: Vec::new(), bytes }
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the shape overflows.
    pub fn zeros(dtype: DType, shape: &[usize]) -> Result<Self> {
        let bytes = Bytes::owned(AlignedBytes::zeroed(byte_count(dtype, shape)?));
        Ok(Self { dtype, shape: shape.to_vec(), bytes })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many elements it holds.
    pub fn element_count(&self) -> usize {
        element_count(&self.shape)
    }

    /// The raw bytes, row-major, native order.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The elements, without a copy.
    ///
    /// # Errors
    /// [`Error::DType`] if `T` does not view this dtype.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        if !T::views(self.dtype) {
            return Err(Error::DType { expected: T::DTYPE, actual: self.dtype });
        }
        Ok(bytemuck::cast_slice(self.bytes()))
    }

    /// The same elements in another shape of the same count.
    ///
    /// # Errors
    /// [`Error::Size`] if the counts differ.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self> {
        Self::from_bytes(self.dtype, shape, self.bytes.clone())
    }

    /// Every element as f64 (exact but for i64 beyond 2^53).
    pub fn to_f64(&self) -> Vec<f64> {
        fn all<T: Element>(tensor: &HostTensor, convert: impl Fn(T) -> f64) -> Vec<f64> {
            bytemuck::cast_slice::<u8, T>(tensor.bytes()).iter().map(|&x| convert(x)).collect()
        }
        match self.dtype {
            DType::F64 => all::<f64>(self, |x| x),
            DType::F32 => all::<f32>(self, f64::from),
            DType::F16 => all::<f16>(self, f64::from),
            DType::Bf16 => all::<bf16>(self, f64::from),
            DType::I64 => all::<i64>(self, |x| x as f64),
            DType::I32 => all::<i32>(self, f64::from),
            DType::I8 => all::<i8>(self, f64::from),
            DType::U8 | DType::Bool => all::<u8>(self, f64::from),
        }
    }

    /// A tensor of `dtype` from f64 values: floats round to nearest even, integers truncate toward zero and saturate
    /// (NaN gives 0), truth values are `!= 0`.
    ///
    /// # Errors
    /// As [`HostTensor::from_bytes`].
    pub fn from_f64(dtype: DType, shape: &[usize], data: &[f64]) -> Result<Self> {
        fn all<T: Element>(shape: &[usize], data: &[f64], convert: impl Fn(f64) -> T) -> Result<HostTensor> {
            let data: Vec<T> = data.iter().map(|&x| convert(x)).collect();
            HostTensor::from_slice(shape, &data)
        }
        match dtype {
            DType::F64 => all(shape, data, |x| x),
            DType::F32 => all(shape, data, |x| x as f32),
            DType::F16 => all(shape, data, to_f16),
            DType::Bf16 => all(shape, data, to_bf16),
            DType::I64 => all(shape, data, |x| x as i64),
            DType::I32 => all(shape, data, |x| x as i32),
            DType::I8 => all(shape, data, |x| x as i8),
            DType::U8 => all(shape, data, |x| x as u8),
            DType::Bool => Self::from_bools(shape, &data.iter().map(|&x| x != 0.0).collect::<Vec<_>>()),
        }
    }

    /// The same values in another dtype, converted as [`HostTensor::from_f64`] says; integer to integer keeps
    /// the low bits.
    ///
    /// # Errors
    /// As [`HostTensor::from_bytes`].
    pub fn cast(&self, dtype: DType) -> Result<Self> {
        if dtype == self.dtype {
            return Ok(self.clone());
        }
        if self.dtype.is_integer() && dtype.is_integer() {
            return self.low_bits(dtype);
        }
        // Piece by piece, so that a large weight needs no f64 copy of itself.
        let mut cast = AlignedBytes::zeroed(byte_count(dtype, &self.shape)?);
        let pieces = self.bytes().chunks(CAST_PIECE * self.dtype.size());
        for (from, to) in pieces.zip(cast.as_mut_slice().chunks_mut(CAST_PIECE * dtype.size())) {
            let count = from.len() / self.dtype.size();
            let piece = Self::from_bytes(self.dtype, &[count], Bytes::owned(AlignedBytes::copy_of(from)))?;
            to.copy_from_slice(Self::from_f64(dtype, &[count], &piece.to_f64())?.bytes());
        }
        Self::from_bytes(dtype, &self.shape, Bytes::owned(cast))
    }

    /// Integers in another integer dtype: a wider one holds them, a narrower one their low bits.
    fn low_bits(&self, dtype: DType) -> Result<Self> {
        fn wide<T: Element + Into<i64>>(tensor: &HostTensor) -> Result<Vec<i64>> {
            Ok(tensor.as_slice::<T>()?.iter().map(|&x| x.into()).collect())
        }
        let values = match self.dtype {
            DType::I64 => wide::<i64>(self)?,
            DType::I32 => wide::<i32>(self)?,
            DType::I8 => wide::<i8>(self)?,
            _ => wide::<u8>(self)?,
        };
        match dtype {
            DType::I64 => Self::from_slice(&self.shape, &values),
            DType::I32 => {
                Self::from_slice(&self.shape, &values.iter().map(|&x| x as i32).collect::<Vec<_>>())
            }
            DType::I8 => Self::from_slice(&self.shape, &values.iter().map(|&x| x as i8).collect::<Vec<_>>()),
            _ => Self::from_slice(&self.shape, &values.iter().map(|&x| x as u8).collect::<Vec<_>>()),
        }
    }
}

/// Elements that [`HostTensor::cast`] converts at a time.
const CAST_PIECE: usize = 8192;

fn byte_count(dtype: DType, shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(dtype.size(), |product, &extent| product.checked_mul(extent))
        .filter(|&bytes| bytes <= isize::MAX as usize)
        .ok_or_else(|| Error::TooLarge { dtype, shape: shape.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_do_not_fill_the_shape_are_refused() {
        let error = HostTensor::from_slice(&[2, 3], &[1.0f32; 5]).unwrap_err();
        assert!(error.to_string().contains("needs 24 bytes, got 20"), "{error}");
    }

    #[test]
    fn a_shape_that_overflows_is_an_error() {
        assert!(matches!(HostTensor::zeros(DType::F64, &[usize::MAX, 2]), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn unaligned_bytes_are_copied_to_aligned_ones() {
        let mut raw = AlignedBytes::zeroed(9);
        raw.as_mut_slice()[1..9].copy_from_slice(bytemuck::cast_slice(&[1.5f32, -2.0]));
        let all = HostTensor::from_bytes(DType::U8, &[9], Bytes::owned(raw)).unwrap();
        let tail = HostTensor::from_slice::<u8>(&[8], &all.as_slice::<u8>().unwrap()[1..]).unwrap();
        let typed = HostTensor::from_bytes(DType::F32, &[2], tail.bytes).unwrap();
        assert_eq!(typed.as_slice::<f32>().unwrap(), &[1.5, -2.0]);
    }

    #[test]
    fn casts_round_floats_and_truncate_integers() {
        let tensor = HostTensor::from_slice(&[4], &[1.9f64, -1.9, f64::NAN, 1e300]).unwrap();
        assert_eq!(tensor.cast(DType::I32).unwrap().as_slice::<i32>().unwrap(), &[1, -1, 0, i32::MAX]);
        assert_eq!(tensor.cast(DType::F32).unwrap().as_slice::<f32>().unwrap()[3], f32::INFINITY);
        let long: Vec<f32> = (0..20_000).map(|x| x as f32).collect();
        let long = HostTensor::from_slice(&[20_000], &long).unwrap().cast(DType::I32).unwrap();
        assert!(long.as_slice::<i32>().unwrap().iter().copied().eq(0..20_000));
        let wide = HostTensor::from_slice(&[1], &[i64::MAX]).unwrap();
        assert_eq!(wide.cast(DType::I32).unwrap().as_slice::<i32>().unwrap(), &[-1]);
    }
}
