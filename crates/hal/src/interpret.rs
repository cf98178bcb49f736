//! From "run this op on these tensors" to an `Executable`: the shortest way to a new backend.

use crate::{
    Buffer, Cancel, Error, Executable, HostBuffer, Location, OperandId, Program, Result, Step, WeightCache,
};
use lockstep_graph::tensor::{AlignedBytes, Bytes};
use lockstep_graph::{ConstantKey, HostTensor};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

/// A backend that owns its tensors and runs one op at a time. Correctness first: it allocates as it goes and ignores the
/// arena, so it claims no alias.
pub trait Interpreter: Send + Sync + Debug {
    /// Its tensors; cloning must be cheap.
    type Tensor: Clone + Send + Sync + Debug;

    /// A tensor of its own from the host's. Called once per constant, and per run for inputs.
    ///
    /// # Errors
    /// What the backend says.
    fn upload(&self, tensor: &HostTensor) -> Result<Self::Tensor>;

    /// The tensor in the host's form, in the operand's dtype and shape.
    ///
    /// # Errors
    /// What the backend says.
    fn download(&self, tensor: &Self::Tensor, operand: &crate::Operand) -> Result<HostTensor>;

    /// The same tensor in another shape of as many elements.
    ///
    /// # Errors
    /// What the backend says.
    fn reshape(&self, tensor: &Self::Tensor, shape: &[usize]) -> Result<Self::Tensor>;

    /// Runs one step on its inputs.
    ///
    /// # Errors
    /// [`Error::Value`] for values the op cannot take; what the backend says otherwise.
    fn run(&self, program: &Program, step: &Step, inputs: &[Self::Tensor]) -> Result<Vec<Self::Tensor>>;
}

/// A program on an [`Interpreter`], over [`HostBuffer`]s.
#[derive(Debug)]
pub struct Interpreted<I: Interpreter> {
    interpreter: Arc<I>,
    program: Arc<Program>,
    constants: HashMap<ConstantKey, Arc<I::Tensor>>,
    /// For every step, the operands that nothing reads after it.
    freed: Vec<Vec<OperandId>>,
}

impl<I: Interpreter> Interpreted<I> {
    /// Prepares a program: uploads the constants that `cache` does not hold yet.
    ///
    /// # Errors
    /// What the interpreter says.
    pub fn new(
        interpreter: Arc<I>,
        cache: &WeightCache<ConstantKey, I::Tensor>,
        program: Arc<Program>,
    ) -> Result<Self> {
        let mut constants = HashMap::new();
        for operand in program.operands() {
            if let Location::Constant(constant) = &operand.location {
                let key = constant.key();
                constants.insert(key, cache.get_or_make(key, || interpreter.upload(constant.tensor()))?);
            }
        }
        let freed = freed_after(&program);
        Ok(Self { interpreter, program, constants, freed })
    }

    fn operand_tensor(&self, values: &HashMap<OperandId, I::Tensor>, id: OperandId) -> Result<I::Tensor> {
        let operand = self.program.operand(id);
        let root = operand.view_of.unwrap_or(id);
        let tensor = match &self.program.operand(root).location {
            Location::Constant(constant) => self.constants.get(&constant.key()).map(Arc::as_ref),
            _ => values.get(&root),
        };
        let tensor = tensor.ok_or_else(|| Error::program(format!("`{}` holds nothing yet", operand.name)))?;
        if operand.view_of.is_some() || matches!(operand.location, Location::Constant(_)) {
            return self.interpreter.reshape(tensor, &operand.shape);
        }
        Ok(tensor.clone())
    }
}

fn freed_after(program: &Program) -> Vec<Vec<OperandId>> {
    let mut last = HashMap::new();
    for (at, step) in program.steps().iter().enumerate() {
        for &id in step.inputs.iter().chain(&step.outputs) {
            last.insert(program.operand(id).view_of.unwrap_or(id), at);
        }
    }
    let mut freed = vec![Vec::new(); program.steps().len()];
    for (id, at) in last {
        if matches!(program.operand(id).location, Location::Arena(_)) {
            freed[at].push(id);
        }
    }
    freed
}

impl<I: Interpreter + 'static> Executable for Interpreted<I> {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        let program = &self.program;
        program.check_buffers(io)?;
        let mut values = HashMap::new();
        for (slot, &id) in program.io()[..program.input_count()].iter().enumerate() {
            let operand = program.operand(id);
            let guard = HostBuffer::of(&io[slot])?.read()?;
            let bytes = Bytes::owned(AlignedBytes::copy_of(&guard.as_slice()[..operand.bytes()]));
            let tensor = HostTensor::from_bytes(operand.dtype, &operand.shape, bytes)?;
            values.insert(id, self.interpreter.upload(&tensor)?);
        }
        for (at, step) in program.steps().iter().enumerate() {
            cancel.check(&step.name)?;
            let _span = tracing::trace_span!("step", node = %step.name, op = %step.op).entered();
            let inputs =
                step.inputs.iter().map(|&id| self.operand_tensor(&values, id)).collect::<Result<Vec<_>>>()?;
            let outputs = self.interpreter.run(program, step, &inputs)?;
            if outputs.len() != step.outputs.len() {
                return Err(Error::program(format!("{} gave {} outputs", step.name, outputs.len())));
            }
            values.extend(step.outputs.iter().copied().zip(outputs));
            for id in &self.freed[at] {
                values.remove(id);
            }
        }
        for (slot, &id) in program.io().iter().enumerate().skip(program.input_count()) {
            let operand = program.operand(id);
            let tensor = self.operand_tensor(&values, id)?;
            let host = self.interpreter.download(&tensor, operand)?;
            HostBuffer::of(&io[slot])?.copy_in(0, host.bytes())?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}
