//! A case in a process of its own: the libraries' state, and the environment that the simulator reads, are a process's.

use std::process::Command;

const VARIABLE: &str = "LOCKSTEP_ASCEND_TEST_CASE";

/// What a case said, and how it ended.
pub(crate) struct Ran {
    pub(crate) said: String,
    pub(crate) ended_well: bool,
}

/// The case that this process is for, if it is one.
pub(crate) fn case() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

/// Runs `test` of this program again, in the module of that path, for one case, with these variables.
pub(crate) fn run(module: &str, test: &str, case: &str, environment: &[(&str, &str)]) -> Ran {
    let test = match module.split_once("::") {
        Some((_, module)) => format!("{module}::{test}"),
        None => test.to_owned(),
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture", "--test-threads=1"]).env(VARIABLE, case);
    command.env_remove("RUST_BACKTRACE").envs(environment.iter().copied());
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    Ran { said: said.concat(), ended_well: output.status.success() }
}
