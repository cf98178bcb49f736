//! The two phases on operators that exist here alone: what the exported ones do not show.

use super::executor::{Operand, Planned, Refusal, Tensors, execute, prepare};
use crate::runtime::errors::{Failure, record};
use lockstep_ascend_abi::aclnnStatus;
use std::ptr::{null, null_mut};

/// Phase 1 of an operator without a kernel.
fn status_of(operands: &[Operand], plan: impl FnOnce(&Tensors) -> Result<(), Refusal>) -> aclnnStatus {
    let (mut workspace, mut executor) = (0, null_mut());
    let nothing = |tensors: &Tensors| {
        plan(tensors)?;
        Ok(Planned { workspace: 0, kernel: Box::new(|_| Ok(())) })
    };
    prepare("aclnnTestGetWorkspaceSize", operands, &mut workspace, &mut executor, nothing)
}

#[test]
fn an_optional_operand_may_be_null_and_keeps_its_place() {
    let operands = [Operand::optional(null(), "bias"), Operand::optional_output(null(), "mean")];
    let status = status_of(&operands, |tensors| {
        assert!((0..2).all(|at| tensors.optional(at).is_none()));
        Ok(())
    });
    assert_eq!(status, 0);
}

#[test]
fn what_is_not_optional_may_not_be_null() {
    for operand in [
        Operand::input(null(), "self"),
        Operand::output(null(), "out"),
        Operand::both(null(), "selfRef"),
        Operand::list(null(), "tensors"),
    ] {
        assert_eq!(status_of(&[operand], |_| Ok(())), 161_001);
    }
}

#[test]
fn a_refusal_keeps_its_status() {
    assert_eq!(status_of(&[], |_| Err(Refusal::new(561_003, "no kernel"))), 561_003);
}

#[test]
fn a_panic_in_a_plan_is_561000() {
    assert_eq!(status_of(&[], |_| panic!("on purpose")), 561_000);
}

#[test]
fn results_may_not_be_null() {
    let plan = |_: &Tensors| Ok(Planned { workspace: 0, kernel: Box::new(|_| Ok(())) });
    let mut workspace = 0;
    assert_eq!(prepare("aclnnTestGetWorkspaceSize", &[], &mut workspace, null_mut(), plan), 161_001);
    let mut executor = null_mut();
    assert_eq!(prepare("aclnnTestGetWorkspaceSize", &[], null_mut(), &mut executor, plan), 161_001);
    assert!(executor.is_null());
    assert_eq!(execute("aclnnTest", null_mut(), 0, executor, null_mut()), 561_103);
}

#[test]
fn a_thread_that_never_asks_keeps_64_messages() {
    for number in 0..100 {
        record("aclrtTest", &Failure::refused(format!("failure {number}")));
    }
    let text = crate::runtime::errors::take_messages().expect("some").into_string().expect("UTF-8");
    assert!(text.starts_with("[EE1001] aclrtTest: failure 99"));
    assert_eq!(text.matches("failure").count(), 64);
}
