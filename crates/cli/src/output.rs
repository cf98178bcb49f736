//! Standard output, where only results go.

use crate::failure::{Failure, Outcome};
use serde::Serialize;
use std::fmt::Arguments;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};

/// Standard output, buffered. A reader who leaves ends the command in peace ([`Failure::ClosedPipe`]).
#[derive(Debug)]
pub(crate) struct Output {
    stream: BufWriter<Stdout>,
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { stream: BufWriter::new(io::stdout()), json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a line of text.
    pub(crate) fn line(&mut self, text: Arguments<'_>) -> Outcome {
        writeln!(self.stream, "{text}").map_err(failed)
    }

    /// Writes an object as one line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Outcome {
        serde_json::to_writer(&mut self.stream, value).map_err(|error| match error.io_error_kind() {
            Some(kind) => failed(kind.into()),
            None => Failure::of(&error),
        })?;
        self.stream.write_all(b"\n").map_err(failed)
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Outcome {
        self.stream.flush().map_err(failed)
    }

    /// The stream itself, for whoever writes on its own.
    pub(crate) fn stream(&mut self) -> &mut impl Write {
        &mut self.stream
    }
}

/// What an error of standard output means.
pub(crate) fn failed(error: io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::Failed(format!("standard output: {error}")),
    }
}
