//! Our own devices conform, devices that are wrong do not, and one without kernels is told what it lacks.

use crate::models;
use lockstep_conformance::conform::{
    Conformance, Expectations, Property, Selection, assert_conforms, conform, same_bits,
};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::verdict::Verdict;
use lockstep_cpu::Isa;
use lockstep_runtime::Backend;
use lockstep_runtime::Device;
use lockstep_runtime::tensor::DType;
use lockstep_template::TemplateBackend;
use models::{candle, cpu, cpu_with, reference};
use std::sync::Arc;

fn conforms(device: &Arc<dyn Device>) {
    assert_conforms(device, &Expectations::ours().expect("the file can be read"));
}

#[test]
fn the_processor_conforms() {
    conforms(&cpu());
}

#[test]
fn candle_conforms() {
    conforms(&candle());
}

#[test]
fn the_reference_conforms() {
    conforms(&reference());
}

#[test]
fn the_portable_path_conforms() {
    conforms(&cpu_with(1, Isa::Portable));
}

fn tested(device: &Arc<dyn Device>, op: &str) -> Conformance {
    let selection = Selection { op: Some(op.to_owned()), dtype: Some(DType::F32) };
    conform(device, &selection, &Expectations::default(), &|_, _| {}).expect("the suite runs")
}

#[test]
fn a_device_with_a_fault_fails() {
    for (fault, op) in [
        (Fault::VarianceOverNMinus1, "LayerNorm"),
        (Fault::MaximumForgotten, "Softmax"),
        (Fault::DuplicatesLost, "IndexAdd"),
        (Fault::LastElementStale, "Transpose"),
    ] {
        let mutant = Mutant::device(cpu(), Recipe::faulty(fault), None);
        let failures = tested(&mutant, op).failures();
        assert!(failures.iter().any(|failure| failure.contains("WRONG")), "{fault:?}: {failures:?}");
    }
}

#[test]
fn a_backend_without_kernels_is_told_what_it_lacks() {
    let device = TemplateBackend::new().open(0).expect("the template");
    let found = tested(&device, "LayerNorm");
    assert!(!found.cases.is_empty() && found.cases.iter().all(|case| case.is_unexplained_refusal()));
    assert!(found.failures().is_empty());
}

#[test]
fn one_thread_gives_the_bits_of_many_in_every_case() {
    let (one, many) = (cpu_with(1, Isa::detect()), cpu_with(3, Isa::detect()));
    let found = same_bits(&one, &many, &Selection::default()).expect("the cases are well formed");
    let differing = found.iter().filter(|report| report.verdict == Verdict::Wrong);
    let differing: Vec<_> = differing.filter_map(|report| report.detail.as_ref()).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert!(found.iter().filter(|report| report.verdict == Verdict::Exact).count() > 100);
}

#[test]
fn devices_that_compute_in_another_order_do_not_have_the_same_bits() {
    let selection = Selection { op: Some("MatMul".to_owned()), dtype: Some(DType::F32) };
    let found = same_bits(&cpu(), &candle(), &selection).expect("the cases are well formed");
    assert_eq!(found[0].property, Property::ThreadInvariance);
    assert_eq!(found[0].verdict, Verdict::Wrong);
}
