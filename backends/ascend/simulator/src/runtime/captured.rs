//! Captured models: lists of tasks that run as one.

use crate::exports::exports;
use crate::meta::executor::Fault;
use crate::registry::Registry;
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, Stream};
use crate::runtime::worker::Task;
use crate::runtime::{context, counts, lock};
use lockstep_ascend_abi::{aclmdlRI, aclrtStream};
use std::sync::Arc;

/// A live model.
pub(crate) struct Model {
    context: usize,
    tasks: Vec<Task>,
}

pub(crate) static MODELS: Registry<Model> = Registry::new(19);

impl Model {
    /// Of the context that its stream was captured in.
    pub(crate) fn new(context: usize, tasks: Vec<Task>) -> Self {
        Self { context, tasks }
    }

    /// Tasks of one execution.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Runs its tasks up to the first that faults.
    fn run(&self) -> Result<(), Fault> {
        self.tasks.iter().try_for_each(Task::run)
    }
}

/// A live model of the current context.
fn live(model: aclmdlRI) -> Result<Arc<Model>, Failure> {
    if model.is_null() {
        return Err(Failure::null("modelRI"));
    }
    let found = MODELS.get(model);
    let found = found.ok_or_else(|| Failure::refused("modelRI is not one that is alive"))?;
    match found.context == context::current()?.handle {
        true => Ok(found),
        false => Err(Failure::new(107_004, "the model was captured in another context than the current one")),
    }
}

fn submit(model: Arc<Model>, stream: &Stream) -> Result<(), Failure> {
    if lock(&stream.capture).is_some() {
        return Err(Failure::new(207_000, "a model cannot be executed in a stream that is being captured"));
    }
    counts::count(&counts::REPLAYS);
    let run = Arc::new(move || model.run());
    stream.submit(Task { name: "aclmdlRIExecuteAsync", is_unconditional: false, run });
    Ok(())
}

exports! { capture;
    fn aclmdlRIExecuteAsync(model_ri: aclmdlRI, stream: aclrtStream) {
        let model = live(model_ri)?;
        let (stream, _) = stream::resolve(stream)?;
        submit(model, &stream)
    }

    fn aclmdlRIExecute(model_ri: aclmdlRI, timeout: i32) {
        let model = live(model_ri)?;
        let until = stream::deadline(timeout)?;
        let (stream, _) = stream::resolve(core::ptr::null_mut())?;
        submit(model, &stream)?;
        if !stream.queue.wait(until) {
            return Err(Failure::new(507_046, format!("the model is not done in {timeout} ms")));
        }
        match stream.take_fault() {
            Some(fault) => Err(Failure::new(fault.code, fault.text)),
            None => Ok(()),
        }
    }

    fn aclmdlRIDestroy(model_ri: aclmdlRI) {
        let model = live(model_ri)?;
        // The registry and this call hold it; more are executions that have not ended.
        if Arc::strong_count(&model) > 2 {
            return Err(Failure::new(107_037, "the model is still running"));
        }
        MODELS.remove(model_ri);
        Ok(())
    }
}
