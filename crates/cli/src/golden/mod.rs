//! `lockstep golden`: one device's values, recorded for another machine.

mod check;
mod record;

use crate::failure::Outcome;
use crate::output::Output;
use check::CheckArguments;
use clap::{Args, Subcommand};
use record::RecordArguments;

/// To record, or to check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep golden record models/bert-small/document-classifier --device cpu --file documents.jsonl -o pack
  lockstep golden check pack --device candle

A pack holds the graph without its weights, inputs, checkpoints and outputs, the device with its numerics profile, and a \
digest of each. One that was cut short or edited, or that is of another model, is refused with exit code 5.")]
pub(crate) struct GoldenArguments {
    #[command(subcommand)]
    command: GoldenCommand,
}

#[derive(Debug, Subcommand)]
enum GoldenCommand {
    /// Run a model on a device and keep what it computed
    Record(RecordArguments),
    /// Run a recorded model on another device and compare
    Check(CheckArguments),
}

/// Records or checks.
pub(crate) fn golden(arguments: &GoldenArguments, output: &mut Output) -> Outcome {
    match &arguments.command {
        GoldenCommand::Record(arguments) => record::record(arguments, output),
        GoldenCommand::Check(arguments) => check::check(arguments, output),
    }
}
