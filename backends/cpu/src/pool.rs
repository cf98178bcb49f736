//! The kernels' [`Parallel`] on rayon.

use crate::BuildError;
use lockstep_kernels::Parallel;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of threads; one means the caller's own.
#[derive(Debug)]
pub(crate) struct Pool {
    threads: usize,
    rayon: Option<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of `threads`, or of as many as the process may use.
    pub(crate) fn new(threads: Option<usize>) -> Result<Self, BuildError> {
        let threads = match threads {
            Some(0) => return Err(BuildError::NoThreads),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let rayon = match threads {
            1 => None,
            _ => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let named = builder.thread_name(|index| format!("lockstep-cpu-{index}"));
                Some(named.build().map_err(BuildError::Threads)?)
            }
        };
        Ok(Self { threads, rayon })
    }

    /// Runs `body` on a thread of the pool, so that its parallel pieces start without waking the pool first.
    pub(crate) fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        match &self.rayon {
            Some(rayon) => rayon.install(body),
            None => body(),
        }
    }
}

impl Parallel for Pool {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        let workers = self.threads.min(pieces);
        if workers <= 1 || self.rayon.is_none() {
            (0..pieces).for_each(piece);
            return;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= pieces {
                    break;
                }
                piece(index);
            }
        };
        self.enter(|| spread(workers, &work));
    }
}

/// Calls `work` up to `workers` times at once. A call that finds no thread free runs after the others and finds nothing
/// left to do.
fn spread(workers: usize, work: &(dyn Fn() + Sync)) {
    match workers {
        0 => {}
        1 => work(),
        _ => {
            let half = workers / 2;
            rayon::join(|| spread(workers - half, work), || spread(half, work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs_exactly_once_on_any_number_of_threads() {
        for threads in 1..5 {
            let pool = Pool::new(Some(threads)).unwrap();
            for pieces in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..pieces).map(|_| AtomicUsize::new(0)).collect();
                pool.run(pieces, &|index| {
                    counts[index].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|count| count.load(Ordering::Relaxed) == 1),
                    "{threads} threads, {pieces}"
                );
            }
        }
    }

    #[test]
    fn no_threads_are_refused() {
        assert!(matches!(Pool::new(Some(0)), Err(BuildError::NoThreads)));
    }
}
