//! Events: marks in streams, with the time at which a stream passed them.

use crate::exports::exports;
use crate::registry::{Registry, as_pointer};
use crate::runtime::capture::{self, Mark};
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, Stream};
use crate::runtime::worker::{Run, Task};
use crate::runtime::{context, counts, lock};
use lockstep_ascend_abi::{aclrtEvent, aclrtEventRecordedStatus, aclrtEventStatus, aclrtStream, event_flag};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A live event.
pub(crate) struct Event {
    /// The symbol that made it.
    pub made_by: &'static str,
    keeps_time: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Records submitted, passed, and forgotten by a reset.
    submitted: u64,
    completed: u64,
    reset: u64,
    completed_at: Option<Instant>,
    /// Recorded in a capture, and where.
    mark: Option<Mark>,
}

pub(crate) static EVENTS: Registry<Event> = Registry::new(18);

impl Event {
    fn complete(&self, number: u64) {
        let mut state = lock(&self.state);
        state.completed = state.completed.max(number);
        state.completed_at = Some(Instant::now());
        self.changed.notify_all();
    }

    /// A captured record runs again.
    fn replay(&self) {
        let mut state = lock(&self.state);
        state.submitted += 1;
        state.completed = state.submitted;
        state.completed_at = Some(Instant::now());
        self.changed.notify_all();
    }

