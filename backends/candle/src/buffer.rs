//! candle's tensors with what was made of them once.

use crate::error::Fault;
use candle_core::{Device, Tensor};
use half::{bf16, f16};
use lockstep_hal::Error;
use lockstep_hal::tensor::{AlignedBytes, Bytes, DType, HostTensor};
use std::sync::{Arc, OnceLock};

type Result<T> = std::result::Result<T, Fault>;

/// A tensor of candle's; cheap to clone. Truth values are `u8`, 0 or 1.
#[derive(Clone, Debug)]
pub(crate) struct CandleTensor {
    pub(crate) tensor: Tensor,
    /// The same values in f32 and in f64. Clones share it, so a stored-narrow weight is converted once for as long as it
    /// is held, by whichever run comes first.
    converted: Arc<[OnceLock<Tensor>; 2]>,
}

impl From<Tensor> for CandleTensor {
    fn from(tensor: Tensor) -> Self {
        Self { tensor, converted: Arc::default() }
    }
}

impl CandleTensor {
    /// The host's tensor, copied. candle has no i8.
    pub(crate) fn from_host(host: &HostTensor) -> Result<Self> {
        let shape = host.shape();
        let tensor = match host.dtype() {
            DType::F64 => Tensor::from_slice(host.as_slice::<f64>()?, shape, &Device::Cpu)?,
            DType::F32 => Tensor::from_slice(host.as_slice::<f32>()?, shape, &Device::Cpu)?,
            DType::F16 => Tensor::from_slice(host.as_slice::<f16>()?, shape, &Device::Cpu)?,
            DType::Bf16 => Tensor::from_slice(host.as_slice::<bf16>()?, shape, &Device::Cpu)?,
            DType::I64 => Tensor::from_slice(host.as_slice::<i64>()?, shape, &Device::Cpu)?,
            DType::I32 => Tensor::from_slice(host.as_slice::<i32>()?, shape, &Device::Cpu)?,
            DType::U8 | DType::Bool => Tensor::from_slice(host.as_slice::<u8>()?, shape, &Device::Cpu)?,
            DType::I8 => return Err(Error::program("candle has no i8 tensors; cast on the host").into()),
        };
        Ok(tensor.into())
    }

    /// The same tensor in the host's form.
    pub(crate) fn to_host(&self, dtype: DType, shape: &[usize]) -> Result<HostTensor> {
        let flat = self.tensor.flatten_all()?;
        Ok(match dtype {
            DType::F64 => HostTensor::from_slice(shape, &flat.to_vec1::<f64>()?)?,
            DType::F32 => HostTensor::from_slice(shape, &flat.to_vec1::<f32>()?)?,
            DType::F16 => HostTensor::from_slice(shape, &flat.to_vec1::<f16>()?)?,
            DType::Bf16 => HostTensor::from_slice(shape, &flat.to_vec1::<bf16>()?)?,
            DType::I64 => HostTensor::from_slice(shape, &flat.to_vec1::<i64>()?)?,
            DType::I32 => HostTensor::from_slice(shape, &flat.to_vec1::<i32>()?)?,
            DType::U8 | DType::Bool => {
                let bytes = Bytes::owned(AlignedBytes::copy_of(&flat.to_vec1::<u8>()?));
                HostTensor::from_bytes(dtype, shape, bytes)?
            }
            DType::I8 => {
                return Err(Error::program("candle has no i8 tensors; cast to another dtype first").into());
            }
        })
    }

    /// The same elements in another shape of as many.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        if self.tensor.dims() == shape {
            return Ok(self.clone());
        }
        Ok(self.tensor.reshape(shape)?.into())
    }

    /// The values in `dtype`, f32 or f64; converted at most once.
    pub(crate) fn as_float(&self, dtype: candle_core::DType) -> Result<Tensor> {
        if self.tensor.dtype() == dtype {
            return Ok(self.tensor.clone());
        }
        let kept = &self.converted[usize::from(dtype == candle_core::DType::F64)];
        if let Some(converted) = kept.get() {
            return Ok(converted.clone());
        }
        let converted = self.tensor.to_dtype(dtype)?;
        Ok(kept.get_or_init(|| converted).clone())
    }
}

/// candle's name of a dtype; `None` for i8.
pub(crate) fn candle_dtype(dtype: DType) -> Option<candle_core::DType> {
    Some(match dtype {
        DType::F64 => candle_core::DType::F64,
        DType::F32 => candle_core::DType::F32,
        DType::F16 => candle_core::DType::F16,
        DType::Bf16 => candle_core::DType::BF16,
        DType::I64 => candle_core::DType::I64,
        DType::I32 => candle_core::DType::I32,
        DType::U8 | DType::Bool => candle_core::DType::U8,
        DType::I8 => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_narrow_weight_is_converted_once() {
        let stored = HostTensor::from_f64(DType::F16, &[2], &[0.5, -2.0]).unwrap();
        let weight = CandleTensor::from_host(&stored).unwrap();
        let first = weight.clone().as_float(candle_core::DType::F32).unwrap();
        let again = weight.as_float(candle_core::DType::F32).unwrap();
        assert_eq!(first.id(), again.id());
        assert_eq!(again.to_vec1::<f32>().unwrap(), [0.5, -2.0]);
        assert_eq!(weight.as_float(candle_core::DType::F64).unwrap().to_vec1::<f64>().unwrap(), [0.5, -2.0]);
    }
}
