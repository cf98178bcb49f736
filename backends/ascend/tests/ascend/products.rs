//! What products do to factors of f32: nothing, unless they are asked to.

use crate::child;
use lockstep_ascend::AscendBackend;
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::graph::DType;
use lockstep_runtime::{Backend, DeviceInfo};

const TEST: &str = "hf32_is_asked_for_declared_and_held_to_its_bound";

#[test]
fn hf32_is_asked_for_declared_and_held_to_its_bound() {
    let is_reduced = |info: &DeviceInfo| info.numerics.reduced_f32_products;
    if child::case().is_none() {
        assert!(!is_reduced(AscendBackend::simulator().open(0).unwrap().info()));
        let ran = child::run(module_path!(), TEST, "hf32", &[("LOCKSTEP_ASCEND_HF32", "1")]);
        assert!(ran.ended_well && ran.said.contains("1 passed"), "{}", ran.said);
        return;
    }
    let device = AscendBackend::simulator().open(0).unwrap();
    assert!(is_reduced(device.info()));
    let mut farther = 0;
    for op in ["MatMul", "Linear", "Attention"] {
        let selection = Selection { op: Some(op.into()), ..Selection::default() };
        let found = conform(&device, &selection, &Expectations::ours().unwrap(), &|_, _| {}).unwrap();
        let guilty: Vec<_> = found.cases.iter().filter(|case| case.verdict.is_guilty()).collect();
        assert!(guilty.is_empty(), "{op}: {guilty:?}");
        let is_inexact = |verdict: &Verdict| matches!(verdict, Verdict::Within | Verdict::Suspect);
        let in_f32 = found.cases.iter().filter(|case| case.dtype == DType::F32);
        farther += in_f32.filter(|case| is_inexact(&case.verdict)).count();
    }
    // It is not as if nothing was rounded.
    assert!(farther > 0);
}
