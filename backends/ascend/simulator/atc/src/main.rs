//! `atc-sim`: see `atc-sim --help`.

use clap::Parser;
use lockstep_atc_simulator::{Error, Flags, Result, compile};
use std::io::{self, Write};
use std::process::ExitCode;

/// The command line asks for what there is not.
const USAGE: u8 = 2;
const FAILED: u8 = 1;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(if matches!(error, Error::Flag { .. }) { USAGE } else { FAILED })
        }
    }
}

fn run(flags: &Flags) -> Result<()> {
    let options = flags.checked()?;
    let compiled = compile(&options)?;
    for warning in compiled.warnings() {
        say(&format!("warning: {warning}"));
    }
    compiled.save(options.output())?;
    // A reader who leaves does not make the file a bad one.
    let _ = writeln!(
        io::stdout(),
        "{}\nwrote      {}, a SIMULATED model: the simulator of ACL runs it, and no NPU does",
        compiled.report(),
        options.output().display()
    );
    Ok(())
}

/// Says something to people, who may not be listening.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
