//! How kernels use more than one thread without knowing whose threads they are.

/// Runs the pieces of a kernel. Pieces write disjoint parts of the output, so their order and thread never change a bit.
pub trait Parallel: Sync {
    /// How many threads may work at once; at least 1.
    fn threads(&self) -> usize;

    /// Calls `piece(0)` to `piece(pieces - 1)`, each exactly once, in any order and on any thread, and returns when all are done.
    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync));
}

/// Runs every piece on the calling thread, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        for index in 0..pieces {
            piece(index);
        }
    }
}
