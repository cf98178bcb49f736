//! Our own devices conform, devices that are wrong do not, and one without kernels is told what it lacks.

mod models;

use lockstep_conformance::conform::{Conformance, Expectations, Selection, conform};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_cpu::Isa;
use lockstep_runtime::Backend;
use lockstep_runtime::Device;
use lockstep_runtime::tensor::DType;
use lockstep_template::TemplateBackend;
use models::{candle, cpu, cpu_with, reference};
use std::sync::Arc;

fn conforms(device: &Arc<dyn Device>) {
    let expectations = Expectations::ours().expect("the file can be read");
    let found = conform(device, &Selection::default(), &expectations, &|_, _| {}).expect("the suite runs");
    let mut failures = found.failures();
    let refused = found.cases.iter().filter(|case| case.is_unexplained_refusal());
    failures.extend(refused.map(|case| format!("{} {}: {}", case.dtype, case.case, case.verdict)));
    failures.extend(expectations.stale(&found.device, &found.cases));
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures[..failures.len().min(40)].join("\n")
    );
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
