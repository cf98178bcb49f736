//! Errors that more than one file of the backend makes.

use lockstep_hal::Error;
use lockstep_hal::graph::Op;

/// An op that the device never claimed, in a program from elsewhere.
pub(crate) fn unclaimed(op: &Op) -> Error {
    Error::program(format!("{op} was compiled for Ascend, which does not run it"))
}
