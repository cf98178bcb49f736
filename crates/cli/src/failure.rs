//! How a command can fail, and what the shell is told.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// The result of a command or a part of one.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line asks for what there is not: exit code 2.
    Usage(String),
    /// Something failed: exit code 1.
    Failed(String),
    /// What is judged could not be measured, since a device, a model or a file failed or is not there: exit code 3.
    NotMeasured(String),
    /// A device that is compared refuses ops: exit code 4.
    Unsupported(String),
    /// A golden pack that is damaged or of another model: exit code 5.
    Mismatch(String),
    /// As [`Failure::Failed`], and everything has been said already.
    Reported,
    /// Whoever read our output has gone: nothing is wrong.
    ClosedPipe,
}

impl Failure {
    /// An error of a device that is compared: what it refuses and what breaks have codes of their own.
    pub(crate) fn of_compared(error: lockstep_runtime::Error) -> Self {
        use lockstep_runtime::{Error, hal, plan};
        let text = with_causes(&error);
        match error {
            Error::Device(hal::Error::Unsupported { .. })
            | Error::Plan(plan::Error::Device(hal::Error::Unsupported { .. })) => Failure::Unsupported(text),
            // A plan computes constant parts on the device itself.
            Error::Device(error) | Error::Plan(plan::Error::Device(error))
                if matches!(
                    error,
                    hal::Error::Unavailable { .. }
                        | hal::Error::Device { .. }
                        | hal::Error::OutOfMemory { .. }
                ) =>
            {
                Failure::NotMeasured(text)
            }
            other => other.into(),
        }
    }

    /// An error with its causes, in one line.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Failure::Failed(with_causes(error))
    }
}

/// Errors that a better command line avoids are of usage.
impl From<lockstep_runtime::Error> for Failure {
    fn from(error: lockstep_runtime::Error) -> Self {
        use lockstep_runtime::{Error, hal};
        let text = with_causes(&error);
        match error {
            Error::UnknownDevice { .. } | Error::Device(hal::Error::NoSuchDevice { .. }) => {
                Failure::Usage(text)
            }
            _ => Failure::Failed(text),
        }
    }
}

impl From<lockstep_bert::Error> for Failure {
    fn from(error: lockstep_bert::Error) -> Self {
        use lockstep_bert::Error;
        let text = with_causes(&error);
        match error {
            Error::DTypeOfDevice { .. } | Error::EntitiesOfPair => Failure::Usage(text),
            _ => Failure::Failed(text),
        }
    }
}

impl From<lockstep_conformance::accept::Error> for Failure {
    fn from(error: lockstep_conformance::accept::Error) -> Self {
        use lockstep_conformance::accept::Error;
        match error {
            Error::Run(error) => Failure::of_compared(error),
            Error::Pack(error) => error.into(),
            _ => Failure::of(&error),
        }
    }
}

impl From<lockstep_conformance::repro::Error> for Failure {
    fn from(error: lockstep_conformance::repro::Error) -> Self {
        use lockstep_conformance::repro::Error;
        match error {
            Error::Run(error) => Failure::of_compared(error),
            _ => Failure::of(&error),
        }
    }
}

impl From<lockstep_conformance::golden::Error> for Failure {
    fn from(error: lockstep_conformance::golden::Error) -> Self {
        use lockstep_conformance::golden::Error;
        match error {
            Error::Run(error) => Failure::of_compared(error),
            Error::Mismatch { .. } => Failure::Mismatch(with_causes(&error)),
            _ => Failure::Failed(with_causes(&error)),
        }
    }
}

/// An error's text, and those of its causes that it does not already contain.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Says something on standard error; `kind` is `error`, `warning` or `note`.
pub(crate) fn say(kind: &str, what: impl Display) {
    // With standard error closed there is no one to tell.
    let _ = writeln!(std::io::stderr(), "{kind}: {what}");
}

/// Says what failed, if that is still to be said, and gives the code to exit with.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            say("error", text);
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            say("error", text);
            ExitCode::FAILURE
        }
        Err(Failure::NotMeasured(text)) => {
            say("error", text);
            ExitCode::from(3)
        }
        Err(Failure::Unsupported(text)) => {
            say("error", text);
            ExitCode::from(4)
        }
        Err(Failure::Mismatch(text)) => {
            say("error", text);
            ExitCode::from(5)
        }
        Err(Failure::Reported) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        let said = Layer("file: no such file", Some(Box::new(Layer("no such file", None))));
        assert_eq!(with_causes(&said), "file: no such file");
        let unsaid = Layer("loading", Some(Box::new(Layer("reading", Some(Box::new(Layer("disk", None)))))));
        assert_eq!(with_causes(&unsaid), "loading: reading: disk");
    }
}
