use half::{bf16, f16};

use super::{GeluForm, gelu, gelu_in_place};
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

fn exact(form: GeluForm, x: f64) -> f64 {
    match form {
        GeluForm::Erf => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
        GeluForm::Tanh => {
            let slope = (8.0 / std::f64::consts::PI).sqrt() * (1.0 + 0.044715 * x * x);
            x / (1.0 + libm::exp(-x * slope))
        }
    }
}

fn holds_on<T: Format>(form: GeluForm) {
    let mut random = Random(1);
    for count in [0, 1, 15, 16, 17, 33, 1000] {
        let x: Vec<T> = random.values(count, -1.0, 3.0);
        for isa in Isa::available() {
            let mut out = vec![T::default(); count];
            gelu(isa, &Serial, form, &x, &mut out);
            for (&x, &got) in x.iter().zip(&out) {
                let truth = exact(form, x.value());
                // The relative error that the spec states: units in the last place are at most twice U.
                assert_within(got, truth, 15.0 * U * truth.abs(), &|| format!("{isa:?} {form:?} at {x:?}"));
            }
            let mut in_place = x.clone();
            gelu_in_place(isa, &Serial, form, &mut in_place);
            assert_eq!(patterns(&in_place), patterns(&out), "{isa:?} in place, {count} values");
        }
    }
}

#[test]
fn every_storage_type_matches_f64() {
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        holds_on::<f32>(form);
        holds_on::<f16>(form);
        holds_on::<bf16>(form);
    }
}

#[test]
fn the_forms_are_different_functions() {
    let mut out = [[0.0f32]; 2];
    gelu(Isa::detect(), &Serial, GeluForm::Erf, &[2.3f32], &mut out[0]);
    gelu(Isa::detect(), &Serial, GeluForm::Tanh, &[2.3f32], &mut out[1]);
    assert!((out[0][0] - out[1][0]).abs() > 2e-4, "{out:?}");
}

#[test]
fn special_values_are_as_specified() {
    let x = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, -1e-40, f32::MAX, f32::MIN, -20.0];
    // x/2 at tiny x; nothing but the sign of zero is left at large negative x.
    let expected = [0.0, -0.0, f32::INFINITY, f32::NAN, f32::NAN, 5e-41, -5e-41, f32::MAX, -0.0, -0.0];
    for isa in Isa::available() {
        for form in [GeluForm::Erf, GeluForm::Tanh] {
            let mut out = [7.0f32; 10];
            gelu(isa, &Serial, form, &x, &mut out);
            assert_eq!(patterns(&out), patterns(&expected), "{isa:?} {form:?} {out:?}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_position() {
    let x: Vec<f32> = Random(9).values(100_003, 0.0, 2.0);
    for isa in Isa::available() {
        let mut serial = vec![0.0; x.len()];
        gelu(isa, &Serial, GeluForm::Erf, &x, &mut serial);
        let mut threaded = vec![0.0; x.len()];
        gelu(isa, &Threads(3), GeluForm::Erf, &x, &mut threaded);
        assert_eq!(patterns(&serial), patterns(&threaded));
        let mut shifted = vec![0.0; x.len() - 5];
        gelu(isa, &Serial, GeluForm::Erf, &x[5..], &mut shifted);
        assert_eq!(patterns(&serial[5..]), patterns(&shifted));
    }
}
