//! A recording made ready: node by node the first time, so that a fault is laid to its node; then captured, if the libraries
//! can; from then on a run is one launch.

use crate::calls::{Calls, call};
use crate::index::check_index;
use crate::launch::{Call, View};
use crate::prepare::Prepared;
use lockstep_ascend_abi::event_flag::ACL_EVENT_TIME_LINE;
use lockstep_ascend_abi::{
    aclmdlRI, aclmdlRICaptureMode, aclmdlRICaptureStatus, aclrtEvent, aclrtMemcpyKind, aclrtStream,
};
use lockstep_hal::{Error, Result, Work};
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

/// `0`: never capture. `1`: a program that cannot be captured is an error, which says why.
const GRAPH_VARIABLE: &str = "LOCKSTEP_ASCEND_GRAPH";
/// `1`: wait after each step of every run, so that any fault is laid to its node.
const STEPWISE_VARIABLE: &str = "LOCKSTEP_ASCEND_STEPWISE";

/// Where a capture that could not be ended is said to be.
const STUCK: &str = "the end of the capture";

/// A run's commands with every place an address.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// From pinned memory to the device, before the steps.
    pub(crate) copy_in: Option<Transfer>,
    pub(crate) steps: Vec<RecordedStep>,
    /// From the device to pinned memory, after them.
    pub(crate) copy_out: Option<Transfer>,
}

/// A step of a run.
#[derive(Clone, Debug)]
pub(crate) struct RecordedStep {
    /// The node's name.
    pub(crate) node: Arc<str>,
    pub(crate) calls: Vec<Call<u64>>,
    /// Indices that earlier steps compute, which the host must see before this one runs.
    pub(crate) checks: Vec<ComputedIndex>,
}

/// An index on the device, whose elements must be in `0..rows`.
#[derive(Clone, Debug)]
pub(crate) struct ComputedIndex {
    pub(crate) index: View<u64>,
    pub(crate) rows: usize,
}

/// A copy between pinned memory and the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) bytes: usize,
}

/// How the next run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Node by node, waiting for each.
    Stepwise,
    /// All at once, captured.
    Capture,
    /// All at once, operator by operator.
    Submit,
    /// The captured graph.
    Launch,
}

impl ComputedIndex {
    fn check(&self, calls: &Calls, node: &str, stream: aclrtStream) -> Result<()> {
        let mut bytes = vec![0; self.index.count() * self.index.dtype.size()];
        let (to, from) = (bytes.as_mut_ptr().cast(), self.index.place as *const c_void);
        let kind = aclrtMemcpyKind::DEVICE_TO_HOST;
        // SAFETY: the stream is of this thread's context; the index has as many bytes, which are written by now.
        call!(calls, "the run so far", runtime.aclrtSynchronizeStream(stream))?;
        call!(calls, node, runtime.aclrtMemcpy(to, bytes.len(), from, bytes.len(), kind))?;
        check_index(node, self.index.dtype, &bytes, self.rows)
    }
}

/// A recording with its operators prepared.
#[derive(Debug)]
pub(crate) struct Replay {
    recording: Recording,
    prepared: Vec<Vec<Prepared>>,
    graph: aclmdlRI,
    next: Next,
    /// Before and after a run, on the stream.
    events: [aclrtEvent; 2],
    is_timed: bool,
    is_running: bool,
    /// Of the last run; device memory is not counted here.
    work: Work,
}

impl Replay {
    /// Prepares every operator.
    pub(crate) fn new(calls: &Calls, recording: &Recording) -> Result<Self> {
        let mut replay = Self {
            recording: recording.clone(),
            prepared: Vec::new(),
            graph: ptr::null_mut(),
            next: Next::Stepwise,
            events: [ptr::null_mut(); 2],
            is_timed: false,
            is_running: false,
            work: Work { operators: 0, submissions: 0, waits: 0, device_bytes: 0 },
        };
        let made = replay.prepare(calls).and_then(|()| replay.create_events(calls));
        match made {
            Ok(()) => Ok(replay),
            Err(error) => {
                replay.destroy(calls);
                Err(error)
            }
        }
    }

    fn prepare(&mut self, calls: &Calls) -> Result<()> {
        for step in &self.recording.steps {
            self.prepared.push(Vec::new());
            for call in &step.calls {
                let prepared = Prepared::new(calls, &step.node, call)?;
                if let Some(last) = self.prepared.last_mut() {
                    last.push(prepared);
                }
            }
        }
        Ok(())
    }

    fn create_events(&mut self, calls: &Calls) -> Result<()> {
        for event in &mut self.events {
            // SAFETY: writes the event.
            call!(calls, "a run's time", runtime.aclrtCreateEventWithFlag(event, ACL_EVENT_TIME_LINE))?;
        }
        Ok(())
    }

