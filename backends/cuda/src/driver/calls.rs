//! What the driver answers, as errors that name node and call; and whether the device is lost.

use cudarc::driver::result::DriverError;
use cudarc::driver::sys::CUresult;
use lockstep_hal::{Error, Result};
use std::sync::{Mutex, PoisonError};

/// Turns answers into errors for one device, and remembers the first that no context survives.
#[derive(Debug)]
pub(super) struct Calls {
    device: String,
    lost: Mutex<Option<String>>,
}

/// After these the context, and all that was allocated in it, is of no use any more.
fn ends_the_context(code: CUresult) -> bool {
    use CUresult::*;
    matches!(
        code,
        CUDA_ERROR_ECC_UNCORRECTABLE
            | CUDA_ERROR_ILLEGAL_ADDRESS
            | CUDA_ERROR_LAUNCH_TIMEOUT
            | CUDA_ERROR_ASSERT
            | CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUDA_ERROR_MISALIGNED_ADDRESS
            | CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUDA_ERROR_INVALID_PC
            | CUDA_ERROR_LAUNCH_FAILED
            | CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUDA_ERROR_DEVICE_UNAVAILABLE
            | CUDA_ERROR_DEINITIALIZED
            | CUDA_ERROR_UNKNOWN
    )
}

impl Calls {
    pub(super) fn new(device: &str) -> Self {
        Self { device: device.to_owned(), lost: Mutex::new(None) }
    }

    /// Refuses to go on with a device that is lost.
    pub(super) fn alive(&self, node: &str) -> Result<()> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(first) => Err(self.error(
                node,
                "any call",
                CUresult::CUDA_ERROR_CONTEXT_IS_DESTROYED as i64,
                format!("the device was lost ({first}); open it again in a new process. Other devices go on"),
            )),
        }
    }

    /// An answer, with what was being done.
    pub(super) fn check<T>(
        &self,
        node: &str,
        call: &str,
        answer: std::result::Result<T, DriverError>,
    ) -> Result<T> {
        answer.map_err(|error| {
            let text = error
                .error_string()
                .map_or_else(|_| format!("{:?}", error.0), |s| s.to_string_lossy().into());
            if ends_the_context(error.0) {
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                lost.get_or_insert_with(|| format!("{call} at {node}: {text}"));
            }
            self.error(node, call, error.0 as i64, text)
        })
    }

    pub(super) fn error(&self, node: &str, call: &str, code: i64, text: impl Into<String>) -> Error {
        Error::Device {
            device: self.device.clone(),
            node: node.to_owned(),
            call: call.to_owned(),
            code,
            driver_text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_lost_by_faults_and_by_nothing_else() {
        let calls = Calls::new("cuda:0");
        // Text for codes is the driver's, which may not be here: only the bookkeeping is tested.
        assert!(!ends_the_context(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
        assert!(ends_the_context(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
        assert!(calls.alive("node").is_ok());
        *calls.lost.lock().unwrap() = Some("softmax_f32 at encoder.0: an illegal address".into());
        let said = calls.alive("next").unwrap_err().to_string();
        assert!(said.contains("lost (softmax_f32 at encoder.0"), "{said}");
    }
}
