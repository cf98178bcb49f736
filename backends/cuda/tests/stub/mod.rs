//! The stub of a driver, compiled, and a test run again where the loader finds it: its path is read when a process starts.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses its own part.

use std::path::Path;
use std::process::Command;

/// Set in the process that meets the stub.
const AGAIN: &str = "LOCKSTEP_TEST_MEETS_A_STUB";

/// Whether this process is one that meets the stub; a panic ends it then.
pub fn is_met() -> bool {
    let met = std::env::var_os(AGAIN).is_some();
    if met {
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            std::process::abort()
        }));
    }
    met
}

/// What the test of that name, run with a driver that answers as `variables` say, writes: to standard output the words after
/// `said: `, to standard error each call.
pub fn run(test: &str, variables: &[(&str, &str)]) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub/driver.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let library = folder.path().join("libcuda.so");
    let compiled =
        Command::new(&compiler).args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
    let compiled = compiled.expect("a C compiler (cc, or what CC names)");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(AGAIN, "1")
        .env("LD_LIBRARY_PATH", folder.path())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let said: Vec<&str> = out.lines().filter_map(|line| Some(line.split_once("said: ")?.1)).collect();
    let calls = err.lines().filter_map(|line| Some(line.strip_prefix("call: ")?.to_owned())).collect();
    (said.join("\n"), calls)
}
