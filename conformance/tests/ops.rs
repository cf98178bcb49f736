//! Every op on every device that claims it, on small hostile shapes, against the f64 reference, within bounds that follow
//! from the op's definition and the device's declared numerics.

mod devices;
mod folders;

use devices::Stop;
use folders::told;
use lockstep_candle::CandleBackend;
use lockstep_conformance::bounds::Arithmetic;
use lockstep_conformance::cases::{self, Case, KINDS, floats, integers, kind, stored};
use lockstep_conformance::op_bounds::bound;
use lockstep_cpu::{CpuBackend, Isa};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::{BinaryOp, Custom, Graph, GraphBuilder, Op, TensorType, infer};
use lockstep_runtime::hal::{self, OpQuery, Support};
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Backend, Device, Error, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn reference() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).expect("the reference")
}

fn candle() -> Arc<dyn Device> {
    CandleBackend::new().open(0).expect("candle")
}

fn cpu(isa: Isa) -> Arc<dyn Device> {
    let builder = CpuBackend::builder().threads(2).isa(isa).custom_kernel(Arc::new(Stop::default()));
    builder.build().expect("a backend").open(0).expect("the processor")
}

/// A graph of one node, called `node`, of inputs and constants.
fn graph_of(case: &Case) -> Graph {
    let mut b = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, tensor) in case.inputs.iter().enumerate() {
        let name = format!("input{at}");
        ids.push(match at < case.constants_from {
            true => b.input(&name, TensorType::fixed(tensor.dtype(), tensor.shape())).expect("an input"),
            false => b.constant(&name, tensor.clone()),
        });
    }
    let output = b
        .single("node", case.op.clone(), &ids)
        .unwrap_or_else(|error| panic!("{}: {error}", case.describe()));
    b.output("y", output).expect("an output");
    b.finish().expect("a graph")
}

fn run(device: &Arc<dyn Device>, case: &Case) -> Result<HostTensor, Error> {
    let session = Session::builder(graph_of(case)).device(device.clone()).build()?;
    let names: Vec<String> = (0..case.constants_from).map(|at| format!("input{at}")).collect();
    let inputs: Vec<(&str, &HostTensor)> = names.iter().map(String::as_str).zip(&case.inputs).collect();
    session.run(&inputs).map(|result| result.output("y").expect("y").clone())
}

/// The library's cases, and one of a custom op that only some devices have a kernel for.
fn all() -> Vec<Case> {
    let mut cases = cases::all();
    let custom = Op::Custom(Custom::new(Arc::new(Stop::default())));
    cases.push(Case::new(custom, vec![floats(&[3, 5], &[1.5; 15])]));
    cases
}

/// The case's truth: on exactly the values that the device gets, in f64.
fn widened(case: &Case, dtype: DType) -> Case {
    let wide = |x: &HostTensor| if x.dtype() == dtype { stored(x, DType::F64) } else { x.clone() };
    let computes = !matches!(case.op, Op::Cast { .. } | Op::Fill { .. });
    let inputs = case.inputs.iter().map(|x| if computes { wide(x) } else { x.clone() }).collect();
    Case { op: case.op.clone(), inputs, constants_from: case.constants_from }
}

fn support(device: &Arc<dyn Device>, case: &Case) -> Support {
    let types: Vec<TensorType> =
        case.inputs.iter().map(|x| TensorType::fixed(x.dtype(), x.shape())).collect();
    let types: Vec<&TensorType> = types.iter().collect();
    let outputs = infer("node", &case.op, &types).expect("the case fits its op");
    device.support(&OpQuery { op: &case.op, inputs: &types, outputs: &outputs })
}

