//! What the conformance suite does not say of ops: that every op has cases, that constants and given operands give the same
//! bits, and that values which an op cannot take are the same error everywhere.

use crate::{devices, folders};
use devices::Stop;
use folders::told;
use lockstep_candle::CandleBackend;
use lockstep_conformance::cases::{self, Case, KINDS, floats, integers, kind, stored};
use lockstep_cpu::{CpuBackend, Isa};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::{BinaryOp, Custom, Graph, GraphBuilder, Op, TensorType};
use lockstep_runtime::hal;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Backend, Device, Error, Session};
use std::collections::BTreeSet;
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

#[test]
fn every_op_has_cases() {
    let covered: BTreeSet<&str> = all().iter().map(|case| kind(&case.op)).collect();
    let missing: Vec<&&str> = KINDS.iter().filter(|kind| !covered.contains(**kind)).collect();
    assert!(missing.is_empty(), "no case of {missing:?}");
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
