//! What this backend complains about.
//!
//! What to do, in order:
//! 1. Turn the driver's codes into [`Error::Device`] with the function called, the node that ran and the driver's own
//!    text; a code alone helps nobody.
//! 2. Turn a missing library into [`Error::Unavailable`]: what was searched for, where, and what to install.
//! 3. Keep `unsupported`: a program is refused with all its steps at once, so that a port is planned from one message.

use crate::support;
use lockstep_hal::graph::TensorType;
use lockstep_hal::{Error, NodeReason, Program, Step};

/// Every step of the program that has no kernel; today, every step.
pub(crate) fn unsupported(device: &str, program: &Program) -> Error {
    let refusal = |step: &Step| {
        let reason = support::refusal(&step.op)?;
        let operands = step.inputs.iter().map(|&id| program.operand(id));
        let types = operands.map(|operand| TensorType::fixed(operand.dtype, &operand.shape).to_string());
        Some(NodeReason {
            node: step.name.clone(),
            op: step.op.to_string(),
            inputs: types.collect(),
            reason,
            tried: "no rewrite is declared".to_owned(),
        })
    };
    Error::Unsupported {
        device: device.to_owned(),
        nodes: program.steps().iter().filter_map(refusal).collect(),
    }
}
