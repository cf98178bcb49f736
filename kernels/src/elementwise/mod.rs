//! Operations on each element by itself: unary, binary with broadcasting, comparisons, logic and selection. The
//! definitions are in `spec.md`.
//!
//! Broadcasting is described by a [`Strided`] walk over the output with the operands' shapes, made once by
//! [`Strided::broadcast`].

mod binary;
mod compare;
mod integer;
mod unary;

pub use binary::{Binary, binary};
pub use compare::{Comparison, Logical, compare, logical, logical_not, select};
pub use integer::{BinaryInteger, Integer, IntegerError, binary_integer};
pub use unary::{Unary, unary, unary_in_place};

pub use crate::movement::Strided;

/// Holds the lengths of slices to the walk that joins them.
macro_rules! check_lengths {
    ($walk:expr, $out:expr, $($operand:expr),+) => {{
        let mut position = 0;
        $(
            assert_eq!($operand.len(), $walk.source_len(position), "operand {position} has the shape of its walk");
            position += 1;
        )+
        let _ = position;
        assert_eq!($out.len(), $walk.len(), "out has the shape of its walk");
    }};
}
use check_lengths;

#[cfg(test)]
mod tests;
