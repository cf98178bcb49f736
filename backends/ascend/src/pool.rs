//! Device memory in pieces of larger allocations, since asking the runtime often is slow.

use crate::kernels::padded;
use std::collections::BTreeMap;

/// Pieces of up to so many bytes share chunks; larger ones have their own.
const LARGEST_PIECE: usize = 1 << 20;
/// The bytes of a shared chunk.
const CHUNK: usize = 8 << 20;
/// What allocations of their own are rounded up to: a huge page.
const PAGE: usize = 2 << 20;

/// Free pieces of one allocation, by where they begin.
#[derive(Debug)]
struct Chunk {
    bytes: usize,
    free: BTreeMap<usize, usize>,
}

impl Chunk {
    fn new(bytes: usize) -> Self {
        Self { bytes, free: BTreeMap::from([(0, bytes)]) }
    }

    /// The smallest free piece that is large enough.
    fn take(&mut self, bytes: usize) -> Option<usize> {
        let (&at, &size) =
            self.free.iter().filter(|(_, size)| **size >= bytes).min_by_key(|(_, size)| **size)?;
        self.free.remove(&at);
        if size > bytes {
            self.free.insert(at + bytes, size - bytes);
        }
        Some(at)
    }

    fn give(&mut self, at: usize, bytes: usize) {
        let (mut at, mut bytes) = (at, bytes);
        if let Some((&before, &size)) = self.free.range(..at).next_back()
            && before + size == at
        {
            self.free.remove(&before);
            (at, bytes) = (before, size + bytes);
        }
        if let Some(size) = self.free.remove(&(at + bytes)) {
            bytes += size;
        }
        self.free.insert(at, bytes);
    }

    fn is_unused(&self) -> bool {
        self.free.get(&0) == Some(&self.bytes)
    }
}

/// Where allocations come from.
pub(crate) trait Source {
    /// What goes wrong.
    type Error;

    /// An allocation of that many bytes: its address.
    fn allocate(&mut self, bytes: usize) -> Result<u64, Self::Error>;

    /// Gives an allocation back; nothing uses it any more.
    fn free(&mut self, address: u64);
}

/// The pieces in use, over a source.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    chunks: BTreeMap<u64, Chunk>,
    pieces: BTreeMap<u64, usize>,
}

impl Pool {
    /// Memory of at least `bytes` bytes with the padding that kernels may read.
    ///
    /// # Errors
    /// The source's.
    pub(crate) fn allocate<S: Source>(&mut self, source: &mut S, bytes: usize) -> Result<u64, S::Error> {
        let bytes = padded(bytes);
        let address = if bytes <= LARGEST_PIECE {
            let there =
                self.chunks.iter_mut().find_map(|(&first, chunk)| Some(first + chunk.take(bytes)? as u64));
            match there {
                Some(address) => address,
                None => self.grow(source, CHUNK, bytes)?,
            }
        } else {
            self.grow(source, bytes.next_multiple_of(PAGE), bytes)?
        };
        self.pieces.insert(address, bytes);
        Ok(address)
    }

    fn grow<S: Source>(&mut self, source: &mut S, chunk: usize, bytes: usize) -> Result<u64, S::Error> {
        let first = source.allocate(chunk)?;
        let mut chunk = Chunk::new(chunk);
        let at = chunk.take(bytes).unwrap_or(0);
        self.chunks.insert(first, chunk);
        Ok(first + at as u64)
    }

    /// Gives a piece back, and its chunk if that is no longer used.
    pub(crate) fn free<S: Source>(&mut self, source: &mut S, address: u64) {
        let Some(bytes) = self.pieces.remove(&address) else { return };
        let Some((&first, chunk)) = self.chunks.range_mut(..=address).next_back() else { return };
        chunk.give((address - first) as usize, bytes);
        if chunk.is_unused() {
            self.chunks.remove(&first);
            source.free(first);
        }
    }

    /// Bytes that were asked of the source.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.values().map(|chunk| chunk.bytes).sum()
    }

    /// Gives everything back.
    pub(crate) fn clear<S: Source>(&mut self, source: &mut S) {
        self.pieces.clear();
        for first in std::mem::take(&mut self.chunks).into_keys() {
            source.free(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses one after another, and what is in use.
    #[derive(Default)]
    struct Counting {
        next: u64,
        live: BTreeMap<u64, usize>,
    }

    impl Source for Counting {
        type Error = ();

        fn allocate(&mut self, bytes: usize) -> Result<u64, ()> {
            let address = self.next + 0x1000;
            self.next = address + bytes as u64;
            self.live.insert(address, bytes);
            Ok(address)
        }

        fn free(&mut self, address: u64) {
            assert!(self.live.remove(&address).is_some());
        }
    }

    /// Sizes that any run draws alike.
    fn sizes() -> impl Iterator<Item = usize> {
        let mut state = 12345_u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let exponent = (state >> 33) % 22;
            ((state >> 12) as usize % (1 << exponent)) + 1
        })
    }

    #[test]
    fn pieces_are_aligned_padded_and_apart_and_all_comes_back() {
        let (mut source, mut pool) = (Counting::default(), Pool::default());
        let mut live: Vec<(u64, usize)> = Vec::new();
        for (turn, bytes) in sizes().take(2000).enumerate() {
            let address = pool.allocate(&mut source, bytes).unwrap();
            assert_eq!(address % 64, 0);
            for &(other, size) in &live {
                assert!(address + bytes as u64 + 32 <= other || other + size as u64 + 32 <= address);
            }
            live.push((address, bytes));
            if turn % 3 == 0 {
                let (address, _) = live.swap_remove(turn % live.len());
                pool.free(&mut source, address);
            }
        }
        for (address, _) in live {
            pool.free(&mut source, address);
        }
        assert!(source.live.is_empty());
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn small_pieces_share_an_allocation() {
        let (mut source, mut pool) = (Counting::default(), Pool::default());
        let addresses: Vec<u64> = (0..100).map(|_| pool.allocate(&mut source, 1000).unwrap()).collect();
        assert_eq!(source.live.len(), 1);
        addresses.into_iter().for_each(|address| pool.free(&mut source, address));
        assert!(source.live.is_empty());
    }
}
