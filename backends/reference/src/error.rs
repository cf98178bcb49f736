//! What the kernels complain about: values that an op cannot take. The seam's [`Error`] is the only error type here.

use lockstep_hal::Error;
use lockstep_hal::graph::{DType, Op};

/// An index that does not lie in its axis.
pub(crate) fn index_out_of_range(node: &str, position: usize, index: i64, limit: usize) -> Error {
    Error::value(node, format!("index[{position}] is {index}, must be at least 0 and below {limit}"))
}

/// Element `position` of the output would divide an integer by zero.
pub(crate) fn divided_by_zero(node: &str, position: usize) -> Error {
    Error::value(
        node,
        format!("element {position} divides an integer by zero; cast to a float to get an infinity"),
    )
}

/// Element `position` of the output would raise an integer to a negative power.
pub(crate) fn negative_power(node: &str, position: usize, exponent: i64) -> Error {
    let reason =
        format!("element {position} raises an integer to the power {exponent}; cast to a float first");
    Error::value(node, reason)
}

/// An op on a dtype that shape inference does not let through.
pub(crate) fn undefined(node: &str, op: &Op, dtype: DType) -> Error {
    Error::program(format!("{node}: {op} is not defined for {dtype}"))
}
