//! Custom ops: by the reference that each brings.

use super::cast::cast;
use crate::buffer::ReferenceTensor;
use lockstep_hal::graph::Custom;
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{Error, Operand, Result};

/// Runs the op's reference on f64 (integers and truth values as they are) and rounds what it gives to the declared
/// dtypes.
pub(super) fn run(
    node: &str,
    custom: &Custom,
    inputs: &[ReferenceTensor],
    outputs: &[&Operand],
) -> Result<Vec<ReferenceTensor>> {
    let wrong = |reason: String| Error::value(node, format!("custom op `{}`: {reason}", custom.name()));
    let implementation = custom.implementation().ok_or_else(|| wrong("has no implementation".to_owned()))?;
    let inputs = inputs.iter().map(|input| input.to_host(DType::F64)).collect::<Result<Vec<HostTensor>>>()?;
    let given = implementation.reference(&inputs).map_err(wrong)?;
    if given.len() != outputs.len() {
        return Err(wrong(format!(
            "its reference gives {} outputs, its shape rule {}",
            given.len(),
            outputs.len()
        )));
    }
    given
        .iter()
        .zip(outputs)
        .enumerate()
        .map(|(at, (given, output))| {
            if given.shape() != output.shape || given.dtype().is_float() != output.dtype.is_float() {
                return Err(wrong(format!(
                    "its reference gives output {at} as {}{:?}, its shape rule says {}{:?}",
                    given.dtype(),
                    given.shape(),
                    output.dtype,
                    output.shape
                )));
            }
            let given = ReferenceTensor::from_host(given)?;
            let values = cast(&given, output.dtype)?;
            Ok(ReferenceTensor { dtype: output.dtype, shape: given.shape, values })
        })
        .collect()
}
