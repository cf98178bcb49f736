//! Tensors in, tensors out: a model without its tokenizer, for whoever compares its numbers with another program's.

use super::warn;
use crate::arguments::DeviceArguments;
use crate::backends;
use crate::failure::{Failure, Outcome, say};
use crate::inspect::load;
use crate::output::Output;
use clap::Args;
use lockstep_conformance::inputs;
use lockstep_runtime::Session;
use lockstep_runtime::tensor::{DType, HostTensor, write_safetensors};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of a line of JSON.
const SCHEMA: &str = "lockstep-run-tensors/1";

/// How to run on tensors.
#[derive(Debug, Args)]
pub(super) struct TensorArguments {
    /// Run on tensors: a folder with a file for each input of the graph (NAME.npy, NAME.pb or one inputs.safetensors); may be
    /// given several times
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["text", "pair", "file", "input", "format", "batch", "max_length", "aggregation"])]
    pub(super) inputs: Vec<PathBuf>,
    /// With --inputs: write the outputs for each DIR to DIR's name with .safetensors, in this folder
    #[arg(long, value_name = "FOLDER", requires = "inputs")]
    save: Option<PathBuf>,
    /// With --inputs: run each so many times; an output whose bits change is a failure
    #[arg(long, value_name = "N", requires = "inputs", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: u32,
}

/// What the runs on one set of tensors gave.
#[derive(Debug, Serialize)]
struct Record<'a> {
    /// Counts changes that break the readers of this JSON.
    schema: &'static str,
    inputs: &'a Path,
    device: &'a str,
    simulated: bool,
    dtype: DType,
    outputs: Vec<OutputRecord<'a>>,
    runs: u32,
    /// Whether every run gave the bits of the first.
    same_bits: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<&'a Path>,
}

#[derive(Debug, Serialize)]
struct OutputRecord<'a> {
    name: &'a str,
    dtype: DType,
    shape: &'a [usize],
}

impl<'a> OutputRecord<'a> {
    fn of((name, tensor): &'a (String, HostTensor)) -> Self {
        Self { name, dtype: tensor.dtype(), shape: tensor.shape() }
    }
}

/// Runs a model on each set of tensors, in one session.
///
/// # Errors
/// What keeps the model from being loaded; tensors that do not fit it; a file that is there already; at the end, bits that
/// changed between runs.
pub(super) fn run(
    folder: &Path,
    device: &DeviceArguments,
    arguments: &TensorArguments,
    output: &mut Output,
) -> Outcome {
    let files = arguments.files()?;
    let DeviceArguments { device, dtype, threads } = device;
    let device = backends::open(device, *threads)?;
    let (model, dtype) = load(folder, device.as_ref(), *dtype)?;
    warn(folder, model.warnings());
    let session = Session::builder(model.graph().clone()).device(device.clone()).build()?;
    let mut all_same = true;
    for (path, saved) in arguments.inputs.iter().zip(&files) {
        let given = inputs::read(path, model.graph()).map_err(|error| Failure::of(&error))?;
        given.remarks.iter().for_each(|remark| say("note", remark));
        let tensors: Vec<(&str, &HostTensor)> =
            given.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let first = session.run(&tensors)?;
        let mut same_bits = true;
        for number in 2..=arguments.repeat {
            let again = session.run(&tensors)?;
            if let Some(said) = difference(first.outputs(), again.outputs()) {
                say("error", format_args!("{}: run {number}: {said}", path.display()));
                same_bits = false;
                break;
            }
        }
        all_same &= same_bits;
        if let Some(file) = saved {
            let tensors = first.outputs().iter().map(|(name, tensor)| (name.as_str(), tensor));
            write_safetensors(file, tensors).map_err(|error| Failure::of(&error))?;
        }
        let record = Record {
            schema: SCHEMA,
            inputs: path,
            device: &device.info().id,
            simulated: device.info().simulated,
            dtype,
            outputs: first.outputs().iter().map(OutputRecord::of).collect(),
            runs: arguments.repeat,
            same_bits,
            saved: saved.as_deref(),
        };
        if output.is_json() {
            output.json_line(&record)?
        } else {
            record.print(output)?
        }
        output.flush()?;
    }
    if all_same { Ok(()) } else { Err(Failure::Reported) }
}

/// The first output whose bits are not the same, in words.
fn difference(first: &[(String, HostTensor)], again: &[(String, HostTensor)]) -> Option<String> {
    let differs = first.iter().zip(again).find(|((_, a), (_, b))| a.bytes() != b.bytes());
    let ((name, a), (_, b)) = differs?;
    let size = a.dtype().size();
    let values = a.bytes().chunks(size).zip(b.bytes().chunks(size)).filter(|(a, b)| a != b).count();
    Some(format!("{values} of {} values of `{name}` are not the bits of the first run", a.element_count()))
}

impl TensorArguments {
    /// Where each run's outputs go, if they are to be kept.
    ///
    /// # Errors
    /// Two folders of one name, a folder without one, a file that is there already.
    fn files(&self) -> Outcome<Vec<Option<PathBuf>>> {
        let Some(folder) = &self.save else { return Ok(vec![None; self.inputs.len()]) };
        let mut taken = BTreeSet::new();
        let mut files = Vec::new();
        for path in &self.inputs {
            let shown = path.display();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Failure::Usage(format!(
                    "--inputs {shown} has no name to save its outputs under"
                )));
            };
            let file = folder.join(format!("{}.safetensors", name.trim_end_matches(".safetensors")));
            if !taken.insert(file.clone()) {
                let what = format!("--inputs {shown}: another of that name is saved as {}", file.display());
                return Err(Failure::Usage(what));
            }
            if file.exists() {
                let what = format!("--save: {} is there already; name another folder", file.display());
                return Err(Failure::Usage(what));
            }
            files.push(Some(file));
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
        Ok(files)
    }
}

impl Record<'_> {
    fn print(&self, output: &mut Output) -> Outcome {
        let outputs = self.outputs.iter().map(|it| format!("{} {} {:?}", it.name, it.dtype, it.shape));
        let simulated = if self.simulated { " (simulated)" } else { "" };
        let saved = self.saved.map_or_else(String::new, |file| format!("; saved as {}", file.display()));
        let bits = match (self.runs, self.same_bits) {
            (1, _) => String::new(),
            (runs, true) => format!("; {runs} runs, the same bits"),
            (_, false) => "; the bits CHANGED between runs".to_owned(),
        };
        output.line(format_args!(
            "{} on {}{simulated} in {}: {}{bits}{saved}",
            self.inputs.display(),
            self.device,
            self.dtype,
            outputs.collect::<Vec<_>>().join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(values: [f32; 3]) -> Vec<(String, HostTensor)> {
        vec![("logits".to_owned(), HostTensor::from_slice(&[3], &values).unwrap())]
    }

    #[test]
    fn bits_that_compare_equal_as_numbers_are_told_apart() {
        assert_eq!(difference(&outputs([0.0, 1.0, f32::NAN]), &outputs([0.0, 1.0, f32::NAN])), None);
        let said = difference(&outputs([0.0, 1.0, 2.0]), &outputs([-0.0, 1.0, 3.0])).unwrap();
        assert_eq!(said, "2 of 3 values of `logits` are not the bits of the first run");
    }
}
