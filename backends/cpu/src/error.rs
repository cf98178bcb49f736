//! What can go wrong while the backend is configured. Errors of runs are [`lockstep_hal::Error`]s.

/// A configuration that cannot be.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// No threads to run on.
    NoThreads,
    /// The operating system gave no threads.
    Threads(rayon::ThreadPoolBuildError),
    /// Two custom kernels of one name.
    DuplicateKernel(String),
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BuildError::NoThreads => {
                f.write_str("0 threads cannot run anything; give at least 1, or leave the choice out")
            }
            BuildError::Threads(source) => write!(f, "the threads could not be started: {source}"),
            BuildError::DuplicateKernel(name) => {
                write!(f, "two kernels were given for the custom op `{name}`")
            }
        }
    }
}

impl std::error::Error for BuildError {}