    /// The most scratch that an operator asked for: they run one after another, and share it.
    pub(crate) fn workspace_bytes(&self) -> usize {
        self.prepared.iter().flatten().map(|prepared| prepared.workspace as usize).max().unwrap_or(0)
    }

    /// What the last run asked of the device.
    pub(crate) fn work(&self) -> Work {
        self.work
    }

    fn count(&mut self, captured: bool, waits: usize) {
        let operators = self.prepared.iter().map(Vec::len).sum();
        let submissions = if captured { 1 } else { operators };
        self.work = Work { operators, submissions, waits, device_bytes: 0 };
    }

    /// Starts a run.
    pub(crate) fn start(&mut self, calls: &Calls, stream: aclrtStream, workspace: u64) -> Result<()> {
        self.is_running = true;
        self.is_timed = false;
        self.renew(calls)?;
        match self.next {
            Next::Stepwise => {
                self.submit(calls, stream, workspace, true)?;
                self.count(false, self.recording.steps.len());
                // What the host must look at in between cannot be captured.
                let whole = self.recording.steps.iter().all(|step| step.checks.is_empty())
                    && self.prepared.iter().flatten().all(Prepared::is_repeatable);
                self.next = after_the_first(calls, whole);
                Ok(())
            }
            Next::Submit => {
                self.timed(calls, stream, |replay| replay.submit(calls, stream, workspace, false))?;
                self.count(false, self.recording.steps.iter().map(|step| step.checks.len()).sum());
                Ok(())
            }
            Next::Capture => {
                match self.capture(calls, stream, workspace) {
                    Ok(()) => self.next = Next::Launch,
                    // A stream that cannot be brought back from its capture is of no use.
                    Err(error) if is_stuck(&error) || says(GRAPH_VARIABLE, "1") => return Err(error),
                    // The libraries' own limits; what was not captured runs operator by operator.
                    Err(error) => {
                        tracing::warn!("no graph is captured: {error}");
                        self.next = Next::Submit;
                    }
                }
                self.start(calls, stream, workspace)
            }
            Next::Launch => {
                let graph = self.graph;
                self.timed(calls, stream, |_| {
                    // SAFETY: captured from this stream, not destroyed yet; its memory lives as long as the recording.
                    call!(calls, "the captured graph", capture.aclmdlRIExecuteAsync(graph, stream))
                })?;
                self.count(true, 0);
                Ok(())
            }
        }
    }

    /// Prepares again what does not outlive a run.
    fn renew(&mut self, calls: &Calls) -> Result<()> {
        if self.next == Next::Launch {
            return Ok(());
        }
        for (step, prepared) in self.recording.steps.iter().zip(&mut self.prepared) {
            for (call, prepared) in step.calls.iter().zip(prepared) {
                if prepared.is_spent() {
                    prepared.destroy(calls);
                    *prepared = Prepared::new(calls, &step.node, call)?;
                }
            }
        }
        Ok(())
    }

    fn timed(
        &mut self,
        calls: &Calls,
        stream: aclrtStream,
        run: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let [first, last] = self.events;
        // SAFETY: events and stream are of this thread's context.
        call!(calls, "a run's time", runtime.aclrtRecordEvent(first, stream))?;
        run(self)?;
        // SAFETY: as above.
        call!(calls, "a run's time", runtime.aclrtRecordEvent(last, stream))?;
        self.is_timed = true;
        Ok(())
    }

    fn submit(&mut self, calls: &Calls, stream: aclrtStream, workspace: u64, stepwise: bool) -> Result<()> {
        let transfer = |node: &str, transfer: Option<Transfer>, kind| {
            let Some(Transfer { from, to, bytes }) = transfer else { return Ok(()) };
            let (to, from) = (to as *mut c_void, from as *const c_void);
            // SAFETY: pinned memory and device memory of the program's, of at least so many bytes, that live until the run is
            // waited for.
            call!(calls, node, runtime.aclrtMemcpyAsync(to, bytes, from, bytes, kind, stream))
        };
        transfer("the inputs", self.recording.copy_in, aclrtMemcpyKind::HOST_TO_DEVICE)?;
        if stepwise {
            // What ran before, and the copy, are not laid to the first step.
            // SAFETY: the stream is of this thread's context.
            call!(calls, "what ran before", runtime.aclrtSynchronizeStream(stream))?;
        }
        for (step, prepared) in self.recording.steps.iter().zip(&mut self.prepared) {
            for computed in &step.checks {
                computed.check(calls, &step.node, stream)?;
            }
            for prepared in prepared {
                prepared.submit(calls, workspace, stream)?;
            }
            if stepwise {
                // SAFETY: the stream is of this thread's context.
                call!(calls, &step.node, runtime.aclrtSynchronizeStream(stream))?;
            }
        }
        transfer("the outputs", self.recording.copy_out, aclrtMemcpyKind::DEVICE_TO_HOST)
    }

