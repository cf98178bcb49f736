//! The thread behind a stream: it runs tasks in the order in which they were submitted, and keeps the first
//! fault until somebody waits.

use crate::meta::executor::Fault;
use crate::runtime::errors::panic_text;
use crate::runtime::lock;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What a task does, on the stream's thread.
pub(crate) type Run = Arc<dyn Fn() -> Result<(), Fault> + Send + Sync>;

/// One thing that a stream does; it may be done again when it was captured.
#[derive(Clone)]
pub(crate) struct Task {
    /// For messages.
    pub name: &'static str,
    /// Runs also after a fault that stops the stream, or when it is aborted: others wait for it.
    pub is_unconditional: bool,
    /// Does it.
    pub run: Run,
}

impl Task {
    /// Runs it; a panic becomes a fault.
    pub(crate) fn run(&self) -> Result<(), Fault> {
        catch_unwind(AssertUnwindSafe(|| (self.run)())).unwrap_or_else(|panic| {
            let text = format!("{}: the simulator panicked: {}", self.name, panic_text(&*panic));
            Err(Fault::new(507_000, text))
        })
    }
}

/// What becomes of a context's streams after a fault.
#[derive(Default)]
pub(crate) struct Fate {
    stops: AtomicBool,
    stopped_by: Mutex<Option<Fault>>,
}

impl Fate {
    /// From now on, a fault stops all streams.
    pub(crate) fn set_stops(&self, stops: bool) {
        self.stops.store(stops, Ordering::Relaxed);
    }

    /// The fault that stopped them.
    pub(crate) fn stopped_by(&self) -> Option<Fault> {
        lock(&self.stopped_by).clone()
    }

    fn note(&self, fault: &Fault) {
        if self.stops.load(Ordering::Relaxed) {
            lock(&self.stopped_by).get_or_insert_with(|| fault.clone());
        }
    }
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    submitted: u64,
    completed: u64,
    fault: Option<Fault>,
    is_closed: bool,
}

/// A stream's tasks.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// Appends a task and gives its number.
    pub(crate) fn push(&self, task: Task) -> u64 {
        let mut state = lock(&self.state);
        state.tasks.push_back(task);
        state.submitted += 1;
        self.changed.notify_all();
        state.submitted
    }

    /// Whether everything submitted is done.
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.completed == state.submitted
    }

    /// Waits for what was submitted so far; whether it was done in time.
    pub(crate) fn wait(&self, until: Option<Instant>) -> bool {
        let submitted = lock(&self.state).submitted;
        self.wait_for(submitted, until)
    }

    /// Waits for the task of a number.
    pub(crate) fn wait_for(&self, number: u64, until: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        while state.completed < number {
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// The first fault since the last time.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        lock(&self.state).fault.take()
    }

    /// Forgets the tasks that have not begun, but for the unconditional ones; they count as done in turn.
    pub(crate) fn abort(&self) {
        let mut state = lock(&self.state);
        for task in state.tasks.iter_mut().filter(|task| !task.is_unconditional) {
            task.run = Arc::new(|| Ok(()));
        }
    }

    /// Ends the thread after the tasks that are there.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }

    /// The thread's work, until [`close`](Self::close).
    pub(crate) fn work(&self, fate: &Fate) {
        let mut state = lock(&self.state);
        loop {
            let Some(task) = state.tasks.pop_front() else {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let is_skipped = !task.is_unconditional && fate.stopped_by().is_some();
            let outcome = if is_skipped { Ok(()) } else { task.run() };
            // What the task held is given back before anyone learns that it is done.
            drop(task);
            state = lock(&self.state);
            if let Err(fault) = outcome {
                fate.note(&fault);
                state.fault.get_or_insert(fault);
            }
            state.completed += 1;
            self.changed.notify_all();
        }
    }
}
