//! Which worker does which item, decided while they run, so that a core that others disturb does not hold all up.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most workers that share the items of one call.
pub(crate) const MAX_WORKERS: usize = 256;

/// Items `0..count` dealt to workers. Each starts with a contiguous run of its own, taken in order, which keeps what
/// neighbouring items share in its cache; one that has finished takes from the end of the longest run left.
pub(crate) struct Claims {
    /// First item in the high half, end in the low half.
    runs: [AtomicU64; MAX_WORKERS],
    workers: usize,
}

impl Claims {
    /// Deals `count` items to `workers`.
    ///
    /// # Panics
    /// If there are more than [`MAX_WORKERS`] workers, none, or more than 2^32 - 1 items.
    pub(crate) fn new(count: usize, workers: usize) -> Self {
        assert!((1..=MAX_WORKERS).contains(&workers), "1 to {MAX_WORKERS} workers");
        assert!(u32::try_from(count).is_ok(), "at most 2^32 - 1 items");
        let start = |worker: usize| (count as u64 * worker as u64 / workers as u64).min(count as u64);
        let runs = std::array::from_fn(|worker| {
            AtomicU64::new(if worker < workers { start(worker) << 32 | start(worker + 1) } else { 0 })
        });
        Self { runs, workers }
    }

    /// The next item for `worker`; `None` when all are taken.
    pub(crate) fn next(&self, worker: usize) -> Option<usize> {
        // Relaxed is enough: each item is handed out once by the exchange, and `Parallel::run` orders its effects.
        let own = self.runs[worker].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |run| {
            let (first, end) = (run >> 32, run & 0xffff_ffff);
            (first < end).then(|| (first + 1) << 32 | end)
        });
        if let Ok(run) = own {
            return Some((run >> 32) as usize);
        }
        loop {
            let left = |run: u64| (run & 0xffff_ffff).saturating_sub(run >> 32);
            let longest =
                self.runs[..self.workers].iter().max_by_key(|run| left(run.load(Ordering::Relaxed)))?;
            let run = longest.load(Ordering::Relaxed);
            if left(run) == 0 {
                // Others may have taken the rest of this run only.
                if self.runs[..self.workers].iter().all(|run| left(run.load(Ordering::Relaxed)) == 0) {
                    return None;
                }
                continue;
            }
            if longest.compare_exchange(run, run - 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some((run & 0xffff_ffff) as usize - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_claimed_once_by_racing_workers() {
        for (count, workers) in [(0, 1), (1, 3), (7, 2), (100, 3), (1000, 4)] {
            let claims = Claims::new(count, workers);
            let mut taken: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..workers)
                    .map(|worker| {
                        let claims = &claims;
                        scope.spawn(move || std::iter::from_fn(|| claims.next(worker)).collect::<Vec<_>>())
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("no worker panics")).collect()
            });
            taken.sort_unstable();
            assert_eq!(taken, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_worker_alone_takes_the_items_of_all() {
        let claims = Claims::new(10, 3);
        let taken: Vec<_> = std::iter::from_fn(|| claims.next(1)).collect();
        assert_eq!(&taken[..3], &[3, 4, 5], "its own run first, in order");
        assert_eq!(taken.len(), 10);
    }
}
