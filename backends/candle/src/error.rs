//! candle's errors and panics as the seam's.

use lockstep_hal::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// candle gives no code with its errors.
const NO_CODE: i64 = -1;

/// What stops a kernel: a complaint of candle, or an error that is already the seam's.
#[derive(Debug)]
pub(crate) enum Fault {
    Candle(candle_core::Error),
    Seam(Error),
}

impl From<candle_core::Error> for Fault {
    fn from(error: candle_core::Error) -> Self {
        Fault::Candle(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Seam(error)
    }
}

impl From<lockstep_hal::tensor::Error> for Fault {
    fn from(error: lockstep_hal::tensor::Error) -> Self {
        Fault::Seam(error.into())
    }
}

/// Runs `body`, which may call candle; its errors and panics become [`Error::Device`] at `node`.
pub(crate) fn guarded<T>(
    node: &str,
    call: &str,
    body: impl FnOnce() -> std::result::Result<T, Fault>,
) -> Result<T> {
    let failed = |driver_text: String| Error::Device {
        device: crate::device::DEVICE.to_owned(),
        node: node.to_owned(),
        call: call.to_owned(),
        code: NO_CODE,
        driver_text,
    };
    // Tensors are immutable and a panicking kernel's result is lost, so nothing half-done survives.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Fault::Seam(error))) => Err(error),
        Ok(Err(Fault::Candle(error))) => Err(failed(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(failed(format!("candle panicked: {text}")))
        }
    }
}

/// An index that does not lie in its axis.
pub(crate) fn index_out_of_range(node: &str, position: usize, index: i64, limit: usize) -> Error {
    Error::value(node, format!("index[{position}] is {index}, must be at least 0 and below {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_node_and_call() {
        let error = guarded::<()>("encoder.0", "MatMul", || panic!("index {} out of bounds", 7)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("MatMul failed at encoder.0") && text.contains("index 7 out of bounds"),
            "{text}"
        );
    }
}
