//! Whether a program is one that a device can compile as it stands. The planner asks before; a device asks again, since a
//! program may come from anywhere and kernels rely on sizes.

use crate::{Device, Error, NodeReason, OpQuery, OperandId, Program, Result, Support};
use lockstep_graph::{TensorType, infer};

impl Program {
    /// Refuses a program with steps that `device` does not run natively, all of them at once, or whose operands, scratch
    /// or aliases do not fit what the device claims.
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists the steps; [`Error::Graph`] and [`Error::Program`] name the first that does not fit.
    pub fn check_steps(&self, device: &dyn Device) -> Result<()> {
        let types = |ids: &[OperandId]| -> Vec<TensorType> {
            let operands = ids.iter().map(|&id| self.operand(id));
            operands.map(|operand| TensorType::fixed(operand.dtype, &operand.shape)).collect()
        };
        let mut nodes = Vec::new();
        for step in self.steps() {
            let (inputs, outputs) = (types(&step.inputs), types(&step.outputs));
            let inputs: Vec<&TensorType> = inputs.iter().collect();
            let wrong = |reason: &str| Error::program(format!("{} ({}): {reason}", step.name, step.op));
            if infer(&step.name, &step.op, &inputs)? != outputs {
                return Err(wrong("its outputs are not what the op gives"));
            }
            let query = OpQuery { op: &step.op, inputs: &inputs, outputs: &outputs };
            let (reason, tried) = match device.support(&query) {
                Support::Native(claim) if claim.workspace > step.workspace.len() => {
                    return Err(wrong("it has less scratch than the device claims for it"));
                }
                Support::Native(claim) if step.claim.alias.is_some() && step.claim.alias != claim.alias => {
                    return Err(wrong(
                        "it may overwrite an input, which the device does not claim to do in place",
                    ));
                }
                Support::Native(_) => continue,
                Support::Rewrite(rule) => {
                    ("has no kernel here".to_owned(), format!("its {rule} was not applied"))
                }
                Support::No(reason) => (reason.to_string(), "no rewrite is declared".to_owned()),
            };
            nodes.push(NodeReason {
                node: step.name.clone(),
                op: step.op.to_string(),
                inputs: inputs.iter().map(ToString::to_string).collect(),
                reason,
                tried,
            });
        }
        if nodes.is_empty() {
            Ok(())
        } else {
            Err(Error::Unsupported { device: device.info().id.clone(), nodes })
        }
    }
}
