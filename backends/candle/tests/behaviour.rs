//! What candle refuses, how it fails, and what it promises from run to run.

#[path = "../../reference/tests/program/mod.rs"]
mod program;

use lockstep_candle::CandleBackend;
use lockstep_hal::graph::{Attention, BinaryOp, Op, Operands, PoolKind, ReduceOp, Sequences, UnaryOp};
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{Backend, Cancel, Device, Error, Result};
use program::{Compiled, Random, apply, floats, graph_of, integers};
use std::sync::Arc;

fn device() -> Arc<dyn Device> {
    CandleBackend::new().open(0).unwrap()
}

fn run(op: Op, inputs: &[HostTensor]) -> Result<HostTensor> {
    apply(&device(), op, inputs)
}

#[test]
fn products_in_f32_are_candles() {
    let tensor = |values: &[f32]| HostTensor::from_slice(&[2, 2], values).unwrap();
    let product = run(Op::MatMul, &[tensor(&[1.0, 2.0, 3.0, 4.0]), tensor(&[5.0, 6.0, 7.0, 8.0])]).unwrap();
    assert_eq!(product.as_slice::<f32>().unwrap(), [19.0, 22.0, 43.0, 50.0]);
}

#[test]
fn an_index_out_of_range_is_named_and_never_reaches_candle() {
    // candle takes i64::MAX for "none" and gives zeros.
    for bad in [3, -1, i64::MAX, i64::MIN] {
        let index = integers(&[2], &[0, bad]);
        let gathered = run(Op::Gather { axis: 0 }, &[floats(&[3], &[0.0; 3]), index.clone()]);
        let added = run(Op::IndexAdd { axis: 0 }, &[floats(&[3], &[0.0; 3]), index, floats(&[2], &[0.0; 2])]);
        for result in [gathered, added] {
            let Err(Error::Value { node, reason }) = result else { panic!("{bad} was let through") };
            assert_eq!(node, "node");
            assert_eq!(reason, format!("index[1] is {bad}, must be at least 0 and below 3"));
        }
    }
}

#[test]
fn ends_that_are_not_ascending_or_not_complete_are_errors() {
    let attention =
        Attention { heads: 1, scale: 1.0, operands: Operands::Merged, sequences: Sequences::Ends };
    for (ends, complaint) in [
        ([3, 2], "ends[1] is 2, must be at least 3 and at most 4"),
        ([1, 5], "ends[1] is 5, must be at least 1 and at most 4"),
        ([-1, 4], "ends[0] is -1"),
        ([1, 3], "the last sequence ends at 3, there are 4 tokens"),
    ] {
        let pool = Op::Pool { kind: PoolKind::Mean, sequences: Sequences::Ends };
        for op in [Op::Attention(attention), pool] {
            let result = run(op, &[floats(&[4, 3], &[0.5; 12]), integers(&[2], &ends)]);
            let Err(error @ Error::Value { .. }) = result else { panic!("{ends:?} was let through") };
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }
}

#[test]
fn what_candle_lacks_is_refused_with_a_reason() {
    let half = HostTensor::from_f64(DType::F16, &[2], &[1.0, 2.0]).unwrap();
    let byte = HostTensor::from_slice(&[2], &[1i8, 2]).unwrap();
    let long = integers(&[2], &[1, 2]);
    let double = floats(&[2], &[-1.0, 2.0]);
    let cases = [
        (Op::Unary(UnaryOp::Exp), vec![half.clone()], "cast to f32"),
        (Op::Softmax { axis: 0 }, vec![half], "cast to f32"),
        (Op::Cast { to: DType::F32 }, vec![byte], "no i8"),
        (Op::Cast { to: DType::I8 }, vec![double.clone()], "no i8"),
        (
            Op::Binary(BinaryOp::Add),
            vec![long.clone(), long.clone()],
            "does not promise that i64 arithmetic wraps",
        ),
        (Op::Reduce { op: ReduceOp::Sum, axes: vec![0], keep_axes: false }, vec![long], "wraps"),
        (Op::Binary(BinaryOp::Pow), vec![double.clone(), double], "negative bases"),
    ];
    for (op, inputs, expected) in cases {
        let what = format!("{op:?}");
        let Err(Error::Unsupported { device, nodes }) = run(op, &inputs) else {
            panic!("{what} was not refused")
        };
        assert_eq!((device.as_str(), nodes.len()), ("candle:0", 1), "{what}");
        assert!(nodes[0].reason.contains(expected), "{what}: {}", nodes[0].reason);
    }
}

#[test]
fn the_same_run_gives_the_same_bits() {
    let seed = 3;
    let mut random = Random(seed);
    // Large enough that candle uses its threads.
    let inputs = [&[160, 192], &[192, 208]].map(|shape| random.tensor(shape).cast(DType::F32).unwrap());
    let mut compiled = Compiled::new(&device(), &graph_of(Op::MatMul, &inputs).unwrap(), &inputs).unwrap();
    let first = compiled.run(&Cancel::new()).unwrap();
    for at in 0..20 {
        assert_eq!(
            compiled.run(&Cancel::new()).unwrap()[0].bytes(),
            first[0].bytes(),
            "run {at}, seed {seed}"
        );
    }
}

#[test]
fn there_is_one_device() {
    assert!(matches!(CandleBackend::new().open(1), Err(Error::NoSuchDevice { ordinal: 1, count: 1, .. })));
    let info = CandleBackend::new().devices().unwrap().remove(0);
    assert_eq!((info.id.as_str(), info.default_dtype), ("candle:0", DType::F32));
}
