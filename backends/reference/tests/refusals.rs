//! What the oracle does not take, and how it says so; custom ops.

mod program;

use lockstep_hal::graph::{
    BinaryOp, Custom, CustomOp, GraphBuilder, Op, ReduceOp, TensorType, UnaryOp, ValueId,
};
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{
    Backend, Cancel, Claim, Device, Error, Location, OpQuery, Operand, OperandId, Program, ProgramParts,
    Provenance, Step, Support,
};
use lockstep_reference::ReferenceBackend;
use program::{Compiled, apply, floats, graph_of, integers};
use std::sync::Arc;

fn device() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).unwrap()
}

fn complaint(op: Op, inputs: &[HostTensor]) -> String {
    match apply(&device(), op, inputs) {
        Err(error @ Error::Value { .. }) => error.to_string(),
        other => panic!("expected a value error, got {other:?}"),
    }
}

#[test]
fn an_index_out_of_range_is_named_with_node_position_and_limit() {
    for bad in [3, -1, i64::MAX, i64::MIN] {
        let expected = format!("node: index[1] is {bad}, must be at least 0 and below 3");
        let index = integers(&[2], &[0, bad]);
        assert_eq!(complaint(Op::Gather { axis: 0 }, &[floats(&[3], &[0.0; 3]), index.clone()]), expected);
        let inputs = [floats(&[3], &[0.0; 3]), index, floats(&[2], &[0.0; 2])];
        assert_eq!(complaint(Op::IndexAdd { axis: 0 }, &inputs), expected);
    }
}

#[test]
fn integer_division_by_zero_and_negative_powers_are_errors() {
    let inputs = [integers(&[3], &[1, 2, 3]), integers(&[3], &[1, 0, 1])];
    assert!(
        complaint(Op::Binary(BinaryOp::Div), &inputs)
            .starts_with("node: element 1 divides an integer by zero")
    );
    let inputs = [integers(&[1], &[2]), integers(&[1], &[-3])];
    assert!(complaint(Op::Binary(BinaryOp::Pow), &inputs).contains("power -3"));
}

#[test]
fn narrower_floats_are_refused_with_what_to_do() {
    let x = HostTensor::from_slice(&[1], &[1.0f32]).unwrap();
    for op in [
        Op::Unary(UnaryOp::Exp),
        Op::Softmax { axis: 0 },
        Op::Reduce { op: ReduceOp::Sum, axes: vec![0], keep_axes: false },
    ] {
        let Err(Error::Unsupported { device, nodes }) = apply(&self::device(), op, std::slice::from_ref(&x))
        else {
            panic!("an f32 op was not refused");
        };
        assert_eq!((device.as_str(), nodes.len(), nodes[0].node.as_str()), ("reference:0", 1, "node"));
        assert!(nodes[0].reason.contains("cast f32[1] to f64"), "{}", nodes[0].reason);
    }
}

#[test]
fn composites_are_declared_as_rewrites() {
    let ty = TensorType::fixed(DType::F64, &[2, 3]);
    let query = OpQuery { op: &Op::Softmax { axis: 1 }, inputs: &[&ty], outputs: std::slice::from_ref(&ty) };
    assert!(matches!(device().support(&query), Support::Rewrite(_)));
}

#[test]
fn there_is_one_device() {
    assert!(matches!(ReferenceBackend::new().open(1), Err(Error::NoSuchDevice { ordinal: 1, count: 1, .. })));
    assert_eq!(ReferenceBackend::new().devices().unwrap()[0].id, "reference:0");
}

#[test]
fn a_run_stops_at_a_set_cancel_flag() {
    let x = [floats(&[1], &[1.0])];
    let graph = graph_of(Op::Unary(UnaryOp::Neg), &x).unwrap();
    let mut compiled = Compiled::new(&device(), &graph, &x).unwrap();
    let cancel = Cancel::new();
    assert_eq!(compiled.run(&cancel).unwrap()[0].to_f64(), [-1.0]);
    cancel.cancel();
    assert!(matches!(compiled.run(&cancel), Err(Error::Cancelled { node }) if node == "node"));
}

#[test]
fn a_program_whose_operands_do_not_fit_is_refused_before_it_runs() {
    let operand = |name: &str, extent, location| Operand {
        name: name.to_owned(),
        dtype: DType::F64,
        shape: vec![extent],
        location,
        view_of: None,
    };
    let step = Step {
        name: "liar".to_owned(),
        op: Op::Slice { axis: 0, start: 7, step: 1, length: 2.into() },
        inputs: vec![OperandId(0)],
        outputs: vec![OperandId(1)],
        claim: Claim::fixed(DType::F64),
        workspace: 0..0,
        provenance: Provenance::Native,
    };
    let program = Program::new(ProgramParts {
        operands: vec![operand("x", 3, Location::Io(0)), operand("y", 2, Location::Io(1))],
        steps: vec![step],
        io: vec![OperandId(0), OperandId(1)],
        io_names: Vec::new(),
        input_count: 1,
        arena_bytes: 0,
        alignment: 64,
    });
    let error = device().compile(Arc::new(program.unwrap())).err().unwrap();
    assert!(
        error.to_string().starts_with("liar (Slice): 2 positions from 7 do not lie in an axis of 3"),
        "{error}"
    );
}

/// Twice x, or what a test asks for.
#[derive(Debug)]
struct Twice {
    reference: fn(&[HostTensor]) -> Result<Vec<HostTensor>, String>,
}

impl CustomOp for Twice {
    fn name(&self) -> &str {
        "test.Twice"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(inputs.to_vec())
    }

    fn decompose(
        &self,
        builder: &mut GraphBuilder,
        inputs: &[ValueId],
    ) -> lockstep_hal::graph::Result<Vec<ValueId>> {
        Ok(vec![builder.add("", inputs[0], inputs[0])?])
    }

    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>, String> {
        (self.reference)(inputs)
    }
}

fn twice(reference: fn(&[HostTensor]) -> Result<Vec<HostTensor>, String>) -> Op {
    Op::Custom(Custom::new(Arc::new(Twice { reference })))
}

#[test]
fn a_custom_op_runs_by_its_reference_in_f64() {
    let op = twice(|inputs| {
        let doubled: Vec<f64> =
            inputs[0].as_slice::<f64>().map_err(|e| e.to_string())?.iter().map(|x| 2.0 * x).collect();
        Ok(vec![HostTensor::from_slice(inputs[0].shape(), &doubled).map_err(|e| e.to_string())?])
    });
    // f32 arrives as f64 and leaves as f32.
    let x = HostTensor::from_slice(&[2], &[0.1f32, 3.0]).unwrap();
    let y = apply(&device(), op, &[x]).unwrap();
    assert_eq!(y.as_slice::<f32>().unwrap(), [0.2, 6.0]);
}

#[test]
fn a_custom_op_that_breaks_its_word_is_an_error() {
    let x = [floats(&[2], &[1.0, 2.0])];
    let cases: [(Op, &str); 4] = [
        (twice(|_| Err("is not a number".to_owned())), "is not a number"),
        (twice(|_| Ok(vec![])), "gives 0 outputs, its shape rule 1"),
        (twice(|_| Ok(vec![HostTensor::scalar(1.0f64)])), "output 0 as f64[], its shape rule says f64[2]"),
        (twice(|_| Ok(vec![HostTensor::from_slice(&[2], &[1i64, 2]).unwrap()])), "output 0 as i64[2]"),
    ];
    for (op, expected) in cases {
        let complaint = complaint(op, &x);
        assert!(complaint.contains(expected), "{complaint}");
    }
}
