//! The command line: what all commands share, and how values are read.

use crate::accept::AcceptArguments;
use crate::conform::ConformArguments;
use crate::devices::DevicesArguments;
use crate::export::ExportArguments;
use crate::golden::GoldenArguments;
use crate::{bench::BenchArguments, compare::CompareArguments, completions::CompletionsArguments};
use crate::{inspect::InspectArguments, run::RunArguments};
use clap::{Args, Parser, Subcommand};
use lockstep_runtime::tensor::DType;
use std::fmt;
use std::str::FromStr;

/// More threads than any machine this runs on has; beyond it a pool only eats memory.
const MOST_THREADS: usize = 4096;
/// More texts than this in one batch cost memory and gain nothing.
const MOST_TEXTS: usize = 4096;
/// More graphs than this take days.
const MOST_GRAPHS: usize = 100_000_000;

/// Runs one neural-network graph on every device, and shows where devices differ.
#[derive(Debug, Parser)]
#[command(
    name = "lockstep",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "\
Example:
  lockstep run models/bert-small/document-classifier --text \"兹证明王伟系我单位员工，月均收入12,000.00元\"

Exit codes: 0 done; 1 something failed (a model, a file, a text), or numbers do not hold; 2 the command line asks for \
what there is not. Where devices are judged, 1 is for numbers alone; 3 a device, a model or a file failed or is not there; \
4 a device refuses ops; 5 a golden pack does not fit."
)]
pub(crate) struct Arguments {
    /// Print JSON instead of text; one object per line where there are several
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List every backend compiled in and its devices, with memory, dtypes and numerics
    Devices(DevicesArguments),
    /// Run a model on texts: a label with its scores, entities, or an embedding
    Run(RunArguments),
    /// Show what a model is and costs, and how a device runs each of its nodes
    Inspect(InspectArguments),
    /// Measure a model's speed against this machine's peak, or beside another device
    Bench(BenchArguments),
    /// Run a model on two devices, judge every op of the second on its own, and name the guilty
    Compare(CompareArguments),
    /// Test every op of a device against bounds from float64, or the suite itself against known faults
    Conform(ConformArguments),
    /// Record what a device computes, or hold another device against it, on another machine
    Golden(GoldenArguments),
    /// Judge whether a device may take another's place on a model: answers, scores and speed, as a page to sign
    Accept(AcceptArguments),
    /// Write a model as ONNX for other compilers; for Huawei's ATC with the command lines that compile it
    Export(ExportArguments),
    /// Print a shell's completion script
    Completions(CompletionsArguments),
}

/// Where a model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArguments {
    /// The device: a backend's name, or name:number; `lockstep devices` lists them. Behind an @ the file of a compiled model that it
    /// runs whole: ascend:0@model_origin.om
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// The dtype to compute in: f32, f16, bf16 or f64 [default: the device's own]
    #[arg(long, value_name = "DTYPE", value_parser = float)]
    pub(crate) dtype: Option<DType>,
    /// Threads of the cpu device, and of the pool that candle shares with its libraries [default: all]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

/// A batch of so many sequences of so many tokens, written `8x128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) batch: usize,
    pub(crate) seq: usize,
}

impl Shape {
    /// The same with at most `longest` tokens.
    pub(crate) fn within(self, longest: usize) -> Self {
        Self { seq: self.seq.min(longest), ..self }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}", self.batch, self.seq))
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a shape; write BATCHxTOKENS, such as 8x128");
        let (batch, seq) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
        let extent = |text: &str| text.parse().ok().filter(|&extent| (1..=1 << 20).contains(&extent));
        Ok(Self { batch: extent(batch).ok_or_else(wrong)?, seq: extent(seq).ok_or_else(wrong)? })
    }
}

pub(crate) fn float(text: &str) -> Result<DType, String> {
    let dtype = DType::from_str(text).ok().filter(|dtype| dtype.is_float());
    dtype.ok_or_else(|| "expected f32, f16, bf16 or f64".to_owned())
}

fn count(text: &str, largest: usize) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=largest).contains(count));
    count.ok_or_else(|| format!("expected 1 to {largest}"))
}

pub(crate) fn threads(text: &str) -> Result<usize, String> {
    count(text, MOST_THREADS)
}

/// How many graphs are run; a number that no machine gets through is a slip.
pub(crate) fn graphs(text: &str) -> Result<usize, String> {
    count(text, MOST_GRAPHS)
}

/// The texts of one batch.
pub(crate) fn texts(text: &str) -> Result<usize, String> {
    count(text, MOST_TEXTS)
}

/// A duration in seconds, above 0 and at most an hour.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|&seconds: &f64| seconds > 0.0 && seconds <= 3600.0);
    seconds.ok_or_else(|| "expected seconds, above 0 and at most 3600".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_with_an_example() {
        let command = Arguments::command();
        for command in command.get_subcommands().chain([&command]) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("  lockstep "), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn shapes_are_two_positive_numbers() {
        assert_eq!("8x128".parse(), Ok(Shape { batch: 8, seq: 128 }));
        for wrong in ["8", "8x", "x8", "0x8", "8x0", "8x-1", "8x128x2", "9999999999x1", ""] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn zero_is_no_number_of_threads() {
        assert_eq!(threads("0").unwrap_err(), "expected 1 to 4096");
        assert!(threads("5000").is_err() && threads("two").is_err());
        assert_eq!(threads("2"), Ok(2));
    }

    #[test]
    fn seconds_are_finite_and_positive() {
        for wrong in ["0", "-1", "nan", "inf", "4000", "soon"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.25"), Ok(0.25));
    }
}