/// Runs a case on a device that claims it and holds it to the truth.
fn hold(
    device: &Arc<dyn Device>,
    oracle: &Arc<dyn Device>,
    dtype: DType,
    case: &Case,
    support: &Support,
) -> Result<(), String> {
    let id = &device.info().id;
    let what = format!("{id} in {dtype}: {}", case.describe());
    let truth_case = widened(case, dtype);
    let truth = run(oracle, &truth_case).map_err(|error| format!("{what}: the reference: {}", told(&error)));
    let found = run(device, case).map_err(|error| format!("{what}: {}", told(&error)));
    let (truth, found) = match (truth, found) {
        (Ok(truth), Ok(found)) => (truth, found),
        // Values that an op cannot take are refused by both, or by none.
        (Err(theirs), Err(ours)) if theirs.contains("node: element") && ours.contains("node: ") => {
            return Ok(());
        }
        (Err(text), _) | (_, Err(text)) => return Err(text),
    };
    if found.shape() != truth.shape() {
        return Err(format!("{what}: shape {:?}, expected {:?}", found.shape(), truth.shape()));
    }
    if !found.dtype().is_float() {
        return if found.bytes() == truth.bytes() {
            Ok(())
        } else {
            Err(format!("{what}: {:?} is not {:?}", found.to_f64(), truth.to_f64()))
        };
    }
    let numerics = &device.info().numerics;
    // A decomposition rounds to storage at every primitive.
    let accumulate = match support {
        Support::Rewrite(_) => dtype,
        _ => numerics.accumulate_of(dtype).expect("the device computes in it"),
    };
    let arithmetic = Arithmetic::worst_case(dtype, accumulate);
    let on_reference = |op: &Op, inputs: &[HostTensor]| run(oracle, &Case::new(op.clone(), inputs.to_vec()));
    let mut bounds = bound(&case.op, &truth_case.inputs, &truth, arithmetic, numerics, &on_reference)
        .map_err(|error| format!("{what}: {}", told(&error)))?;
    if dtype == DType::F64 {
        // Both are f64, so both are off.
        bounds.iter_mut().for_each(|bound| *bound *= 2.0);
    }
    let rounded = stored(&truth, found.dtype()).to_f64();
    for (at, ((&found, &truth), (rounded, bound))) in
        (found.to_f64().iter().zip(&truth.to_f64())).zip(rounded.iter().zip(&bounds)).enumerate()
    {
        let same = found == *rounded || (found.is_nan() && truth.is_nan());
        let within = (found - truth).abs() <= *bound;
        if !same && !within {
            return Err(format!(
                "{what}: element {at} is {found:e}, the truth {truth:e}, the bound {bound:.2e}"
            ));
        }
    }
    Ok(())
}

/// Cases that a device claims and fails, with what is known of them. One that passes after all fails the test: take it out.
const EXPECTED_FAILURES: &[(&str, &str, &str)] = &[];

fn is_expected_failure(device: &str, case: &Case) -> bool {
    let text = case.describe();
    EXPECTED_FAILURES
        .iter()
        .any(|(on, op, shape)| *on == device && text.starts_with(op) && text.contains(shape))
}

