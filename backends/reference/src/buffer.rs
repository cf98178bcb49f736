//! The oracle's tensors: f64 whatever the float dtype, i64 whatever the integer dtype.

use lockstep_hal::Result;
use lockstep_hal::tensor::{DType, HostTensor};
use std::sync::Arc;

/// The elements of a tensor, row-major. What a narrower dtype cannot hold never gets in here: casts round, integer
/// arithmetic wraps.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Float(Arc<Vec<f64>>),
    Integer(Arc<Vec<i64>>),
    Truth(Arc<Vec<bool>>),
}

impl Values {
    pub(crate) fn floats(values: Vec<f64>) -> Self {
        Values::Float(Arc::new(values))
    }

    pub(crate) fn integers(values: Vec<i64>) -> Self {
        Values::Integer(Arc::new(values))
    }

    pub(crate) fn truths(values: Vec<bool>) -> Self {
        Values::Truth(Arc::new(values))
    }

    /// The elements at `offsets`, in that order.
    pub(crate) fn pick(&self, offsets: impl Iterator<Item = usize>) -> Self {
        match self {
            Values::Float(values) => Values::floats(offsets.map(|at| values[at]).collect()),
            Values::Integer(values) => Values::integers(offsets.map(|at| values[at]).collect()),
            Values::Truth(values) => Values::truths(offsets.map(|at| values[at]).collect()),
        }
    }

    /// All elements as f64; truth values are 0 and 1.
    pub(crate) fn to_f64(&self) -> Arc<Vec<f64>> {
        match self {
            Values::Float(values) => values.clone(),
            Values::Integer(values) => Arc::new(values.iter().map(|&x| x as f64).collect()),
            Values::Truth(values) => Arc::new(values.iter().map(|&x| f64::from(u8::from(x))).collect()),
        }
    }
}

/// A tensor of the oracle; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ReferenceTensor {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

impl ReferenceTensor {
    /// The host's tensor, exactly.
    pub(crate) fn from_host(tensor: &HostTensor) -> Result<Self> {
        let values = match tensor.dtype() {
            DType::F64 | DType::F32 | DType::F16 | DType::Bf16 => Values::floats(tensor.to_f64()),
            DType::I64 => Values::integers(tensor.as_slice::<i64>()?.to_vec()),
            DType::I32 => Values::integers(tensor.as_slice::<i32>()?.iter().map(|&x| x.into()).collect()),
            DType::I8 => Values::integers(tensor.as_slice::<i8>()?.iter().map(|&x| x.into()).collect()),
            DType::U8 => Values::integers(tensor.as_slice::<u8>()?.iter().map(|&x| x.into()).collect()),
            DType::Bool => Values::truths(tensor.as_slice::<u8>()?.iter().map(|&x| x != 0).collect()),
        };
        Ok(Self { dtype: tensor.dtype(), shape: tensor.shape().to_vec(), values })
    }

    /// The same tensor in the host's form; floats as `float`.
    pub(crate) fn to_host(&self, float: DType) -> Result<HostTensor> {
        Ok(match &self.values {
            Values::Float(values) => HostTensor::from_f64(float, &self.shape, values)?,
            Values::Truth(values) => HostTensor::from_bools(&self.shape, values)?,
            Values::Integer(values) if self.dtype == DType::I64 => {
                HostTensor::from_slice(&self.shape, values)?
            }
            // Narrower integers are exact in f64.
            Values::Integer(_) => HostTensor::from_f64(self.dtype, &self.shape, &self.values.to_f64())?,
        })
    }

    /// The same elements in another shape of as many.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), ..self.clone() }
    }
}
