//! Reports beside the terminal's: a page, and JUnit.

use crate::failure::{Failure, Outcome};
use clap::Args;
use lockstep_conformance::report::Page;
use lockstep_conformance::report::junit::{self, Suite};
use std::path::{Path, PathBuf};

/// Files to write.
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Write the report as one self-contained HTML page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl ReportArguments {
    /// Writes what was asked for.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn write(&self, report: &impl Page, suites: impl FnOnce() -> Vec<Suite>) -> Outcome {
        if let Some(path) = &self.html {
            write_file(path, &report.html().map_err(|error| Failure::of(&error))?)?;
        }
        match &self.junit {
            Some(path) => write_file(path, &junit::report(&suites())),
            None => Ok(()),
        }
    }
}

fn write_file(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

/// The command line that is running, as a POSIX shell would read it again.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("lockstep".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_part_it() {
        assert_eq!(quoted("--devices"), "--devices");
        assert_eq!(quoted("a b's"), "'a b'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
