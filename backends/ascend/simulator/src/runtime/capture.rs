//! Capture: what its streams are given is recorded in order instead of run. A stream joins by waiting for an
//! event that was recorded in the capture, and must be waited for in turn before the end.

use crate::exports::exports;
use crate::registry::as_pointer;
use crate::runtime::captured::{MODELS, Model};
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, STREAMS, Stream};
use crate::runtime::worker::Task;
use crate::runtime::{counts, lock};
use lockstep_ascend_abi::{aclmdlRI, aclmdlRICaptureMode, aclmdlRICaptureStatus, aclrtStream};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::thread::ThreadId;

/// A capture that has not ended.
pub(crate) struct Capture {
    origin: usize,
    device: i32,
    context: usize,
    thread: ThreadId,
    mode: aclmdlRICaptureMode,
    model: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: Vec<Task>,
    streams: BTreeMap<usize, Tail>,
    invalid_because: Option<String>,
}

/// How many tasks there were after a stream's last one, and up to which of its own it was waited for.
#[derive(Clone, Copy, Default)]
struct Tail {
    last: usize,
    joined: usize,
}

/// Where an event was recorded in a capture.
#[derive(Clone)]
pub(crate) struct Mark {
    capture: Weak<Capture>,
    stream: usize,
    tail: usize,
}

static ACTIVE: Mutex<Vec<Arc<Capture>>> = Mutex::new(Vec::new());

thread_local! {
    static THREAD_MODE: Cell<aclmdlRICaptureMode> = const { Cell::new(aclmdlRICaptureMode::GLOBAL) };
}

impl Capture {
    /// Records a task of one of its streams.
    pub(crate) fn add(&self, stream: usize, task: Task) {
        let mut state = lock(&self.state);
        state.tasks.push(task);
        let last = state.tasks.len();
        state.streams.entry(stream).or_default().last = last;
    }

    /// The place after a stream's last task.
    pub(crate) fn mark(self: &Arc<Self>, stream: usize) -> Mark {
        let tail = lock(&self.state).streams.get(&stream).copied().unwrap_or_default().last;
        Mark { capture: Arc::downgrade(self), stream, tail }
    }

    /// Makes its end fail; the first reason stays.
    pub(crate) fn invalidate(&self, reason: &str) {
        lock(&self.state).invalid_because.get_or_insert_with(|| reason.to_owned());
    }

    fn is_invalid(&self) -> bool {
        lock(&self.state).invalid_because.is_some()
    }
}

fn capture_of(stream: &Stream) -> Option<Arc<Capture>> {
    lock(&stream.capture).clone()
}

/// # Errors
/// 107027 while the stream is captured, which it invalidates.
pub(crate) fn refuse_synchronisation(stream: &Stream) -> Result<(), Failure> {
    let Some(capture) = capture_of(stream) else { return Ok(()) };
    let text = format!("stream {} is being captured: it can be neither waited for nor asked", stream.number);
    capture.invalidate(&text);
    Err(Failure::new(107_027, text))
}

/// # Errors
/// 107027 while any stream of the device is captured, which it invalidates.
pub(crate) fn refuse_synchronisation_of_device(device: i32) -> Result<(), Failure> {
    let active = lock(&ACTIVE);
    let Some(capture) = active.iter().find(|capture| capture.device == device) else { return Ok(()) };
    let text = "a stream of the device is being captured: the device cannot be waited for";
    capture.invalidate(text);
    Err(Failure::new(107_027, text))
}

/// 107028, for an event that was recorded in a capture; it invalidates the capture.
pub(crate) fn refuse_event(mark: &Mark) -> Failure {
    let text = "the event was recorded in a capture: the host can neither wait for it nor ask it";
    if let Some(capture) = mark.capture.upgrade() {
        capture.invalidate(text);
    }
    Failure::new(107_028, text)
}

/// # Errors
/// 107030 for what the host would wait for, while a capture forbids it to this thread; it invalidates the
/// capture.
pub(crate) fn refuse_synchronous(what: &str) -> Result<(), Failure> {
    if THREAD_MODE.get() == aclmdlRICaptureMode::RELAXED {
        return Ok(());
    }
    let here = std::thread::current().id();
    let forbids = |capture: &&Arc<Capture>| match capture.mode {
        aclmdlRICaptureMode::GLOBAL => true,
        aclmdlRICaptureMode::THREAD_LOCAL => capture.thread == here,
        _ => false,
    };
    let Some(capture) = lock(&ACTIVE).iter().find(forbids).cloned() else { return Ok(()) };
    let text = format!("{what} is synchronous, which a capture in mode {:?} forbids", capture.mode);
    capture.invalidate(&text);
    Err(Failure::new(107_030, text))
}

