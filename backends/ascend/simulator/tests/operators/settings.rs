//! What the environment chooses. It is read once, so each of these runs in a process of its own.

use crate::device::{F16, F32, I64, Integers, Scalar, Tensor, api, assert_close, call, numbers, rounded};
use core::ptr;
use lockstep_ascend_abi::aclSysParamOpt;
use std::process::Command;

/// Whether this process is the one that was started for the test; else starts it and holds it to success.
fn in_process_with(test: &str, variable: &str, value: &str) -> bool {
    if std::env::var(variable).is_ok_and(|found| found == value) {
        return true;
    }
    let this = std::env::current_exe().expect("this process has a path");
    let name = format!("settings::{test}");
    let outcome = Command::new(this).args(["--exact", &name]).env(variable, value).output().expect("starts");
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[test]
fn exact_numerics_round_once_and_follow_no_recipe() {
    if !in_process_with(
        "exact_numerics_round_once_and_follow_no_recipe",
        "LOCKSTEP_ASCEND_SIM_NUMERICS",
        "exact",
    ) {
        return;
    }
    let x = numbers(F16, 3000, 9.0, 71);
    let (input, out) = (Tensor::new(F16, &[3000], &x), Tensor::empty(F16, &[3000]));
    call!(activation.aclnnGeluV2(input.get(), 0, out.get())).expect("runs");
    let exact: Vec<f64> =
        x.iter().map(|x| 0.5 * x * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)).collect();
    assert_eq!(out.values(), exact.iter().map(|y| rounded(F16, *y)).collect::<Vec<_>>());

    // f16 parameters do not round the statistics.
    let x: Vec<f64> = numbers(F16, 64, 2.0, 72).iter().map(|x| rounded(F16, x + 16.0)).collect();
    let (input, out) = (Tensor::new(F16, &[1, 64], &x), Tensor::empty(F16, &[1, 64]));
    let (shape, null) = (Integers::new(&[64]), ptr::null_mut());
    call!(normalization.aclnnLayerNorm(input.get(), shape.get(), null, null, 0.0, out.get(), null, null))
        .expect("runs");
    let mean = x.iter().sum::<f64>() / 64.0;
    let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 64.0).sqrt();
    let exact: Vec<f64> = x.iter().map(|x| (x - mean) / deviation).collect();
    assert_close(&out.values(), &exact, F16, 1e-6);

    let (a, b) = (numbers(F32, 600, 1.0, 73), numbers(F32, 900, 1.0, 74));
    let (left, right) = (Tensor::new(F32, &[2, 300], &a), Tensor::new(F32, &[300, 3], &b));
    let out = Tensor::empty(F32, &[2, 3]);
    call!(matmul.aclnnMm(left.get(), right.get(), out.get(), 3)).expect("runs");
    let exact: Vec<f64> =
        (0..6).map(|at| (0..300).map(|l| a[at / 3 * 300 + l] * b[l * 3 + at % 3]).sum()).collect();
    assert_close(&out.values(), &exact, F32, 0.5 + 1e-6);
}

#[test]
fn saturation_keeps_f16_finite() {
    let test = "saturation_keeps_f16_finite";
    if !in_process_with(test, "LOCKSTEP_ASCEND_SIM_OVERFLOW", "saturation") {
        return;
    }
    let x = Tensor::new(F32, &[4], &[1e6, f64::NEG_INFINITY, f64::NAN, 1.5]);
    let out = Tensor::empty(F16, &[4]);
    call!(elementwise.aclnnCast(x.get(), F16, out.get())).expect("runs");
    assert_eq!(out.values(), [65504.0, -65504.0, 0.0, 1.5]);
}

#[test]
fn flushed_subnormals_are_zeros_on_both_sides() {
    let test = "flushed_subnormals_are_zeros_on_both_sides";
    if !in_process_with(test, "LOCKSTEP_ASCEND_SIM_SUBNORMALS", "flushed") {
        return;
    }
    let smallest = 2f64.powi(-14);
    let (x, out) = (Tensor::new(F16, &[3], &[smallest, smallest / 2.0, 1.0]), Tensor::empty(F16, &[3]));
    call!(elementwise.aclnnMuls(x.get(), Scalar::new(F32, 1.0).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [smallest, 0.0, 1.0]);
    call!(elementwise.aclnnMuls(x.get(), Scalar::new(F32, 0.5).get(), out.get())).expect("runs");
    assert_eq!(out.values(), [0.0, 0.0, 0.5]);
}

#[test]
fn a_shuffled_index_add_differs_between_launches_unless_it_is_deterministic() {
    let test = "a_shuffled_index_add_differs_between_launches_unless_it_is_deterministic";
    if !in_process_with(test, "LOCKSTEP_ASCEND_SIM_SHUFFLE", "5") {
        return;
    }
    let values = numbers(F32, 500, 1e6, 75);
    let index = Tensor::new(I64, &[500], &[0.0; 500]);
    let (base, source) = (Tensor::new(F32, &[1, 1], &[0.0]), Tensor::new(F32, &[500, 1], &values));
    let one = Scalar::new(F32, 1.0);
    let launch = || {
        let out = Tensor::empty(F32, &[1, 1]);
        call!(index.aclnnIndexAdd(base.get(), 0, index.get(), source.get(), one.get(), out.get()))
            .expect("runs");
        out.values()[0]
    };
    let results: Vec<f64> = (0..8).map(|_| launch()).collect();
    assert!(results.iter().any(|result| *result != results[0]), "{results:?}");
    let exact: f64 = values.iter().sum();
    // 500 additions of sums below 5e8.
    assert!(results.iter().all(|result| (result - exact).abs() <= 500.0 * 16.0), "{results:?} {exact}");
    // SAFETY: it takes numbers.
    let status =
        unsafe { api().runtime.aclrtSetSysParamOpt.expect("exported")(aclSysParamOpt::DETERMINISTIC, 1) };
    assert_eq!(status, 0);
    let ascending = values.iter().fold(0.0, |sum, value| rounded(F32, sum + value));
    assert_eq!([launch(), launch()], [ascending; 2]);
}