/// Runs every case that a device claims in `dtype`; gives how many ran by op, and the ops it refused.
fn hold_all(device: &Arc<dyn Device>, dtype: DType) -> (BTreeMap<&'static str, usize>, BTreeSet<String>) {
    let oracle = reference();
    let (mut ran, mut refused, mut wrong) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    for case in all() {
        let case = case.in_dtype(dtype);
        match support(device, &case) {
            Support::No(_) => {
                refused.insert(case.op.name().to_owned());
            }
            claimed => {
                *ran.entry(kind(&case.op)).or_insert(0) += 1;
                let held = hold(device, &oracle, dtype, &case, &claimed);
                match (held, is_expected_failure(&device.info().id, &case)) {
                    (Ok(()), true) => {
                        wrong.push(format!("{}: passes; it is no longer expected to fail", case.describe()))
                    }
                    (Err(text), false) => wrong.push(text),
                    _ => {}
                }
            }
        }
    }
    let id = &device.info().name;
    eprintln!("{id} in {dtype}: {} cases; refused for some dtypes: {refused:?}", ran.values().sum::<usize>());
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        ran.values().sum::<usize>(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    (ran, refused)
}

fn kinds(ran: &BTreeMap<&'static str, usize>) -> Vec<&'static str> {
    KINDS.iter().copied().filter(|kind| ran.contains_key(kind)).collect()
}

#[test]
fn every_op_has_cases() {
    let covered: BTreeSet<&str> = all().iter().map(|case| kind(&case.op)).collect();
    let missing: Vec<&&str> = KINDS.iter().filter(|kind| !covered.contains(**kind)).collect();
    assert!(missing.is_empty(), "no case of {missing:?}");
}

#[test]
fn the_processor_is_within_its_bounds_in_f32() {
    let (ran, refused) = hold_all(&cpu(Isa::detect()), DType::F32);
    assert_eq!(kinds(&ran), KINDS);
    // Integer sums by index, and casts of 8-bit integers.
    let wanted = ["Cast", "IndexAdd"].map(String::from);
    assert_eq!(refused, wanted.into(), "what the processor refuses has changed");
}

#[test]
fn the_processor_is_within_its_bounds_in_f16() {
    let (ran, _) = hold_all(&cpu(Isa::detect()), DType::F16);
    let but_custom: Vec<&str> = KINDS.iter().copied().filter(|kind| *kind != "Custom").collect();
    assert_eq!(kinds(&ran), but_custom);
}

#[test]
fn the_processor_is_within_its_bounds_in_bf16() {
    let (ran, _) = hold_all(&cpu(Isa::detect()), DType::Bf16);
    assert_eq!(kinds(&ran).len(), KINDS.len() - 1);
}

#[test]
fn the_portable_path_is_within_its_bounds() {
    for dtype in [DType::F32, DType::Bf16] {
        hold_all(&cpu(Isa::Portable), dtype);
    }
}

#[test]
fn candle_is_within_its_bounds() {
    for dtype in [DType::F32, DType::F64] {
        let (ran, refused) = hold_all(&candle(), dtype);
        let but_custom: Vec<&str> = KINDS.iter().copied().filter(|kind| *kind != "Custom").collect();
        assert_eq!(kinds(&ran), but_custom);
        assert!(refused.contains("Pow") && refused.contains("test.stop"), "{refused:?}");
    }
}

/// On the processor a constant operand takes another way (packed panels, converted vectors) and must not change a bit.
#[test]
fn constant_operands_give_the_bits_of_given_ones() {
    for (device, dtype) in [(cpu(Isa::detect()), DType::F32), (cpu(Isa::Portable), DType::F16)] {
        for case in all().iter().filter(|case| case.constants_from < case.inputs.len()) {
            let constant = case.in_dtype(dtype);
            let given = Case::new(constant.op.clone(), constant.inputs.clone());
            let (a, b) = (run(&device, &constant).expect("a run"), run(&device, &given).expect("a run"));
            assert_eq!(a.bytes(), b.bytes(), "{} in {dtype}: {}", device.info().id, constant.describe());
        }
    }
}

#[test]
fn indices_out_of_range_are_the_same_error_everywhere() {
    let devices = [
        (cpu(Isa::detect()), DType::F32),
        (cpu(Isa::Portable), DType::F16),
        (candle(), DType::F64),
        (reference(), DType::F64),
    ];
    for (device, dtype) in devices {
        for (bad, narrow) in
            [(3, false), (-1, false), (i64::MIN, false), (i64::MAX, false), (3, true), (-1, true)]
        {
            let data = floats(&[3, 2], &[0.0; 6]);
            let index = integers(&[4], &[0, 2, bad, bad]);
            let index = if narrow { stored(&index, DType::I32) } else { index };
            let gather = Case::new(Op::Gather { axis: 0 }, vec![data.clone(), index.clone()]);
            let add = Case::new(Op::IndexAdd { axis: 0 }, vec![data, index, floats(&[4, 2], &[0.0; 8])]);
            for case in [gather, add] {
                let case = case.in_dtype(dtype);
                let error = run(&device, &case).unwrap_err();
                let text = told(&error);
                let what = format!("{}: {}: {text}", device.info().id, case.describe());
                assert!(matches!(error, Error::Device(hal::Error::Value { .. })), "{what}");
                for part in ["node", "2", &bad.to_string(), "3"] {
                    assert!(text.contains(part), "no {part} in {what}");
                }
            }
        }
    }
}

#[test]
fn integers_that_cannot_be_divided_or_raised_are_errors() {
    for device in [cpu(Isa::detect()), reference()] {
        for (op, b) in [(BinaryOp::Div, 0), (BinaryOp::Pow, -1)] {
            for dtype in [DType::I64, DType::I32] {
                let inputs = [integers(&[3], &[1, 2, 3]), integers(&[3], &[1, b, 1])];
                let case = Case::new(Op::Binary(op), inputs.iter().map(|x| stored(x, dtype)).collect());
                let error = run(&device, &case).unwrap_err();
                assert!(matches!(error, Error::Device(hal::Error::Value { .. })), "{}", told(&error));
                assert!(told(&error).starts_with("node: "), "{}", told(&error));
            }
        }
    }
}

#[test]
fn sequence_ends_that_do_not_ascend_to_the_tokens_are_errors() {
    let attention = lockstep_runtime::graph::Attention {
        heads: 1,
        scale: 1.0,
        operands: lockstep_runtime::graph::Operands::Merged,
        sequences: lockstep_runtime::graph::Sequences::Ends,
    };
    for device in [cpu(Isa::detect()), candle()] {
        for ends in [[3, 2, 6], [1, 2, 5], [1, 2, 7], [-1, 2, 6]] {
            let inputs = vec![stored(&floats(&[6, 6], &[0.5; 36]), DType::F32), integers(&[3], &ends)];
            let error = run(&device, &Case::new(Op::Attention(attention), inputs)).unwrap_err();
            assert!(matches!(error, Error::Device(hal::Error::Value { .. })), "{ends:?}: {}", told(&error));
        }
    }
}
