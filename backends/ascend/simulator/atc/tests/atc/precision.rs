//! Precision modes, on models in which each cast can be counted.

use crate::distance::farthest;
use crate::interpreter::run;
use crate::models::{Exported, F32, chance, model, node, port};
use lockstep_ascend_container::{DType, Operator, Place};
use lockstep_atc_simulator::Compiled;
use lockstep_graph::{self as graph, HostTensor};
use lockstep_onnx::messages::ModelProto;

/// Two products after another, a sum that is no product, and a view between.
fn products() -> ModelProto {
    let nodes = vec![
        node("first", "MatMul", &["x", "w"], vec![]),
        node("turned", "Transpose", &["first"], vec![]),
        node("second", "MatMul", &["turned", "w"], vec![]),
        node("y", "Add", &["second", "x"], vec![]),
    ];
    model(13, vec![port("x", F32, &[3, 3])], &[("w", chance(&[3, 3], 1))], nodes, &["y"])
}

fn compiled(precision: &str) -> Compiled {
    let flag = format!("--precision_mode_v2={precision}");
    Exported::bytes(&products().bytes()).compiled(&[&flag]).unwrap()
}

/// Each step with the dtypes that it reads and writes.
fn steps(compiled: &Compiled) -> Vec<(Operator, Vec<DType>, DType)> {
    let gear = &compiled.model().gears[0];
    let dtype = |value: usize| gear.values[value].dtype;
    let step = |step: &lockstep_ascend_container::Step| {
        let inputs = step.inputs.iter().map(|input| dtype(input.value)).collect();
        (step.operator, inputs, dtype(step.output.value))
    };
    gear.steps.iter().map(step).collect()
}

const ADD: Operator = Operator::Binary(lockstep_ascend_container::Binary::Add);
const MUL: Operator = Operator::Binary(lockstep_ascend_container::Binary::Mul);
/// ONNX's number of f16.
const F16_OF_ONNX: i32 = 10;
use DType::{F16, F32 as WIDE};

#[test]
fn mixed_precision_casts_where_a_product_meets_what_is_none() {
    let expected = [
        (Operator::Cast, vec![WIDE], F16),
        (Operator::MatMul, vec![F16, F16], F16),
        (Operator::MatMul, vec![F16, F16], F16),
        (Operator::Cast, vec![F16], WIDE),
        (ADD, vec![WIDE, WIDE], WIDE),
    ];
    assert_eq!(steps(&compiled("mixed_float16")), expected);
}

#[test]
fn fp16_casts_inputs_and_outputs_alone() {
    let compiled = compiled("fp16");
    let expected = [
        (Operator::Cast, vec![WIDE], F16),
        (Operator::MatMul, vec![F16, F16], F16),
        (Operator::MatMul, vec![F16, F16], F16),
        (ADD, vec![F16, F16], F16),
        (Operator::Cast, vec![F16], WIDE),
    ];
    assert_eq!(steps(&compiled), expected);
    assert_eq!(compiled.model().outputs[0].dtype, WIDE);
}

#[test]
fn cube_products_take_f16_and_give_f32() {
    let compiled = compiled("cube_fp16in_fp32out");
    let expected = [
        (Operator::Cast, vec![WIDE], F16),
        (Operator::MatMul, vec![F16, F16], WIDE),
        (Operator::Cast, vec![WIDE], F16),
        (Operator::MatMul, vec![F16, F16], WIDE),
        (ADD, vec![WIDE, WIDE], WIDE),
    ];
    assert_eq!(steps(&compiled), expected);
    // The weight is there once, in f16.
    assert_eq!(compiled.model().constants.len(), 1);
    assert_eq!(compiled.model().constants[0].bytes, 18);
}

/// A model of f16 whose product is beyond f16, and comes back into it.
#[test]
fn cube_products_of_a_model_of_f16_give_f32_too() {
    let half = |shape: &[usize], x: f64| {
        HostTensor::from_f64(graph::DType::F16, shape, &vec![x; shape.iter().product()]).unwrap()
    };
    let nodes = vec![
        node("product", "MatMul", &["x", "w"], vec![]),
        node("scaled", "Mul", &["product", "small"], vec![]),
        node("y", "Add", &["scaled", "x"], vec![]),
    ];
    let constants = [("w", half(&[2, 2], 256.0)), ("small", half(&[1], 2.0f64.powi(-10)))];
    let model = model(13, vec![port("x", F16_OF_ONNX, &[2, 2])], &constants, nodes, &["y"]);
    let exported = Exported::bytes(&model.bytes());
    let of = |precision: &str| exported.compiled(&[&format!("--precision_mode_v2={precision}")]).unwrap();
    let compiled = of("cube_fp16in_fp32out");
    let expected = [
        (Operator::MatMul, vec![F16, F16], WIDE),
        (MUL, vec![WIDE, WIDE], WIDE),
        (Operator::Cast, vec![F16], WIDE),
        (ADD, vec![WIDE, WIDE], WIDE),
        (Operator::Cast, vec![WIDE], F16),
    ];
    assert_eq!(steps(&compiled), expected);
    let model = compiled.model();
    assert_eq!((model.inputs[0].dtype, model.outputs[0].dtype), (F16, F16));
    let given = |compiled: &Compiled| {
        let x = [half(&[2, 2], 256.0)];
        run(compiled.model(), compiled.constants(), &x).remove(0).to_f64()
    };
    // 2 * 256 * 256 / 1024 + 256.
    assert_eq!(given(&compiled), [384.0; 4]);
    assert_eq!(given(&of("origin")), [f64::INFINITY; 4]);
}

