//! `lockstep completions`.

use crate::arguments::Arguments;
use crate::failure::Outcome;
use crate::output::{Output, failed};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

/// A shell to complete the command line in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep completions bash > ~/.local/share/bash-completion/completions/lockstep
  lockstep completions zsh > \"${fpath[1]}/_lockstep\"
  lockstep completions fish > ~/.config/fish/completions/lockstep.fish")]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn completions(arguments: &CompletionsArguments, output: &mut Output) -> Outcome {
    // Into memory first: the generator panics where a stream fails.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "lockstep", &mut script);
    output.stream().write_all(&script).map_err(failed)
}
