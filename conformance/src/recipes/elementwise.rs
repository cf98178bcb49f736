//! GELU in both forms, and functions of one operand.

use super::{Computed, Fault, Recipe, f32s, through};
use lockstep_runtime::graph::{GeluForm, UnaryOp};
use lockstep_runtime::tensor::{DType, HostTensor};
use std::f32::consts::{FRAC_1_SQRT_2, PI};

pub(super) fn gelu(recipe: &Recipe, x: &HostTensor, form: GeluForm) -> Computed {
    (x.shape().to_vec(), f32s(x).into_iter().map(|x| f64::from(gelu_of(recipe, x, form))).collect())
}

/// GELU of one number.
pub(super) fn gelu_of(recipe: &Recipe, x: f32, form: GeluForm) -> f32 {
    let form = match (recipe.fault, form) {
        (Some(Fault::OtherGeluForm), GeluForm::Erf) => GeluForm::Tanh,
        (Some(Fault::OtherGeluForm), GeluForm::Tanh) => GeluForm::Erf,
        _ => form,
    };
    match recipe.fault {
        Some(Fault::GeluBySigmoid) => return x / (1.0 + (-1.702 * x).exp()),
        Some(Fault::ReluForGelu) => return x.max(0.0),
        Some(Fault::GeluTailCut) if x < -4.0 => return 0.0,
        _ => {}
    }
    match form {
        GeluForm::Erf => {
            let inner = x * FRAC_1_SQRT_2;
            // Far below zero 1 + erf cancels; its complement does not, and is as honest.
            let weight = match recipe.fault {
                Some(Fault::CoarseErf) => 1.0 + coarse_erf(inner),
                _ => libm::erfcf(-inner),
            };
            if recipe.other_formula { x * (0.5 * weight) } else { 0.5 * x * weight }
        }
        GeluForm::Tanh => {
            let cube = match recipe.fault {
                Some(Fault::CubeInF16) => through(x * x * x, DType::F16),
                _ => x * x * x,
            };
            let inner = (2.0 / PI).sqrt() * (x + 0.044_715 * cube);
            if recipe.other_formula {
                x / (1.0 + (-2.0 * inner).exp())
            } else {
                0.5 * x * (1.0 + inner.tanh())
            }
        }
    }
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.25: five digits.
fn coarse_erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.470_47 * x.abs());
    let tail = t * (0.348_024_2 + t * (-0.095_879_8 + t * 0.747_855_6)) * (-x * x).exp();
    (1.0 - tail).copysign(x)
}

pub(super) fn unary(recipe: &Recipe, x: &HostTensor, function: UnaryOp) -> Option<Computed> {
    let of = |x: f64| -> Option<f64> {
        let x32 = x as f32;
        Some(match function {
            UnaryOp::Neg => -x,
            UnaryOp::Abs => x.abs(),
            UnaryOp::Relu if x.is_nan() => x,
            UnaryOp::Relu => x.max(0.0),
            UnaryOp::Exp if recipe.has(Fault::CoarseExp) => f64::from(coarse_exp(x32)),
            UnaryOp::Exp => f64::from(x32.exp()),
            UnaryOp::Log => f64::from(x32.ln()),
            UnaryOp::Sqrt => f64::from(x32.sqrt()),
            UnaryOp::Reciprocal if recipe.has(Fault::ReciprocalRootOf12Bits) => {
                f64::from(f32::from_bits((1.0 / x32).to_bits() & !0x0fff))
            }
            UnaryOp::Reciprocal => f64::from(1.0 / x32),
            UnaryOp::Erf if recipe.has(Fault::CoarseErf) => f64::from(coarse_erf(x32)),
            UnaryOp::Erf => f64::from(libm::erff(x32)),
            UnaryOp::Tanh if recipe.has(Fault::TanhClamped) => f64::from(x32.clamp(-2.5, 2.5).tanh()),
            UnaryOp::Tanh => f64::from(x32.tanh()),
            UnaryOp::Sigmoid if x < 0.0 && recipe.other_formula => f64::from(x32.exp() / (1.0 + x32.exp())),
            UnaryOp::Sigmoid => f64::from(1.0 / (1.0 + (-x32).exp())),
            UnaryOp::Not => return None,
        })
    };
    let values: Option<Vec<f64>> = x.to_f64().into_iter().map(of).collect();
    Some((x.shape().to_vec(), values?))
}

/// exp by its argument's upper bits alone: an error of up to 2^-10 of the argument.
pub(super) fn coarse_exp(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !0x1fff).exp()
}

/// tanh after a product, as a pooler has it.
pub(super) fn tanh_of(recipe: &Recipe, x: f32) -> f32 {
    if recipe.has(Fault::TanhClamped) { x.clamp(-2.5, 2.5).tanh() } else { x.tanh() }
}
