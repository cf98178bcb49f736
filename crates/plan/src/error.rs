//! What can go wrong between a graph and a program.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of planning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Packing was required and the graph cannot be packed.
    #[error("sequences cannot be packed: {reason}; let the session choose, or turn packing off")]
    CannotPack {
        /// Which node stands in the way, and why.
        reason: String,
    },
    /// A mask that no sequence can be read from.
    #[error("{input}: {reason}")]
    Mask {
        /// The mask's input name.
        input: String,
        /// Which row, and what to do.
        reason: String,
    },
    /// An error of the graph.
    #[error(transparent)]
    Graph(#[from] lockstep_hal::graph::Error),
    /// An error of the device.
    #[error(transparent)]
    Device(#[from] lockstep_hal::Error),
    /// An error of a tensor.
    #[error(transparent)]
    Tensor(#[from] lockstep_hal::tensor::Error),
}
