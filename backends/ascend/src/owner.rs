//! The one thread that calls the libraries for a device: contexts, error texts and captures are a thread's own there.

use lockstep_hal::{Error, Result};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

type Task<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread with the device's state `S`, which is made, used and dropped on it.
pub(crate) struct Owner<S> {
    device: String,
    /// `None` once the thread is told to end.
    tasks: Mutex<Option<Sender<Task<S>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<S> std::fmt::Debug for Owner<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner").field("device", &self.device).finish_non_exhaustive()
    }
}

impl<S: 'static> Owner<S> {
    /// Starts the thread and makes its state there.
    ///
    /// # Errors
    /// What `make` returns, or that there is no thread.
    pub(crate) fn start(device: &str, make: impl FnOnce() -> Result<S> + Send + 'static) -> Result<Self> {
        let (tasks, queue) = channel::<Task<S>>();
        let (made, is_made) = channel();
        let run = move || match make() {
            Ok(state) => {
                let _ = made.send(Ok(()));
                serve(state, &queue);
            }
            Err(error) => {
                let _ = made.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name(format!("lockstep {device}")).spawn(run);
        let thread =
            thread.map_err(|error| Error::program(format!("{device}: no thread to own it: {error}")))?;
        let owner = Self {
            device: device.to_owned(),
            tasks: Mutex::new(Some(tasks)),
            thread: Mutex::new(Some(thread)),
        };
        is_made.recv().map_err(|_| owner.gone())??;
        Ok(owner)
    }

    /// Runs `task` on the thread and waits for what it gives.
    ///
    /// # Errors
    /// The task's, or that the thread is gone.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = channel();
        self.send(Box::new(move |state| {
            let _ = answer.send(task(state));
        }))?;
        answered.recv().map_err(|_| self.gone())?
    }

    /// Has `task` run on the thread some time after what was asked before.
    pub(crate) fn later(&self, task: impl FnOnce(&mut S) + Send + 'static) {
        // If the thread is gone, so is what the task would have given back.
        let _ = self.send(Box::new(task));
    }

    fn send(&self, task: Task<S>) -> Result<()> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.as_ref().and_then(|tasks| tasks.send(task).ok()).ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        Error::program(format!("{}: the thread that owns the device has ended; open it again", self.device))
    }
}

fn serve<S>(mut state: S, queue: &Receiver<Task<S>>) {
    while let Ok(task) = queue.recv() {
        task(&mut state);
    }
}

impl<S> Drop for Owner<S> {
    fn drop(&mut self) {
        drop(self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // The last handle may be dropped by a task of the thread itself, which cannot wait for its own end.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_in_order_on_one_thread() {
        let owner = Owner::start("test", || Ok(Vec::<u32>::new())).unwrap();
        owner.later(|state| state.push(1));
        owner.later(|state| state.push(2));
        assert_eq!(owner.run(|state| Ok(state.clone())).unwrap(), [1, 2]);
        let there = owner.run(|_| Ok(std::thread::current().id())).unwrap();
        assert_ne!(there, std::thread::current().id());
    }

    #[test]
    fn a_state_that_cannot_be_made_is_an_error() {
        let error = Owner::<()>::start("test", || Err(Error::program("no"))).unwrap_err();
        assert!(error.to_string().contains("no"));
    }

    #[test]
    fn a_task_that_panics_ends_the_thread_and_not_the_program() {
        let owner = Owner::start("test", || Ok(())).unwrap();
        let error = owner.run::<()>(|()| panic!("planted")).unwrap_err();
        assert!(error.to_string().contains("open it again"));
        assert!(owner.run(|()| Ok(())).is_err());
    }
}