    /// Waits until record `number` was passed; whether it was in time.
    fn wait(&self, number: u64, until: Option<Instant>) -> bool {
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

    /// Whether it was recorded, and passed.
    fn is_complete(&self) -> (bool, bool) {
        let state = lock(&self.state);
        let is_recorded = state.submitted > state.reset;
        (is_recorded, is_recorded && state.completed == state.submitted)
    }
}

fn live(event: aclrtEvent, name: &str) -> Result<Arc<Event>, Failure> {
    if event.is_null() {
        return Err(Failure::null(name));
    }
    EVENTS.get(event).ok_or_else(|| Failure::new(107_017, format!("{name} is not an event that is alive")))
}

/// An event that the host may ask about.
fn visible(event: aclrtEvent) -> Result<Arc<Event>, Failure> {
    let event = live(event, "event")?;
    let mark = lock(&event.state).mark.clone();
    match mark {
        Some(mark) => Err(capture::refuse_event(&mark)),
        None => Ok(event),
    }
}

fn create(made_by: &'static str, flag: u32, allowed: u32) -> Result<aclrtEvent, Failure> {
    context::current()?;
    if flag == 0 || flag & !allowed != 0 {
        return Err(Failure::refused(format!("flag is {flag:#x}, expected bits of {allowed:#x}")));
    }
    let keeps_time = flag & event_flag::ACL_EVENT_TIME_LINE != 0;
    let event = Event { made_by, keeps_time, state: Mutex::default(), changed: Condvar::new() };
    Ok(as_pointer(EVENTS.add(event)))
}

fn record(event: &Arc<Event>, stream: &Stream) {
    let is_captured = lock(&stream.capture).is_some();
    let number = {
        let mut state = lock(&event.state);
        state.mark = None;
        if !is_captured {
            state.submitted += 1;
        }
        state.submitted
    };
    let marked = event.clone();
    let run: Run = match is_captured {
        true => Arc::new(move || {
            marked.replay();
            Ok(())
        }),
        false => Arc::new(move || {
            marked.complete(number);
            Ok(())
        }),
    };
    stream.submit(Task { name: "aclrtRecordEvent", is_unconditional: true, run });
    if let Some(capture) = &*lock(&stream.capture) {
        lock(&event.state).mark = Some(capture.mark(stream.handle));
    }
}

/// Makes `stream` wait for the records of an event so far; never recorded is not waited for.
pub(crate) fn wait_in(stream: &Arc<Stream>, event: aclrtEvent) -> Result<(), Failure> {
    let event = live(event, "event")?;
    let (number, mark) = {
        let state = lock(&event.state);
        (state.submitted, state.mark.clone())
    };
    if capture::wait_in(stream, mark.as_ref())? {
        return Ok(());
    }
    let run = move || {
        event.wait(number, None);
        Ok(())
    };
    stream.submit(Task { name: "aclrtStreamWaitEvent", is_unconditional: true, run: Arc::new(run) });
    Ok(())
}

fn synchronize(event: aclrtEvent, timeout_ms: i32) -> Result<(), Failure> {
    context::current()?;
    let event = visible(event)?;
    counts::count(&counts::SYNCHRONISATIONS);
    let submitted = lock(&event.state).submitted;
    match event.wait(submitted, stream::deadline(timeout_ms)?) {
        true => Ok(()),
        false => Err(Failure::new(507_047, format!("the event has not happened in {timeout_ms} ms"))),
    }
}

/// When an event was passed.
fn passed_at(event: aclrtEvent, name: &str) -> Result<Instant, Failure> {
    visible(event)?;
    let event = live(event, name)?;
    if !event.keeps_time {
        return Err(Failure::new(107_006, format!("{name} keeps no time: ACL_EVENT_TIME_LINE was not set")));
    }
    match event.is_complete() {
        (false, _) => Err(Failure::new(107_006, format!("{name} was not recorded"))),
        (true, false) => Err(Failure::new(507_006, format!("{name} has not happened yet"))),
        (true, true) => {
            let at = lock(&event.state).completed_at;
            at.ok_or_else(|| Failure::new(107_006, format!("{name} was reset")))
        }
    }
}

exports! { runtime;
    fn aclrtCreateEvent(event: *mut aclrtEvent) writes(event) {
        let flags = event_flag::ACL_EVENT_SYNC | event_flag::ACL_EVENT_TIME_LINE;
        event.write(create("aclrtCreateEvent", flags, flags)?);
        Ok(())
    }

    fn aclrtCreateEventWithFlag(event: *mut aclrtEvent, flag: u32) writes(event) {
        event.write(create("aclrtCreateEventWithFlag", flag, 0x3b)?);
        Ok(())
    }

    fn aclrtCreateEventExWithFlag(event: *mut aclrtEvent, flag: u32) writes(event) {
        event.write(create("aclrtCreateEventExWithFlag", flag, 0x3b)?);
        Ok(())
    }

    fn aclrtDestroyEvent(event: aclrtEvent) {
        live(event, "event")?;
        EVENTS.remove(event);
        Ok(())
    }

    fn aclrtRecordEvent(event: aclrtEvent, stream: aclrtStream) {
        let (stream, _) = stream::resolve(stream)?;
        record(&live(event, "event")?, &stream);
        Ok(())
    }

    fn aclrtResetEvent(event: aclrtEvent, stream: aclrtStream) {
        let (stream, _) = stream::resolve(stream)?;
        let event = live(event, "event")?;
        let number = lock(&event.state).submitted;
        let run = move || {
            let mut state = lock(&event.state);
            state.reset = state.reset.max(number);
            Ok(())
        };
        stream.submit(Task { name: "aclrtResetEvent", is_unconditional: true, run: Arc::new(run) });
        Ok(())
    }

    fn aclrtQueryEvent(event: aclrtEvent, status: *mut aclrtEventStatus) writes(status) {
        status.write(match visible(event)?.is_complete() {
            (true, false) => aclrtEventStatus::NOT_READY,
            _ => aclrtEventStatus::COMPLETE,
        });
        Ok(())
    }

    fn aclrtQueryEventStatus(event: aclrtEvent, status: *mut aclrtEventRecordedStatus) writes(status) {
        status.write(match visible(event)?.is_complete() {
            (true, true) => aclrtEventRecordedStatus::COMPLETE,
            _ => aclrtEventRecordedStatus::NOT_READY,
        });
        Ok(())
    }

    fn aclrtSynchronizeEvent(event: aclrtEvent) {
        synchronize(event, -1)
    }

    fn aclrtSynchronizeEventWithTimeout(event: aclrtEvent, timeout: i32) {
        synchronize(event, timeout)
    }

    fn aclrtEventElapsedTime(ms: *mut f32, start_event: aclrtEvent, end_event: aclrtEvent) writes(ms) {
        let start = passed_at(start_event, "startEvent")?;
        let end = passed_at(end_event, "endEvent")?;
        let elapsed = end.checked_duration_since(start);
        let elapsed = elapsed.ok_or_else(|| Failure::new(107_007, "endEvent happened before startEvent"))?;
        ms.write(elapsed.as_secs_f32() * 1e3);
        Ok(())
    }
}
