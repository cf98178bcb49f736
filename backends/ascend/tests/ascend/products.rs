//! What products do to factors of f32: nothing, unless they are asked to.

use crate::child;
use lockstep_ascend::AscendBackend;
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_runtime::graph::{DType, GraphBuilder, Op, TensorType};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, DeviceInfo, Session};

const TEST: &str = "hf32_is_asked_for_declared_and_held_to_its_bound";

/// `x` times 1, in f32, on the simulated device.
fn times_one(x: f32) -> f64 {
    let mut builder = GraphBuilder::new();
    let a = builder.input("a", TensorType::fixed(DType::F32, &[1, 1])).unwrap();
    let one = builder.constant("one", HostTensor::from_slice(&[1, 1], &[1.0_f32]).unwrap());
    let out = builder.single("product", Op::MatMul, &[a, one]).unwrap();
    builder.output("out", out).unwrap();
    let device = AscendBackend::simulator().open(0).unwrap();
    let session = Session::builder(builder.finish().unwrap()).device(device).build().unwrap();
    let a = HostTensor::from_slice(&[1, 1], &[x]).unwrap();
    session.run(&[("a", &a)]).unwrap().output("out").unwrap().to_f64()[0]
}

#[test]
fn hf32_is_asked_for_declared_and_held_to_its_bound() {
    let is_reduced = |info: &DeviceInfo| info.numerics.reduced_f32_products;
    // Halfway between 1 and the next number of eleven bits behind the point.
    let x = 1.0 + 2_f32.powi(-12);
    if child::case().is_none() {
        assert!(!is_reduced(AscendBackend::simulator().open(0).unwrap().info()));
        assert_eq!(times_one(x), f64::from(x));
        let ran = child::run(module_path!(), TEST, "hf32", &[("LOCKSTEP_ASCEND_HF32", "1")]);
        assert!(ran.ended_well && ran.said.contains("1 passed"), "{}", ran.said);
        return;
    }
    let device = AscendBackend::simulator().open(0).unwrap();
    assert!(is_reduced(device.info()));
    assert_eq!(times_one(x), 1.0);
    for op in ["MatMul", "Linear", "Attention"] {
        let selection = Selection { op: Some(op.into()), ..Selection::default() };
        let found = conform(&device, &selection, &Expectations::ours().unwrap(), &|_, _| {}).unwrap();
        let guilty: Vec<_> = found.cases.iter().filter(|case| case.verdict.is_guilty()).collect();
        assert!(guilty.is_empty(), "{op}: {guilty:?}");
    }
}
