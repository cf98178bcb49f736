//! A stream that waits until the test lets it go on: a blocking callback that does not return yet.

use crate::harness::{acl, recent};
use lockstep_ascend_abi::{aclrtCallbackBlockType, aclrtStream};
use std::ffi::c_void;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

// SAFETY: POSIX: takes nothing and always succeeds.
unsafe extern "C" {
    safe fn pthread_self() -> u64;
}

/// The calling thread, as `aclrtSubscribeReport` names it.
pub(crate) fn this_thread() -> u64 {
    pthread_self()
}

/// The two ends that a callback holds.
struct Gate {
    begun: Sender<()>,
    go_on: Receiver<()>,
}

unsafe extern "C" fn wait_at(gate: *mut c_void) {
    // SAFETY: `Held::new` gave the box away to this one call.
    let gate = unsafe { Box::from_raw(gate.cast::<Gate>()) };
    // A test that ended early has dropped the other ends; then there is nothing to wait for.
    let _ = gate.begun.send(());
    let _ = gate.go_on.recv();
}

/// A held stream, whose callback has begun; what is submitted to it meanwhile waits.
pub(crate) struct Held {
    stream: aclrtStream,
    thread: u64,
    go_on: Sender<()>,
    reporting: JoinHandle<i32>,
}

impl Held {
    /// Holds `stream`.
    pub(crate) fn new(stream: aclrtStream) -> Self {
        let (name, named) = channel();
        let (subscribed, begin) = channel();
        let reporting = std::thread::spawn(move || {
            name.send(this_thread()).expect("the test waits for it");
            begin.recv().expect("the test sends it");
            acl!(runtime.aclrtProcessReport(10_000))
        });
        let thread = named.recv().expect("the thread sends it");
        assert_eq!(acl!(runtime.aclrtSubscribeReport(thread, stream)), 0, "{}", recent());
        subscribed.send(()).expect("the thread waits for it");
        let (begun, has_begun) = channel();
        let (go_on, waits) = channel();
        let gate = Box::into_raw(Box::new(Gate { begun, go_on: waits }));
        let block = aclrtCallbackBlockType::CALLBACK_BLOCK;
        assert_eq!(acl!(runtime.aclrtLaunchCallback(Some(wait_at), gate.cast(), block, stream)), 0);
        has_begun.recv().expect("the callback runs");
        Self { stream, thread, go_on, reporting }
    }

    /// Lets it go on.
    pub(crate) fn release(self) {
        self.go_on.send(()).expect("the callback waits for it");
        assert_eq!(self.reporting.join().expect("no panic"), 0);
        assert_eq!(acl!(runtime.aclrtUnSubscribeReport(self.thread, self.stream)), 0);
    }
}
