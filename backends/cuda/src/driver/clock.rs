//! The time of a run on the GPU, by an event before its first command and one after its last.
//!
//! The events stand outside the captured graph, so that one graph serves with and without them.

use super::calls::Calls;
use cudarc::driver::{result, sys};
use lockstep_hal::Result;
use std::time::Duration;

/// From this driver on there is `cuEventElapsedTime_v2`, the one name that the bindings have; they panic where it is missing.
const FIRST_WITH_ELAPSED_TIME: i32 = 12080;

/// What is being done where no node is.
const TIMING: &str = "the timing of a run";

/// Two events of one stream.
#[derive(Debug)]
pub(super) struct Clock {
    first: Event,
    last: Event,
}

#[derive(Debug)]
struct Event(sys::CUevent);

// SAFETY: an event may be used from any thread; it is recorded and read under the stream's lock.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once. A lost device answers with an error that changes nothing.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}

impl Clock {
    /// A clock in the current context; `None` with a driver that is too old for one.
    pub(super) fn new(calls: &Calls) -> Result<Option<Self>> {
        let mut version = 0;
        // SAFETY: writes one integer.
        let asked = unsafe { sys::cuDriverGetVersion(&mut version) }.result();
        calls.check(TIMING, "cuDriverGetVersion", asked)?;
        if version < FIRST_WITH_ELAPSED_TIME {
            return Ok(None);
        }
        let event = || {
            let created = result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT);
            calls.check(TIMING, "cuEventCreate", created).map(Event)
        };
        Ok(Some(Self { first: event()?, last: event()? }))
    }

    /// Marks the place before the first command of a run.
    pub(super) fn start(&self, calls: &Calls, stream: sys::CUstream) -> Result<()> {
        record(&self.first, calls, stream)
    }

    /// Marks the place after the last one.
    pub(super) fn stop(&self, calls: &Calls, stream: sys::CUstream) -> Result<()> {
        record(&self.last, calls, stream)
    }

    /// The time between the two, once the stream was waited for; the GPU counts in half microseconds.
    pub(super) fn elapsed(&self, calls: &Calls) -> Result<Duration> {
        // SAFETY: both were recorded on one stream and are alive.
        let elapsed = unsafe { result::event::elapsed(self.first.0, self.last.0) };
        let milliseconds = calls.check(TIMING, "cuEventElapsedTime", elapsed)?;
        Ok(Duration::from_secs_f64((f64::from(milliseconds) / 1e3).max(0.0)))
    }
}

fn record(event: &Event, calls: &Calls, stream: sys::CUstream) -> Result<()> {
    // SAFETY: event and stream live, in the context that is current.
    calls.check(TIMING, "cuEventRecord", unsafe { result::event::record(event.0, stream) })
}
