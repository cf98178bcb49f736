//! Arenas that finished programs leave behind, for the next program of about that size: a fresh arena of tens of
//! megabytes costs a page fault every 4 KiB.

use lockstep_hal::tensor::AlignedBytes;
use lockstep_hal::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// How many arenas are kept.
const KEPT: usize = 2;

/// The arenas at rest of one device.
#[derive(Debug, Default)]
pub(crate) struct Arenas(Mutex<Vec<AlignedBytes>>);

impl Arenas {
    /// An arena of at least `bytes`; what it holds is unspecified.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn take(self: &Arc<Self>, device: &str, bytes: usize) -> Result<Arena> {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (resting.iter().enumerate())
            .filter(|(_, arena)| arena.as_slice().len() >= bytes)
            .min_by_key(|(_, arena)| arena.as_slice().len())
            .map(|(at, _)| at);
        let memory = match fits {
            Some(at) => resting.swap_remove(at),
            None => {
                // Too small to be of use: make room for the larger one.
                resting.clear();
                AlignedBytes::try_zeroed(bytes).ok_or_else(|| Error::OutOfMemory {
                    device: device.to_owned(),
                    requested: bytes,
                    free: None,
                })?
            }
        };
        Ok(Arena { memory, home: self.clone() })
    }
}

/// The arena of one program; goes home when the program is dropped.
#[derive(Debug)]
pub(crate) struct Arena {
    memory: AlignedBytes,
    home: Arc<Arenas>,
}

impl Arena {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.memory.as_mut_slice()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let mut resting = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.len() < KEPT {
            resting.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_used_again() {
        let arenas = Arc::new(Arenas::default());
        let mut first = arenas.take("test", 1000).unwrap();
        let place = first.as_mut_slice().as_ptr();
        drop(first);
        assert_eq!(arenas.take("test", 500).unwrap().as_mut_slice().as_ptr(), place);
    }
}
