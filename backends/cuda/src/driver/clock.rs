//! The time of a run on the GPU, by an event before its first command and one after its last.
//!
//! The events stand outside the captured graph, so that one graph serves with and without them.

use super::calls::Calls;
use super::event::Event;
use cudarc::driver::sys;
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
        let event = || Event::new(calls, TIMING, sys::CUevent_flags::CU_EVENT_DEFAULT);
        Ok(Some(Self { first: event()?, last: event()? }))
    }

    /// Marks the place before the first command of a run.
    pub(super) fn start(&self, calls: &Calls, stream: sys::CUstream) -> Result<()> {
        self.first.record(calls, TIMING, stream)
    }

    /// Marks the place after the last one.
    pub(super) fn stop(&self, calls: &Calls, stream: sys::CUstream) -> Result<()> {
        self.last.record(calls, TIMING, stream)
    }

    /// The time between the two, once the stream was waited for; the GPU counts in half microseconds.
    pub(super) fn elapsed(&self, calls: &Calls) -> Result<Duration> {
        let milliseconds = self.last.milliseconds_since(&self.first, calls, TIMING)?;
        Ok(Duration::from_secs_f64((f64::from(milliseconds) / 1e3).max(0.0)))
    }
}
