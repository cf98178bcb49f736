//! `aclmdlExecute...`.
//!
//! `aclmdlExecute` has no stream: on a device it runs on one of the model's own and is waited for, so that nothing that
//! other streams still have to do comes before it. Here it runs on the calling thread.

use crate::exports::exports;
use crate::offline::config::{self, Executing};
use crate::offline::run::{Datasets, Run, Site};
use crate::offline::{dataset, model};
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, Stream};
use crate::runtime::worker::Task;
use crate::runtime::{capture, lock};
use lockstep_ascend_abi::{aclmdlDataset, aclmdlExecConfigHandle, aclrtStream};
use std::sync::Arc;

fn datasets(input: *const aclmdlDataset, output: *const aclmdlDataset) -> Result<Datasets, Failure> {
    Ok(Datasets { input: dataset::live(input, "input")?, output: dataset::live(output, "output")? })
}

/// Submits a run to a stream.
fn submit(
    symbol: &'static str,
    model_id: u32,
    datasets: &Datasets,
    config: Executing,
    stream: aclrtStream,
) -> Result<Arc<Stream>, Failure> {
    let model = model::live(model_id)?;
    let (stream, context) = stream::resolve(stream)?;
    // Our reading: what is captured are operators and copies.
    if lock(&stream.capture).is_some() {
        return Err(Failure::new(207_000, "a model cannot be executed in a stream that is being captured"));
    }
    let site = Site { stream: &stream, context: &context, queue: Some(&stream) };
    let run = Run::new(symbol, model, datasets, config, &site)?;
    stream.submit(Task { name: symbol, is_unconditional: false, run: Arc::new(move || run.run()) });
    Ok(stream)
}

exports! { model;
    fn aclmdlExecute(model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset) {
        let model = model::live(model_id)?;
        let datasets = datasets(input, output)?;
        capture::refuse_synchronous("aclmdlExecute")?;
        let (default, context) = stream::resolve(core::ptr::null_mut())?;
        let site = Site { stream: &default, context: &context, queue: None };
        let run = Run::new("aclmdlExecute", model, &datasets, Executing::default(), &site)?;
        run.run().map_err(|fault| Failure::new(fault.code, fault.text))
    }

    fn aclmdlExecuteV2(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
        handle: *const aclmdlExecConfigHandle,
    ) {
        let (datasets, config) = (datasets(input, output)?, config::of_executing(handle)?);
        capture::refuse_synchronous("aclmdlExecuteV2")?;
        let until = stream::deadline(config.stream_timeout)?;
        let stream = submit("aclmdlExecuteV2", model_id, &datasets, config, stream)?;
        if !stream.queue.wait(until) {
            let text = format!("the model is not done in {} ms", config.stream_timeout);
            return Err(Failure::new(507_046, text));
        }
        match stream.take_fault() {
            Some(fault) => Err(Failure::new(fault.code, fault.text)),
            None => Ok(()),
        }
    }

    fn aclmdlExecuteAsync(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
    ) {
        let datasets = datasets(input, output)?;
        submit("aclmdlExecuteAsync", model_id, &datasets, Executing::default(), stream)?;
        Ok(())
    }

    fn aclmdlExecuteAsyncV2(
        model_id: u32, input: *const aclmdlDataset, output: *mut aclmdlDataset, stream: aclrtStream,
        handle: *const aclmdlExecConfigHandle,
    ) {
        let (datasets, config) = (datasets(input, output)?, config::of_executing(handle)?);
        submit("aclmdlExecuteAsyncV2", model_id, &datasets, config, stream)?;
        Ok(())
    }
}
