//! GELU in its two forms, which are different functions: a model says which one it was trained with. The definition is in
//! `spec.md`, the arithmetic in [`crate::math`].

use crate::math::{gelu_erf, gelu_tanh};
use crate::simd::{LaneFn, Simd, map, map_in_place};
use crate::{Element, Isa, Parallel};

/// Which function GELU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GeluForm {
    /// `x/2 (1 + erf(x / sqrt(2)))`, the exact form.
    Erf,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    Tanh,
}

#[derive(Clone, Copy)]
struct ErfForm;

impl LaneFn for ErfForm {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        gelu_erf(simd, x)
    }
}

#[derive(Clone, Copy)]
struct TanhForm;

impl LaneFn for TanhForm {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32 {
        gelu_tanh(simd, x)
    }
}

/// `out[i] = gelu(x[i])`, computed in f32 and rounded once. f32, f16 or bf16, any shape.
///
/// # Panics
/// If the lengths differ.
pub fn gelu<T: Element>(isa: Isa, pool: &dyn Parallel, form: GeluForm, x: &[T], out: &mut [T]) {
    match form {
        GeluForm::Erf => map(isa, pool, ErfForm, x, out),
        GeluForm::Tanh => map(isa, pool, TanhForm, x, out),
    }
}

/// [`gelu`], written over its input.
pub fn gelu_in_place<T: Element>(isa: Isa, pool: &dyn Parallel, form: GeluForm, x: &mut [T]) {
    match form {
        GeluForm::Erf => map_in_place(isa, pool, ErfForm, x),
        GeluForm::Tanh => map_in_place(isa, pool, TanhForm, x),
    }
}

#[cfg(test)]
mod tests;