#[test]
fn a_weight_that_a_product_read_first_is_copied_from_f32_for_readers_of_f32() {
    // Too large to be folded.
    let w = chance(&[129, 128], 4);
    let nodes = vec![
        node("product", "MatMul", &["x", "w"], vec![]),
        node("turned", "Transpose", &["w"], vec![]),
        node("merged", "Reshape", &["turned", "shape"], vec![]),
        node("y", "Neg", &["merged"], vec![]),
    ];
    let shape = crate::models::numbers(&[1], &[-1]);
    let constants = [("w", w.clone()), ("shape", shape)];
    let model = model(13, vec![port("x", F32, &[1, 129])], &constants, nodes, &["product", "y"]);
    let compiled = Exported::bytes(&model.bytes()).compiled(&["--precision_mode_v2=mixed_float16"]).unwrap();
    assert!(steps(&compiled).contains(&(Operator::Copy, vec![WIDE], WIDE)));
    let given = run(compiled.model(), compiled.constants(), &[chance(&[1, 129], 5)]);
    let (w, y) = (w.to_f64(), given[1].to_f64());
    let expected: Vec<f64> = (0..129 * 128).map(|at| -w[at % 129 * 128 + at / 129]).collect();
    assert_eq!(y, expected);
}

#[test]
fn a_mode_is_in_the_file_and_its_values_are_near() {
    let x = [chance(&[3, 3], 2)];
    let of = |precision: &str| {
        let compiled = compiled(precision);
        assert_eq!(compiled.model().precision_mode, precision);
        run(compiled.model(), compiled.constants(), &x).remove(0)
    };
    let truth = of("origin");
    for precision in ["mixed_float16", "fp16", "cube_fp16in_fp32out"] {
        let farthest = farthest(&of(precision), &truth);
        assert!(farthest > 0.0 && farthest < 4e-3, "{precision}: {farthest}");
    }
}

#[test]
fn a_joined_context_stays_in_f16_between_products() {
    let nodes = vec![
        node("first", "MatMul", &["x", "w"], vec![]),
        node("turned", "Transpose", &["first"], vec![]),
        node("merged", "Reshape", &["turned", "shape"], vec![]),
        node("y", "MatMul", &["merged", "v"], vec![]),
    ];
    let constants = [
        ("w", chance(&[3, 2], 1)),
        ("v", chance(&[6, 2], 2)),
        ("shape", crate::models::numbers(&[2], &[1, 6])),
    ];
    let model = model(13, vec![port("x", F32, &[3, 3])], &constants, nodes, &["y"]);
    let compiled = Exported::bytes(&model.bytes()).compiled(&["--precision_mode_v2=mixed_float16"]).unwrap();
    let found = steps(&compiled);
    assert_eq!(found[2], (Operator::Copy, vec![F16], F16));
    assert_eq!(found.len(), 5);
    let gear = &compiled.model().gears[0];
    assert!(matches!(gear.values[gear.steps[4].output.value].place, Place::Output(0)));
}

#[test]
fn a_weight_that_f16_does_not_hold_is_said() {
    let nodes = vec![node("y", "MatMul", &["x", "large"], vec![])];
    let large = crate::models::floats(&[2, 1], &[1.0, 70_000.0]);
    let model = model(13, vec![port("x", F32, &[1, 2])], &[("large", large)], nodes, &["y"]);
    let exported = Exported::bytes(&model.bytes());
    let narrow = exported.compiled(&["--precision_mode_v2=mixed_float16"]).unwrap();
    assert_eq!(narrow.warnings(), ["constant `large`: has values beyond f16, which become infinite"]);
    assert!(exported.compiled(&["--precision_mode_v2=origin"]).unwrap().warnings().is_empty());
}
