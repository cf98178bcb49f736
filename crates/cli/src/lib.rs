//! The lockstep command: a thin shell over the libraries.
//!
//! One module per command, named as the command. Results go to standard output and all else to standard error, so that
//! what is piped on is only ever results. A run ends with 0; with 1 for a failure (a model, a file, a text, numbers that do
//! not hold); with 2 for a command line that asks for what there is not. Where devices are judged, 1 is for numbers alone, 3
//! for whatever kept them from being measured, 4 for ops that a device refuses and 5 for a golden pack that does not fit.

mod accept;
mod arguments;
mod backends;
mod bench;
mod compare;
mod completions;
mod conform;
mod devices;
mod documents;
mod export;
mod failure;
mod given;
mod golden;
mod inspect;
mod output;
mod progress;
mod reports;
mod repro;
mod run;
mod table;
mod tokens;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::{Failure, Outcome};
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line `arguments`, the program's name first, and gives the code to exit with.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version are such errors too, with their own stream and code.
        Err(error) => {
            // A closed stream leaves nothing to be told to.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut output = Output::new(arguments.json);
    let outcome = match &arguments.command {
        Command::Devices(devices) => devices::devices(devices, &mut output),
        Command::Run(run) => run::run(run, &mut output),
        Command::Inspect(inspect) => inspect::inspect(inspect, &mut output),
        Command::Bench(bench) => bench::bench(bench, &mut output),
        Command::Compare(compare) => measured(compare::compare(compare, &mut output)),
        Command::Conform(conform) => measured(conform::conform(conform, &mut output)),
        Command::Accept(accept) => measured(accept::accept(accept, &mut output)),
        Command::Golden(golden) => measured(golden::golden(golden, &mut output)),
        Command::Export(export) => export::export(export, &mut output),
        Command::Completions(completions) => completions::completions(completions, &mut output),
    };
    failure::exit_code(outcome.and_then(|()| output.flush()))
}

/// Where devices are judged, code 1 says that numbers do not hold and nothing else: what kept them from being measured has
/// another.
fn measured(outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| match failure {
        Failure::Failed(text) => Failure::NotMeasured(text),
        other => other,
    })
}
