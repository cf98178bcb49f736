//! The `lockstep` command.

fn main() -> std::process::ExitCode {
    lockstep_cli::run(std::env::args_os())
}