/// What waiting for an event means to captures; whether that was all of it.
pub(crate) fn wait_in(stream: &Stream, mark: Option<&Mark>) -> Result<bool, Failure> {
    let own = capture_of(stream);
    let marked = mark.and_then(|mark| mark.capture.upgrade());
    match (own, mark, marked) {
        (None, None, _) => Ok(false),
        (Some(own), None, _) => {
            let text = "the event was not recorded in this capture";
            own.invalidate(text);
            Err(Failure::new(107_024, text))
        }
        (Some(own), Some(mark), Some(marked)) if Arc::ptr_eq(&own, &marked) => {
            let mut state = lock(&own.state);
            let tail = state.streams.entry(mark.stream).or_default();
            tail.joined = tail.joined.max(mark.tail);
            Ok(true)
        }
        (Some(own), Some(_), _) => {
            let text = "the event was recorded in another capture";
            own.invalidate(text);
            Err(Failure::new(107_032, text))
        }
        (None, Some(_), None) => Err(Failure::new(107_028, "the event was recorded in a capture that ended")),
        (None, Some(_), Some(_)) if stream.is_default => {
            Err(Failure::new(107_031, "the default stream cannot join a capture"))
        }
        (None, Some(_), Some(marked)) => {
            let mut state = lock(&marked.state);
            let last = state.tasks.len();
            state.streams.insert(stream.handle, Tail { last, joined: 0 });
            drop(state);
            *lock(&stream.capture) = Some(marked);
            Ok(true)
        }
    }
}

/// Takes a capture off its streams.
fn detach(capture: &Arc<Capture>) {
    lock(&ACTIVE).retain(|active| !Arc::ptr_eq(active, capture));
    for handle in lock(&capture.state).streams.keys() {
        if let Some(stream) = STREAMS.get(as_pointer::<()>(*handle)) {
            *lock(&stream.capture) = None;
        }
    }
}

/// The tasks of a capture that was ended as it should be.
fn tasks_of(capture: &Capture) -> Result<Vec<Task>, Failure> {
    let mut state = lock(&capture.state);
    if let Some(reason) = state.invalid_because.take() {
        return Err(Failure::new(507_903, format!("the capture became invalid: {reason}")));
    }
    let is_open = |(handle, tail): (&usize, &Tail)| *handle != capture.origin && tail.joined < tail.last;
    if state.streams.iter().any(is_open) {
        return Err(Failure::new(107_025, "a stream joined the capture and was not waited for afterwards"));
    }
    Ok(core::mem::take(&mut state.tasks))
}

fn check_mode(mode: aclmdlRICaptureMode) -> Result<(), Failure> {
    match mode.name() {
        Some(_) => Ok(()),
        None => Err(Failure::refused(format!("mode is {mode:?}, expected 0, 1 or 2"))),
    }
}

exports! { capture;
    fn aclmdlRICaptureBegin(stream: aclrtStream, mode: aclmdlRICaptureMode) {
        let (stream, context) = stream::resolve(stream)?;
        check_mode(mode)?;
        if stream.is_default {
            return Err(Failure::new(107_031, "the default stream cannot be captured"));
        }
        let mut own = lock(&stream.capture);
        if own.is_some() {
            return Err(Failure::new(107_027, format!("stream {} is being captured already", stream.number)));
        }
        let capture = Arc::new(Capture {
            origin: stream.handle,
            device: stream.device,
            context: context.handle,
            thread: std::thread::current().id(),
            mode,
            model: MODELS.next_handle(),
            state: Mutex::default(),
        });
        lock(&capture.state).streams.insert(stream.handle, Tail::default());
        lock(&ACTIVE).push(capture.clone());
        *own = Some(capture);
        Ok(())
    }

    fn aclmdlRICaptureGetInfo(
        stream: aclrtStream, status: *mut aclmdlRICaptureStatus, model_ri: *mut aclmdlRI,
    ) writes(status, model_ri) {
        let (stream, _) = stream::resolve(stream)?;
        let capture = capture_of(&stream);
        status.write(match &capture {
            None => aclmdlRICaptureStatus::NONE,
            Some(capture) if capture.is_invalid() => aclmdlRICaptureStatus::INVALIDATED,
            Some(_) => aclmdlRICaptureStatus::ACTIVE,
        });
        model_ri.write(as_pointer(capture.map_or(0, |capture| capture.model)));
        Ok(())
    }

    fn aclmdlRICaptureEnd(stream: aclrtStream, model_ri: *mut aclmdlRI) writes(model_ri) {
        model_ri.write(core::ptr::null_mut());
        let (stream, _) = stream::resolve(stream)?;
        let capture = capture_of(&stream);
        let capture = capture.ok_or_else(|| {
            Failure::new(107_029, format!("stream {} is not being captured", stream.number))
        })?;
        if capture.origin != stream.handle {
            return Err(Failure::new(107_036, "the capture was begun on another stream"));
        }
        if capture.thread != std::thread::current().id() {
            return Err(Failure::new(107_038, "the capture was begun on another thread"));
        }
        detach(&capture);
        let tasks = tasks_of(&capture)?;
        counts::count(&counts::CAPTURES);
        MODELS.insert(capture.model, Arc::new(Model::new(capture.context, tasks)));
        model_ri.write(as_pointer(capture.model));
        Ok(())
    }

    fn aclmdlRICaptureThreadExchangeMode(mode: *mut aclmdlRICaptureMode) {
        if mode.is_null() {
            return Err(Failure::null("mode"));
        }
        // SAFETY: ACL's contract: an initialised mode, which is read and replaced.
        let wanted = unsafe { mode.read() };
        check_mode(wanted)?;
        // SAFETY: as above.
        unsafe { mode.write(THREAD_MODE.replace(wanted)) };
        Ok(())
    }
}
