//! A device that is wrong on purpose: it wraps another and computes by a recipe, everywhere or at one node.
//!
//! Compiled only with the feature `mutants`, and in no registry: nothing can run on it by mistake.

use crate::one_op::{self, Argument};
use crate::recipes::{Fault, Recipe};
use lockstep_runtime::hal::tensor::HostTensor;
use lockstep_runtime::hal::{
    Buffer, Claim, Device, DeviceInfo, Error, Executable, HostBuffer, Interpreted, Interpreter, MemRules,
    OpQuery, Operand, Program, Result, Step, Support, Usage, WeightCache,
};
use lockstep_runtime::{Error as SessionError, Fallback};
use std::sync::Arc;

/// A device that computes as another, but for the ops that a recipe replaces.
#[derive(Debug)]
pub struct Mutant {
    info: DeviceInfo,
    kernels: Arc<Kernels>,
    weights: WeightCache<lockstep_runtime::graph::ConstantKey, HostTensor>,
}

#[derive(Debug)]
struct Kernels {
    inner: Arc<dyn Device>,
    recipe: Recipe,
    site: Option<String>,
}

impl Mutant {
    /// `inner` with `recipe` in place of its own kernels: at the node `site`, or at every op that recipes compute.
    pub fn device(inner: Arc<dyn Device>, recipe: Recipe, site: Option<&str>) -> Arc<dyn Device> {
        let mut info = inner.info().clone();
        info.id = "mutant:0".to_owned();
        let how = recipe.fault.map_or("none, but another recipe", Fault::describe);
        info.name = format!("{} with a planted fault: {how}", info.name);
        info.simulated = true;
        let kernels = Arc::new(Kernels { inner, recipe, site: site.map(str::to_owned) });
        Arc::new(Self { info, kernels, weights: WeightCache::default() })
    }
}

impl Device for Mutant {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        self.kernels.inner.mem_rules()
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        match self.kernels.inner.support(query) {
            // It owns its tensors: nothing is updated in place, and no scratch is used.
            Support::Native(claim) => Support::Native(Claim { alias: None, workspace: 0, ..claim }),
            other => other,
        }
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        HostBuffer::allocate(&self.info.id, bytes)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        HostBuffer::of(destination)?.copy_in(at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        HostBuffer::of(source)?.copy_out(at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        program.check_steps(self.as_ref())?;
        Ok(Box::new(Interpreted::new(self.kernels.clone(), &self.weights, program)?))
    }
}

impl Interpreter for Kernels {
    type Tensor = HostTensor;

    fn upload(&self, tensor: &HostTensor) -> Result<HostTensor> {
        Ok(tensor.clone())
    }

    fn download(&self, tensor: &HostTensor, _operand: &Operand) -> Result<HostTensor> {
        Ok(tensor.clone())
    }

    fn reshape(&self, tensor: &HostTensor, shape: &[usize]) -> Result<HostTensor> {
        Ok(tensor.reshape(shape)?)
    }

    fn run(&self, program: &Program, step: &Step, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let is_here = self.site.as_ref().is_none_or(|site| *site == step.name);
        let storage = program.operand(step.outputs[0]).dtype;
        if is_here && let Some(output) = self.recipe.run(&step.op, inputs, storage) {
            return Ok(vec![output]);
        }
        let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
        let outputs = one_op::run(&self.inner, Fallback::Deny, &step.name, &step.op, &arguments);
        let outputs = outputs.map_err(|error| match error {
            SessionError::Device(error) => error,
            other => Error::program(other.to_string()),
        })?;
        Ok(if is_here { outputs.into_iter().map(|y| self.recipe.stored(y)).collect() } else { outputs })
    }
}
