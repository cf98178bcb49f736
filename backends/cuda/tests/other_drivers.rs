//! Drivers and GPUs that are not at hand: a stub of the driver says what they would, and the probe says what to do about it.
#![cfg(target_os = "linux")]

mod stub;

use lockstep_cuda::CudaBackend;
use lockstep_hal::Backend;

/// What probing says with such a driver.
fn said(variables: &[(&str, &str)]) -> String {
    stub::run("probes", variables).0
}

#[test]
fn probes() {
    if stub::is_met() {
        let answer = CudaBackend::new().devices();
        let said = answer.map_or_else(|error| error.to_string(), |devices| format!("{devices:?}"));
        #[allow(clippy::print_stdout)] // Read by the process that started this one.
        {
            println!("said: {said}");
        }
    }
}

#[test]
fn a_driver_that_is_too_old_is_told_from_one_that_is_missing() {
    let said = said(&[("STUB_VERSION", "11040"), ("STUB_COUNT", "1"), ("STUB_CAPABILITY", "80")]);
    assert!(said.contains("The driver is for CUDA 11.4") && said.contains("525.60"), "{said}");
}

#[test]
fn a_gpu_below_sm_80_is_named() {
    let said = said(&[("STUB_VERSION", "12020"), ("STUB_COUNT", "1"), ("STUB_CAPABILITY", "75")]);
    assert!(said.contains("Stub 0 is sm_75; sm_80 (A100) or later is needed"), "{said}");
}

#[test]
fn a_driver_without_a_gpu_asks_what_hides_it() {
    let none = said(&[("STUB_VERSION", "12020"), ("STUB_COUNT", "0")]);
    assert!(none.contains("CUDA_VISIBLE_DEVICES"), "{none}");
    let failed = said(&[("STUB_INIT", "100")]);
    assert!(failed.contains("cuInit says: no CUDA-capable device is detected"), "{failed}");
}

#[test]
fn a_gpu_from_sm_80_on_is_listed() {
    let said = said(&[("STUB_VERSION", "13000"), ("STUB_COUNT", "1"), ("STUB_CAPABILITY", "90")]);
    assert!(said.contains("Stub 0 (sm_90)") && said.contains("CUDA 13.0"), "{said}");
}
