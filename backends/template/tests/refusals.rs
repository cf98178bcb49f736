//! The template refuses everything, lists it all, and panics at nothing.
//!
//! When you clone it: keep this file, and take an op out of the list below when it gets its kernel.

use lockstep_hal::graph::{
    Activation, Attention, BinaryOp, CompareOp, GeluForm, Linear, Op, Operands, PoolKind, ReduceOp,
    Sequences, TensorType, UnaryOp,
};
use lockstep_hal::tensor::DType;
use lockstep_hal::{
    Backend, Claim, Device, Error, Location, OpQuery, Operand, OperandId, Program, ProgramParts, Provenance,
    Step, Support, Usage,
};
use lockstep_template::TemplateBackend;
use std::sync::Arc;

fn device() -> Arc<dyn Device> {
    TemplateBackend::new().open(0).unwrap()
}

fn ops() -> Vec<Op> {
    let attention =
        Attention { heads: 1, scale: 1.0, operands: Operands::Merged, sequences: Sequences::Dense };
    let mut ops = vec![
        Op::Select,
        Op::Cast { to: DType::F16 },
        Op::MatMul,
        Op::Transpose { permutation: vec![0] },
        Op::Reshape { shape: vec![3.into()] },
        Op::Expand { shape: vec![3.into()] },
        Op::Slice { axis: 0, start: 0, step: 1, length: 3.into() },
        Op::Concat { axis: 0 },
        Op::Gather { axis: 0 },
        Op::IndexAdd { axis: 0 },
        Op::Reduce { op: ReduceOp::Sum, axes: vec![0], keep_axes: true },
        Op::Fill { dtype: DType::F32, value: 0.0, shape: vec![3.into()] },
        Op::Iota { length: 3.into() },
        Op::Softmax { axis: 0 },
        Op::LayerNorm { epsilon: 1e-5 },
        Op::AddLayerNorm { epsilon: 1e-5 },
        Op::EmbedLayerNorm { dtype: DType::F32, epsilon: 1e-5 },
        Op::Gelu(GeluForm::Erf),
        Op::Linear(Linear { bias: true, activation: Some(Activation::Tanh), residual: false }),
        Op::Attention(attention),
        Op::Pool { kind: PoolKind::Mean, sequences: Sequences::KeyMask },
    ];
    ops.extend(UnaryOp::ALL.map(Op::Unary));
    ops.extend(BinaryOp::ALL.map(Op::Binary));
    ops.extend(CompareOp::ALL.map(Op::Compare));
    ops
}

#[test]
fn every_op_is_refused_with_what_to_do() {
    let ty = TensorType::fixed(DType::F32, &[3]);
    for op in ops() {
        let query = OpQuery { op: &op, inputs: &[&ty], outputs: std::slice::from_ref(&ty) };
        let Support::No(reason) = device().support(&query) else { panic!("{op} was not refused") };
        assert_eq!(reason.to_string(), format!("template: no kernel yet; implement {op} in kernels.rs"));
    }
}

#[test]
fn a_program_is_refused_with_all_its_steps() {
    let operand = |name: &str, slot| Operand {
        name: name.to_owned(),
        dtype: DType::F32,
        shape: vec![3],
        location: Location::Io(slot),
        view_of: None,
    };
    let step = |name: &str, op, output| Step {
        name: name.to_owned(),
        op,
        inputs: vec![OperandId(0)],
        outputs: vec![OperandId(output)],
        claim: Claim::fixed(DType::F32),
        workspace: 0..0,
        provenance: Provenance::Native,
    };
    let program = Program::new(ProgramParts {
        operands: vec![operand("x", 0), operand("y", 1), operand("z", 2)],
        steps: vec![step("first", Op::Unary(UnaryOp::Exp), 1), step("second", Op::Softmax { axis: 0 }, 2)],
        io: (0..3).map(OperandId).collect(),
        io_names: Vec::new(),
        input_count: 1,
        arena_bytes: 0,
        alignment: 64,
    });
    let Err(Error::Unsupported { device, nodes }) = device().compile(Arc::new(program.unwrap())) else {
        panic!("the program was not refused");
    };
    let listed: Vec<(&str, &str)> = nodes.iter().map(|node| (node.node.as_str(), node.op.as_str())).collect();
    assert_eq!((device.as_str(), listed), ("template:0", vec![("first", "Exp"), ("second", "Softmax")]));
    assert_eq!(nodes[0].inputs, ["f32[3]"]);
}

#[test]
fn host_memory_is_written_and_read_back() {
    let device = device();
    let buffer = device.alloc(4, Usage::Input).unwrap();
    device.write(&buffer, 1, &[7, 8]).unwrap();
    let mut bytes = [0; 4];
    device.read(&buffer, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 7, 8, 0]);
    assert!(device.read(&buffer, 3, &mut bytes).is_err());
}

#[test]
fn there_is_one_device() {
    let backend = TemplateBackend::new();
    assert!(matches!(backend.open(1), Err(Error::NoSuchDevice { ordinal: 1, count: 1, .. })));
    assert_eq!((backend.name(), backend.devices().unwrap()[0].id.as_str()), ("template", "template:0"));
}
