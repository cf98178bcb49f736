//! Marks on a stream, to be waited for or to be timed between.

use super::calls::Calls;
use cudarc::driver::{result, sys};
use lockstep_hal::Result;

/// A mark on a stream.
#[derive(Debug)]
pub(super) struct Event(sys::CUevent);

// SAFETY: an event may be recorded, waited for and read from any thread with its context current.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once. A lost device answers with an error that changes nothing.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}

impl Event {
    /// An event of the current context.
    pub(super) fn new(calls: &Calls, node: &str, flags: sys::CUevent_flags) -> Result<Self> {
        calls.check(node, "cuEventCreate", result::event::create(flags)).map(Self)
    }

    /// Marks the place behind what the stream was given so far.
    pub(super) fn record(&self, calls: &Calls, node: &str, stream: sys::CUstream) -> Result<()> {
        // SAFETY: event and stream live, in the context that is current.
        calls.check(node, "cuEventRecord", unsafe { result::event::record(self.0, stream) })
    }

    /// Waits until the stream has come to the mark.
    pub(super) fn wait(&self, calls: &Calls, node: &str) -> Result<()> {
        // SAFETY: the event lives, in the context that is current.
        calls.check(node, "cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.0) }.result())
    }

    /// The milliseconds from another mark to this one, once the stream has passed both.
    pub(super) fn milliseconds_since(&self, first: &Event, calls: &Calls, node: &str) -> Result<f32> {
        // SAFETY: both were recorded on one stream and are alive.
        let elapsed = unsafe { result::event::elapsed(first.0, self.0) };
        calls.check(node, "cuEventElapsedTime", elapsed)
    }
}
