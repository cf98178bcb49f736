//! Scratch that the programs of a device use one after another.

use crate::Result;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is held, with its size in bytes.
type Held<M> = (usize, Weak<M>);

/// Memory that any number of programs share, since a device with one stream runs one at a time: dozens of them take what the largest
/// does. The device keeps this, programs keep the `Arc`s; when the last program is gone, so is the memory.
pub struct SharedScratch<M: ?Sized>(Mutex<Vec<Held<M>>>);

impl<M: ?Sized> Default for SharedScratch<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: ?Sized> fmt::Debug for SharedScratch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedScratch").finish_non_exhaustive()
    }
}

impl<M: ?Sized> SharedScratch<M> {
    /// Scratch of at least that many bytes. What is there is shared where it is large enough; else there is more, in powers
    /// of two, and the old goes with the last program that has it.
    ///
    /// # Errors
    /// What `allocate` returns for just as many bytes.
    pub fn of(&self, bytes: usize, allocate: impl Fn(usize) -> Result<Arc<M>>) -> Result<Arc<M>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(_, memory)| memory.strong_count() > 0);
        let large_enough =
            held.iter().filter(|(size, _)| *size >= bytes).find_map(|(_, memory)| memory.upgrade());
        if let Some(there) = large_enough {
            return Ok(there);
        }
        // Where that is too much, just enough may not be.
        let ample = bytes.checked_next_power_of_two().map(|ample| (ample, allocate(ample)));
        let (size, memory) = match ample {
            Some((size, Ok(memory))) => (size, memory),
            _ => (bytes, allocate(bytes)?),
        };
        held.push((size, Arc::downgrade(&memory)));
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn it_is_shared_while_it_is_large_enough_and_gone_with_the_last() {
        let scratch = SharedScratch::<usize>::default();
        let of = |bytes| scratch.of(bytes, |bytes| Ok(Arc::new(bytes))).unwrap();
        let first = of(100);
        assert_eq!(*first, 128);
        assert!(Arc::ptr_eq(&first, &of(128)));
        let larger = of(129);
        assert_eq!(*larger, 256);
        drop((first, larger));
        assert_eq!(*of(8), 8);
    }

    #[test]
    fn just_enough_is_taken_where_more_is_not_to_be_had() {
        let scratch = SharedScratch::<usize>::default();
        let allocate =
            |bytes: usize| if bytes > 100 { Err(Error::program("full")) } else { Ok(Arc::new(bytes)) };
        assert_eq!(*scratch.of(100, allocate).unwrap(), 100);
        assert!(scratch.of(101, allocate).is_err());
    }
}
