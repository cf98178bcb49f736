//! What a caller may choose.

/// Whether sequences of unequal length are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Where the device prefers it and the graph can be packed.
    #[default]
    Auto,
    /// Always; a graph that cannot be packed is an error.
    Required,
    /// Never.
    Off,
}

/// Whether a program is made for the very extents of a batch, or for a bucket that many batches fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extents {
    /// Buckets where the device prefers them and the graph allows it.
    #[default]
    Auto,
    /// Buckets where the graph allows it.
    Bucketed,
    /// Never a bucket.
    Exact,
}

/// What happens to a node that the device refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// An error that lists every such node.
    #[default]
    Deny,
    /// Its decomposition, where it has one that the device runs; recorded per node.
    Decompose,
}

/// How a graph is prepared for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Whether sequences are packed.
    pub packing: Packing,
    /// Whether batches are filled up to a bucket.
    pub extents: Extents,
    /// What happens to refused nodes.
    pub fallback: Fallback,
    /// Whether nodes are fused where the device runs the fused op.
    pub fuse: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { packing: Packing::Auto, extents: Extents::Auto, fallback: Fallback::Deny, fuse: true }
    }
}
