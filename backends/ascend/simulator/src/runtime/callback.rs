//! Host functions in a stream: they run on the thread that was subscribed to the stream, when it asks.

use crate::exports::exports;
use crate::runtime::errors::Failure;
use crate::runtime::worker::Task;
use crate::runtime::{lock, stream};
use core::ffi::c_void;
use lockstep_ascend_abi::{aclrtCallback, aclrtCallbackBlockType, aclrtStream};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::Instant;

/// A function that waits for its thread.
struct Report {
    function: unsafe extern "C" fn(*mut c_void),
    user_data: usize,
    done: Option<Arc<Done>>,
}

/// Set when a stream need not wait any longer.
#[derive(Default)]
struct Done {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    fn set(&self) {
        *lock(&self.is_set) = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut is_set = lock(&self.is_set);
        while !*is_set {
            is_set = self.changed.wait(is_set).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Report {
    /// Also of one that nobody has run: its stream goes on.
    fn drop(&mut self) {
        if let Some(done) = &self.done {
            done.set();
        }
    }
}

/// What a thread has to run.
#[derive(Default)]
struct Reports {
    waiting: Mutex<VecDeque<Report>>,
    changed: Condvar,
}

#[derive(Default)]
struct Subscriptions {
    thread_of_stream: BTreeMap<usize, u64>,
    reports: BTreeMap<u64, Arc<Reports>>,
}

static SUBSCRIPTIONS: LazyLock<Mutex<Subscriptions>> = LazyLock::new(Mutex::default);

// SAFETY: POSIX: takes nothing and always succeeds; `pthread_t` is 64 bits wide on Linux.
unsafe extern "C" {
    safe fn pthread_self() -> u64;
}

exports! { runtime;
    fn aclrtSubscribeReport(thread_id: u64, stream: aclrtStream) {
        let (stream, _) = stream::resolve(stream)?;
        let mut subscriptions = lock(&SUBSCRIPTIONS);
        if subscriptions.thread_of_stream.contains_key(&stream.handle) {
            return Err(Failure::new(100_033, format!("stream {} has its thread already", stream.number)));
        }
        subscriptions.thread_of_stream.insert(stream.handle, thread_id);
        subscriptions.reports.entry(thread_id).or_default();
        Ok(())
    }

    fn aclrtUnSubscribeReport(thread_id: u64, stream: aclrtStream) {
        let (stream, _) = stream::resolve(stream)?;
        let mut subscriptions = lock(&SUBSCRIPTIONS);
        if subscriptions.thread_of_stream.get(&stream.handle) != Some(&thread_id) {
            let text = format!("thread {thread_id} is not subscribed to stream {}", stream.number);
            return Err(Failure::new(100_034, text));
        }
        subscriptions.thread_of_stream.remove(&stream.handle);
        if !subscriptions.thread_of_stream.values().any(|thread| *thread == thread_id) {
            subscriptions.reports.remove(&thread_id);
        }
        Ok(())
    }

    fn aclrtLaunchCallback(
        function: aclrtCallback, user_data: *mut c_void, block_type: aclrtCallbackBlockType,
        stream: aclrtStream,
    ) {
        let function = function.ok_or_else(|| Failure::null("fn"))?;
        if block_type.name().is_none() {
            return Err(Failure::invalid(format!("blockType is {block_type:?}, expected 0 or 1")));
        }
        let (stream, _) = stream::resolve(stream)?;
        let reports = {
            let subscriptions = lock(&SUBSCRIPTIONS);
            let thread = subscriptions.thread_of_stream.get(&stream.handle);
            thread.and_then(|thread| subscriptions.reports.get(thread)).cloned()
        };
        let reports = reports.map(|reports| Arc::downgrade(&reports)).ok_or_else(|| {
            Failure::new(107_015, format!("no thread is subscribed to stream {}", stream.number))
        })?;
        let blocks = block_type == aclrtCallbackBlockType::CALLBACK_BLOCK;
        let user_data = user_data.expose_provenance();
        let run = move || {
            let Some(reports) = reports.upgrade() else { return Ok(()) };
            let done = blocks.then(Arc::<Done>::default);
            lock(&reports.waiting).push_back(Report { function, user_data, done: done.clone() });
            reports.changed.notify_all();
            drop(reports);
            if let Some(done) = done {
                done.wait();
            }
            Ok(())
        };
        stream.submit(Task { name: "aclrtLaunchCallback", is_unconditional: false, run: Arc::new(run) });
        Ok(())
    }

    fn aclrtProcessReport(timeout: i32) {
        let reports = lock(&SUBSCRIPTIONS).reports.get(&pthread_self()).cloned();
        let reports = reports.ok_or_else(|| {
            Failure::new(100_035, "the calling thread is not subscribed to any stream")
        })?;
        let until = stream::deadline(timeout)?;
        let mut waiting = lock(&reports.waiting);
        let report = loop {
            if let Some(report) = waiting.pop_front() {
                break report;
            }
            waiting = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => reports.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    return Err(Failure::new(100_036, format!("no callback came in {timeout} ms")));
                }
                Some(left) => {
                    reports.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        drop(waiting);
        // SAFETY: ACL's contract: the function may be called once with its data, from this thread.
        unsafe { (report.function)(core::ptr::with_exposed_provenance_mut(report.user_data)) };
        Ok(())
    }
}