    fn capture(&mut self, calls: &Calls, stream: aclrtStream, workspace: u64) -> Result<()> {
        let node = "the capture of the program";
        let mode = aclmdlRICaptureMode::THREAD_LOCAL;
        // SAFETY: the stream is of this thread's context, and nothing is waited for until the end.
        call!(calls, node, capture.aclmdlRICaptureBegin(stream, mode))?;
        let submitted = self.submit(calls, stream, workspace, false);
        // SAFETY: on the thread that began it; writes the graph. It ends also where it failed, so that the stream can be used.
        let ended = call!(calls, STUCK, capture.aclmdlRICaptureEnd(stream, &mut self.graph));
        // Why it did not end well is what could not be submitted, unless the stream is still being captured.
        match (submitted, ended) {
            (Ok(()), Ok(())) => {}
            (Err(error), Ok(())) => return Err(error),
            (submitted, Err(ended)) => {
                if self.is_captured(calls, stream) {
                    return Err(ended);
                }
                return Err(submitted.err().unwrap_or_else(|| Error::program(ended.to_string())));
            }
        }
        if self.graph.is_null() {
            return Err(Error::program("the capture gave no graph"));
        }
        Ok(())
    }

    /// Whether the stream is still being captured; where the libraries do not say, it is not.
    fn is_captured(&self, calls: &Calls, stream: aclrtStream) -> bool {
        let (mut status, mut graph) = (aclmdlRICaptureStatus::NONE, ptr::null_mut());
        // SAFETY: the stream is of this thread's context; writes two locals.
        let asked =
            call!(calls, "the capture", capture.aclmdlRICaptureGetInfo(stream, &mut status, &mut graph));
        asked.is_ok() && status != aclmdlRICaptureStatus::NONE
    }

    /// Waits for a run that was started; how long it took on the device, where it was measured.
    pub(crate) fn wait(&mut self, calls: &Calls, stream: aclrtStream) -> Result<Option<Duration>> {
        let was_running = self.is_running;
        self.finish(calls, stream)?;
        if !(was_running && self.is_timed) {
            return Ok(None);
        }
        let mut milliseconds = 0.0_f32;
        let [first, last] = self.events;
        // SAFETY: both were recorded on this stream, which was waited for.
        call!(calls, "a run's time", runtime.aclrtEventElapsedTime(&mut milliseconds, first, last))?;
        Ok(Some(Duration::from_secs_f64(f64::from(milliseconds.max(0.0)) / 1e3)))
    }

    /// Waits for a run that may be under way.
    pub(crate) fn finish(&mut self, calls: &Calls, stream: aclrtStream) -> Result<()> {
        if !std::mem::take(&mut self.is_running) {
            return Ok(());
        }
        // SAFETY: the stream is of this thread's context.
        call!(calls, "the run", runtime.aclrtSynchronizeStream(stream))
    }

    /// Gives everything back; nothing of it runs any more.
    pub(crate) fn destroy(&mut self, calls: &Calls) {
        let mut given_back = Vec::new();
        if !self.graph.is_null() {
            // SAFETY: captured once, destroyed once, and it does not run.
            given_back.push(call!(calls, "the captured graph", capture.aclmdlRIDestroy(self.graph)));
            self.graph = ptr::null_mut();
        }
        for event in self.events.iter_mut().filter(|event| !event.is_null()) {
            // SAFETY: created once, destroyed once.
            given_back.push(call!(calls, "a run's time", runtime.aclrtDestroyEvent(*event)));
            *event = ptr::null_mut();
        }
        for error in given_back.into_iter().filter_map(Result::err) {
            tracing::warn!("{error}");
        }
        self.prepared.iter_mut().flatten().for_each(|prepared| prepared.destroy(calls));
        self.prepared.clear();
    }
}

/// Whether a capture could not be ended, so that its stream takes nothing else.
pub(crate) fn is_stuck(error: &Error) -> bool {
    matches!(error, Error::Device { node, .. } if node == STUCK)
}

/// Whether a variable of the environment has that value.
fn says(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|said| said == value)
}

/// How runs go on after the first.
fn after_the_first(calls: &Calls, whole: bool) -> Next {
    let can_capture = calls.functions.capture.aclmdlRICaptureBegin.is_some()
        && calls.functions.capture.aclmdlRICaptureEnd.is_some()
        && calls.functions.capture.aclmdlRIExecuteAsync.is_some();
    if says(STEPWISE_VARIABLE, "1") {
        Next::Stepwise
    } else if can_capture && whole && !says(GRAPH_VARIABLE, "0") {
        Next::Capture
    } else {
        Next::Submit
    }
}
