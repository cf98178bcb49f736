//! What can go wrong while a session is built or run.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a session or of the registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A device specification that names nothing.
    #[error("unknown device `{spec}`: {reason}; known backends: {}", known.join(", "))]
    UnknownDevice {
        /// What was asked for.
        spec: String,
        /// What is wrong with it.
        reason: String,
        /// The backends of the registry.
        known: Vec<String>,
    },
    /// A session without a device.
    #[error("no device was given; call `SessionBuilder::device`")]
    NoDevice,
    /// An input that does not fit the graph.
    #[error("input `{input}`: {reason}")]
    Input {
        /// The input's name.
        input: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// An output that the run did not give.
    #[error("the run gave no `{name}`; it gave {}", given.join(", "))]
    NoOutput {
        /// What was asked for.
        name: String,
        /// What there is.
        given: Vec<String>,
    },
    /// An error of planning.
    #[error(transparent)]
    Plan(#[from] lockstep_plan::Error),
    /// An error of the device.
    #[error(transparent)]
    Device(#[from] lockstep_plan::hal::Error),
    /// An error of a tensor.
    #[error(transparent)]
    Tensor(#[from] lockstep_plan::hal::tensor::Error),
}

impl Error {
    /// Whether the run ended because it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        use lockstep_plan::hal::Error::Cancelled;
        matches!(
            self,
            Error::Device(Cancelled { .. }) | Error::Plan(lockstep_plan::Error::Device(Cancelled { .. }))
        )
    }
}
