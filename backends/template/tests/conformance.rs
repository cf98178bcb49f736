//! The template against the conformance suite: what someone who brings a new chip runs from `cargo test`.
//!
//! When you clone it: rename the device here and in `expectations.toml`, keep both, and take an op out of that list when it gets
//! its kernel. Every case of it, in every dtype that the device claims, must then hold.

use lockstep_conformance::conform::{Expectations, assert_conforms};
use lockstep_hal::{Backend, Device};
use lockstep_template::TemplateBackend;
use std::sync::Arc;

/// What is known beforehand; it lies beside this file.
const EXPECTATIONS: &str = include_str!("expectations.toml");

fn device() -> Arc<dyn Device> {
    TemplateBackend::new().open(0).unwrap()
}

#[test]
fn the_device_conforms_but_for_what_is_expected() {
    assert_conforms(&device(), &Expectations::parse(EXPECTATIONS).unwrap());
}

#[test]
#[should_panic(expected = "UNSUPPORTED (template: no kernel yet; implement Softmax in kernels.rs)")]
fn an_op_that_is_refused_and_not_expected_to_be_does_not_conform() {
    let without_softmax: Vec<&str> =
        EXPECTATIONS.lines().filter(|line| !line.contains("\"Softmax\"")).collect();
    assert_conforms(&device(), &Expectations::parse(&without_softmax.join("\n")).unwrap());
}

#[test]
#[should_panic(expected = "stale expectation: template Softplus")]
fn an_expectation_that_nothing_meets_any_more_does_not_conform() {
    let with_one_more = EXPECTATIONS.replace(
        "unsupported = [",
        "unsupported = [{ device = \"template\", op = \"Softplus\", reason = \"no kernel yet\" },",
    );
    assert_conforms(&device(), &Expectations::parse(&with_one_more).unwrap());
}
