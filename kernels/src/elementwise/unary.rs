//! Functions of one float.

use crate::math;
use crate::simd::{LaneFn, Simd, map, map_in_place};
use crate::{Element, Isa, Parallel};

/// A function of one float. Errors are in units in the last place of f32, before the rounding to the storage type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-x`, exact; NaN keeps its payload.
    Neg,
    /// `|x|`, exact.
    Abs,
    /// `e^x`; error as [`math::exp`].
    Exp,
    /// `ln x`; -inf at zero, NaN below; error as [`math::log`].
    Log,
    /// The square root, correctly rounded; NaN below zero.
    Sqrt,
    /// `1 / x`, correctly rounded.
    Reciprocal,
    /// The error function; error as [`math::erf`].
    Erf,
    /// The hyperbolic tangent; error as [`math::tanh`].
    Tanh,
    /// `1 / (1 + e^-x)`; error as [`math::sigmoid`].
    Sigmoid,
    /// `max(x, 0)`; NaN stays NaN, -0 stays -0.
    Relu,
}

macro_rules! lane_fns {
    ($($name:ident = |$simd:ident, $x:ident| $body:expr;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl LaneFn for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $simd: S, $x: S::F32) -> S::F32 {
                $body
            }
        }
    )+};
}

lane_fns! {
    Neg = |simd, x| simd.neg(x);
    Abs = |simd, x| simd.abs(x);
    Exp = |simd, x| math::exp(simd, x);
    Log = |simd, x| math::log(simd, x);
    Sqrt = |simd, x| simd.sqrt(x);
    Reciprocal = |simd, x| simd.div(simd.splat(1.0), x);
    Erf = |simd, x| math::erf(simd, x);
    Tanh = |simd, x| math::tanh(simd, x);
    Sigmoid = |simd, x| math::sigmoid(simd, x);
    // The zero comes first: `max` gives its second operand when either is NaN or both are equal.
    Relu = |simd, x| simd.max(simd.zero(), x);
}

/// Runs `$run` with the lane function that `$op` names.
macro_rules! with_lane_fn {
    ($op:expr, |$function:ident| $run:expr) => {
        match $op {
            Unary::Neg => {
                let $function = Neg;
                $run
            }
            Unary::Abs => {
                let $function = Abs;
                $run
            }
            Unary::Exp => {
                let $function = Exp;
                $run
            }
            Unary::Log => {
                let $function = Log;
                $run
            }
            Unary::Sqrt => {
                let $function = Sqrt;
                $run
            }
            Unary::Reciprocal => {
                let $function = Reciprocal;
                $run
            }
            Unary::Erf => {
                let $function = Erf;
                $run
            }
            Unary::Tanh => {
                let $function = Tanh;
                $run
            }
            Unary::Sigmoid => {
                let $function = Sigmoid;
                $run
            }
            Unary::Relu => {
                let $function = Relu;
                $run
            }
        }
    };
}

/// `out[i] = op(x[i])`, computed in f32 and rounded once. f32, f16 or bf16, any shape.
///
/// # Panics
/// If the lengths differ.
pub fn unary<T: Element>(isa: Isa, pool: &dyn Parallel, op: Unary, x: &[T], out: &mut [T]) {
    with_lane_fn!(op, |function| map(isa, pool, function, x, out));
}

/// [`unary`], written over its input.
pub fn unary_in_place<T: Element>(isa: Isa, pool: &dyn Parallel, op: Unary, x: &mut [T]) {
    with_lane_fn!(op, |function| map_in_place(isa, pool, function, x));
}
