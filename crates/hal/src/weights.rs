//! What a device made of a graph's constants, shared between its programs: GEMM panels, uploaded tensors.

use crate::Result;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One `T` per key for as long as any program holds it. A device keeps the cache, programs keep the `Arc`s; when the last
/// program is gone, so is the memory.
#[derive(Debug)]
pub struct WeightCache<K, T>(Mutex<HashMap<K, Weak<T>>>);

impl<K, T> Default for WeightCache<K, T> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, T> WeightCache<K, T> {
    /// What is held for `key`, or what `make` makes of it.
    ///
    /// Holds the cache's lock while it makes, so that two programs compiled at once do not pack a weight twice.
    ///
    /// # Errors
    /// What `make` returns.
    pub fn get_or_make(&self, key: K, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.get(&key).and_then(Weak::upgrade) {
            return Ok(found);
        }
        held.retain(|_, weak| weak.strong_count() > 0);
        let made = Arc::new(make()?);
        held.insert(key, Arc::downgrade(&made));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_made_once_while_held_and_again_after() {
        let cache = WeightCache::default();
        let mut made = 0;
        let first = cache
            .get_or_make("w", || {
                Ok({
                    made += 1;
                    7
                })
            })
            .unwrap();
        let again = cache
            .get_or_make("w", || {
                Ok({
                    made += 1;
                    8
                })
            })
            .unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        drop((first, again));
        assert_eq!(
            *cache
                .get_or_make("w", || Ok({
                    made += 1;
                    9
                }))
                .unwrap(),
            9
        );
        assert_eq!(made, 2);
    }
}
