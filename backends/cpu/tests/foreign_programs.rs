//! Programs that no planner of ours made: the CPU compiles what it claims, and nothing that would alias behind its back.

use lockstep_cpu::CpuBackend;
use lockstep_hal::graph::{DType, Op};
use lockstep_hal::{
    Backend, Claim, Device, Location, Operand, OperandId, Program, ProgramParts, Provenance, Result, Step,
};
use std::sync::Arc;

const BYTES: usize = 64;

/// input -> a (exp) -> b (`last` of a) -> output, where b may lie in a's place.
fn program(last: Op, claim: Claim) -> Result<Arc<Program>> {
    let operand = |name: &str, location| Operand {
        name: name.to_owned(),
        dtype: DType::F32,
        shape: vec![4, 4],
        location,
        view_of: None,
    };
    let step = |op: Op, input: usize, output: usize, claim: Claim| Step {
        name: format!("step to {output}"),
        op,
        inputs: vec![OperandId(input)],
        outputs: vec![OperandId(output)],
        claim,
        workspace: 0..0,
        provenance: Provenance::Native,
    };
    let exp = Op::Unary(lockstep_hal::graph::UnaryOp::Exp);
    let plain = Claim::fixed(DType::F32);
    let parts = ProgramParts {
        operands: vec![
            operand("input", Location::Io(0)),
            operand("output", Location::Io(1)),
            operand("a", Location::Arena(0..BYTES)),
            operand("b", Location::Arena(0..BYTES)),
        ],
        steps: vec![step(exp.clone(), 0, 2, plain), step(last, 2, 3, claim), step(exp, 3, 1, plain)],
        io: vec![OperandId(0), OperandId(1)],
        io_names: Vec::new(),
        input_count: 1,
        arena_bytes: BYTES,
        alignment: 64,
    };
    Ok(Arc::new(Program::new(parts)?))
}

fn compiled(last: Op) -> Result<()> {
    let device: Arc<dyn Device> = CpuBackend::default().open(0)?;
    device.compile(program(last, Claim::fixed(DType::F32).aliasing(0, 0))?).map(drop)
}

#[test]
fn an_alias_that_the_cpu_claims_is_taken() {
    compiled(Op::Unary(lockstep_hal::graph::UnaryOp::Neg)).unwrap();
}

#[test]
fn an_alias_that_the_cpu_does_not_claim_is_refused() {
    let error = compiled(Op::Transpose { permutation: vec![1, 0] }).unwrap_err().to_string();
    assert!(error.contains("step to 3 (Transpose)") && error.contains("in place"), "{error}");
}
