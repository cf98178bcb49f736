//! Where there is no driver, asking for devices gives an error and never panics, not even one that is caught: the test runs
//! itself again with panics that abort.

use lockstep_cuda::CudaBackend;
use lockstep_hal::{Backend, Error};
use std::process::Command;

const AGAIN: &str = "LOCKSTEP_TEST_PROBES_AGAIN";

#[test]
fn probing_without_a_driver_is_an_error_that_says_where_it_looked() {
    match CudaBackend::new().devices() {
        Ok(devices) => eprintln!("not run (there is a driver, with {} GPU(s))", devices.len()),
        Err(error) => {
            let Error::Unavailable { searched, hint, .. } = &error else { panic!("{error}") };
            assert!(!searched.is_empty() && !hint.is_empty(), "{error}");
            let opened = CudaBackend::new().open(0).map(|_| ()).unwrap_err();
            assert_eq!(opened.to_string(), error.to_string());
        }
    }
}

#[test]
fn probing_survives_where_a_panic_would_abort() {
    if std::env::var_os(AGAIN).is_some() {
        std::panic::set_hook(Box::new(|_| std::process::abort()));
        let _ = CudaBackend::new().devices();
        let _ = CudaBackend::new().open(7);
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "probing_survives_where_a_panic_would_abort"])
        .env(AGAIN, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
