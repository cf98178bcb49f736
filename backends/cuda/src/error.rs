//! Errors that more than one file of the backend makes.

use lockstep_hal::{Error, Step};

/// A step that the device never claimed, in a program from elsewhere.
pub(crate) fn unclaimed(step: &Step) -> Error {
    Error::program(format!("{} ({}) was compiled for CUDA, which does not run it", step.name, step.op))
}
