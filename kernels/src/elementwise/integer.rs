//! Functions of two integers, with broadcasting.

use std::fmt;

use super::{Strided, check_lengths};
use crate::movement::Run;
use crate::{Parallel, pieces};

/// A function of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryInteger {
    /// `a + b`, wrapping.
    Add,
    /// `a - b`, wrapping.
    Sub,
    /// `a * b`, wrapping.
    Mul,
    /// `a / b`, rounded toward zero; the smallest integer by -1 wraps to itself.
    Div,
    /// The larger.
    Max,
    /// The smaller.
    Min,
    /// `a` to the power `b`, wrapping; `b` is not negative and fits u32.
    Pow,
}

/// An operand for which an integer operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntegerError {
    /// A divisor is 0.
    DivisionByZero {
        /// Where in `b`; the first such.
        position: usize,
    },
    /// An exponent is negative or above u32.
    ExponentOutOfRange {
        /// Where in `b`; the first such.
        position: usize,
    },
}

impl fmt::Display for IntegerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DivisionByZero { position } => {
                write!(f, "integer division by zero: the divisor at position {position} is 0")
            }
            Self::ExponentOutOfRange { position } => {
                write!(f, "the exponent at position {position} is outside 0..2^32: no integer power")
            }
        }
    }
}

impl std::error::Error for IntegerError {}

/// An integer that tensors hold: i32 or i64. All arithmetic wraps.
pub trait Integer: Copy + Ord + Send + Sync + 'static {
    /// Zero.
    const ZERO: Self;
    /// The smallest value.
    const MIN: Self;
    /// The largest value.
    const MAX: Self;
    /// `self + other`.
    fn wrapping_add(self, other: Self) -> Self;
    /// `self - other`.
    fn wrapping_sub(self, other: Self) -> Self;
    /// `self * other`.
    fn wrapping_mul(self, other: Self) -> Self;
    /// `self / other` toward zero; zero if `other` is.
    fn wrapping_div_or_zero(self, other: Self) -> Self;
    /// `self` to a power.
    fn wrapping_pow(self, exponent: u32) -> Self;
    /// The value as an exponent, if it can be one.
    fn to_exponent(self) -> Option<u32>;
}

macro_rules! integer {
    ($($type:ty),+) => {$(
        impl Integer for $type {
            const ZERO: Self = 0;
            const MIN: Self = <$type>::MIN;
            const MAX: Self = <$type>::MAX;
            #[inline(always)]
            fn wrapping_add(self, other: Self) -> Self {
                <$type>::wrapping_add(self, other)
            }
            #[inline(always)]
            fn wrapping_sub(self, other: Self) -> Self {
                <$type>::wrapping_sub(self, other)
            }
            #[inline(always)]
            fn wrapping_mul(self, other: Self) -> Self {
                <$type>::wrapping_mul(self, other)
            }
            #[inline(always)]
            fn wrapping_div_or_zero(self, other: Self) -> Self {
                if other == 0 { 0 } else { <$type>::wrapping_div(self, other) }
            }
            #[inline(always)]
            fn wrapping_pow(self, exponent: u32) -> Self {
                <$type>::wrapping_pow(self, exponent)
            }
            #[inline(always)]
            fn to_exponent(self) -> Option<u32> {
                u32::try_from(self).ok()
            }
        }
    )+};
}

integer!(i32, i64);

/// `out = op(a, b)` on i32 or i64; `walk` from [`Strided::broadcast`] with the shapes of out, a and b.
///
/// # Errors
/// [`IntegerError`] if `b` holds a divisor of 0 or an impossible exponent; `out` is then untouched.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn binary_integer<T: Integer>(
    pool: &dyn Parallel,
    op: BinaryInteger,
    walk: &Strided<2>,
    a: &[T],
    b: &[T],
    out: &mut [T],
) -> Result<(), IntegerError> {
    check_lengths!(walk, out, a, b);
    if out.is_empty() {
        return Ok(());
    }
    match op {
        BinaryInteger::Add => apply(pool, walk, a, b, out, T::wrapping_add),
        BinaryInteger::Sub => apply(pool, walk, a, b, out, T::wrapping_sub),
        BinaryInteger::Mul => apply(pool, walk, a, b, out, T::wrapping_mul),
        BinaryInteger::Max => apply(pool, walk, a, b, out, T::max),
        BinaryInteger::Min => apply(pool, walk, a, b, out, T::min),
        BinaryInteger::Div => {
            if let Some(position) = b.iter().position(|&divisor| divisor == T::ZERO) {
                return Err(IntegerError::DivisionByZero { position });
            }
            apply(pool, walk, a, b, out, T::wrapping_div_or_zero);
        }
        BinaryInteger::Pow => {
            if let Some(position) = b.iter().position(|exponent| exponent.to_exponent().is_none()) {
                return Err(IntegerError::ExponentOutOfRange { position });
            }
            apply(pool, walk, a, b, out, |a: T, b: T| a.wrapping_pow(b.to_exponent().unwrap_or(0)));
        }
    }
    Ok(())
}

/// `out = function(a, b)` over a broadcast walk, one element at a time.
pub(super) fn apply<A: Copy + Sync, B: Copy + Sync, C: Send>(
    pool: &dyn Parallel,
    walk: &Strided<2>,
    a: &[A],
    b: &[B],
    out: &mut [C],
    function: impl Fn(A, B) -> C + Sync,
) {
    pieces::elements(pool, out, &|range, out| {
        for Run { at, length, starts, strides } in walk.runs(range.start, range.end) {
            let out = &mut out[at - range.start..][..length];
            // Loops with known strides become vectors.
            match strides {
                [1, 1] => {
                    let (a, b) = (&a[starts[0]..][..length], &b[starts[1]..][..length]);
                    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                        *out = function(a, b);
                    }
                }
                [1, 0] => {
                    let (a, b) = (&a[starts[0]..][..length], b[starts[1]]);
                    for (out, &a) in out.iter_mut().zip(a) {
                        *out = function(a, b);
                    }
                }
                [0, 1] => {
                    let (a, b) = (a[starts[0]], &b[starts[1]..][..length]);
                    for (out, &b) in out.iter_mut().zip(b) {
                        *out = function(a, b);
                    }
                }
                _ => {
                    for (index, out) in out.iter_mut().enumerate() {
                        *out = function(a[starts[0] + index * strides[0]], b[starts[1] + index * strides[1]]);
                    }
                }
            }
        }
    });
}
