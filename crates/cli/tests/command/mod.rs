//! The real binary, its models, and what it said.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use lockstep_bert::fixtures::{Fixture, FixtureHead};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A trained folder of the repository: `document-classifier`, `field-extractor`, `excerpt`.
pub fn trained(name: &str) -> String {
    path_text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small").join(name))
}

/// A small random model in a folder of its own.
pub fn folder(fixture: &Fixture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture.write(folder.path()).unwrap();
    folder
}

/// A small random model with this head.
pub fn folder_with(head: FixtureHead) -> TempDir {
    folder(&Fixture { head, ..Fixture::default() })
}

/// A file of these bytes in a folder.
pub fn file(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path_text(&path)
}

pub fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The binary, ready to be given arguments.
pub fn lockstep() -> Command {
    Command::new(PathBuf::from(env!("CARGO_BIN_EXE_lockstep")))
}

/// What a run said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its lines of JSON, after it ended well.
    pub fn json(&self) -> Vec<Value> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.json_lines()
    }

    /// Its lines of JSON, however it ended.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Asserts one line of error that holds all of `parts`, this exit code, and nothing on standard output.
    #[track_caller]
    pub fn fails_with(&self, code: i32, parts: &[&str]) {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(lines.len() == 1 && lines[0].starts_with("error: "), "not one error: {self:?}");
        for part in parts {
            assert!(lines[0].contains(part), "`{part}` is not in: {}", lines[0]);
        }
    }
}

/// Runs the binary on these arguments, with nothing to read.
pub fn run(arguments: &[&str]) -> Ran {
    Ran::of(lockstep().args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// Runs the binary on these arguments, with `input` to read.
pub fn run_reading(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = lockstep();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A command that fails early does not read on, which is no concern of the writer.
        scope.spawn(move || drop(stdin.write_all(input)));
        Ran::of(child.wait_with_output().unwrap())
    })
}
