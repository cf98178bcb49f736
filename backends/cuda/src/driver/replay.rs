//! A recording on a GPU. The first run goes node by node, waiting after each, so that a fault is laid to its node; the
//! second is captured as a graph; from then on a run is one launch.

use super::clock::Clock;
use super::engine::{DriverEngine, Function, Stream};
use super::event::Event;
use crate::engine::{Recording, Replay, Resolved};
use cudarc::driver::{result, sys};
use lockstep_hal::Result;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// `0` keeps every run node by node: slower, and a fault is laid to its node in each.
const VARIABLE: &str = "LOCKSTEP_CUDA_GRAPH";

enum Prepared {
    Launch {
        kernel: String,
        function: Function,
        grid: [u32; 3],
        block: u32,
        shared_bytes: u32,
        /// Each argument in words of 8 bytes, so that it is aligned.
        arguments: Vec<Vec<u64>>,
    },
    Copy {
        from: u64,
        to: u64,
        bytes: usize,
    },
    Fill {
        at: u64,
        value: u8,
        bytes: usize,
    },
}

/// A captured run.
struct Graph(sys::CUgraphExec);

// SAFETY: launched by one thread at a time, under the stream's lock.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: instantiated once, destroyed once. A lost device answers with an error that changes nothing.
        let _ = unsafe { result::graph::exec_destroy(self.0) };
    }
}

/// A recording, resolved.
pub(super) struct DriverReplay {
    graph: Option<Graph>,
    /// The end of the last run that was started, which can be waited for while others put their runs behind it.
    done: Event,
    clock: Option<Clock>,
    commands: Vec<(Arc<str>, Prepared)>,
    engine: Arc<DriverEngine>,
    /// Whether it has run once, node by node.
    proven: bool,
    captures: bool,
    /// Of the last run, if that was a captured one: what waits after each node has no time of its own.
    device_time: Option<Duration>,
}

impl Drop for DriverReplay {
    /// Graph and events are dropped after this, on whatever thread it is.
    fn drop(&mut self) {
        let _ = self.engine.make_current();
    }
}

impl DriverReplay {
    pub(super) fn new(engine: Arc<DriverEngine>, recording: Recording) -> Result<Self> {
        let mut commands = Vec::with_capacity(recording.len());
        let stream = engine.enter("the recording of a program")?;
        for (node, command) in recording {
            let prepared = prepare(&engine, &node, command)?;
            commands.push((node, prepared));
        }
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
        let done = Event::new(&engine.calls, "the recording of a program", flags)?;
        let clock = Clock::new(&engine.calls)?;
        drop(stream);
        let captures = std::env::var_os(VARIABLE).is_none_or(|value| value != "0");
        Ok(Self { graph: None, done, clock, commands, engine, proven: false, captures, device_time: None })
    }

    fn put(&self, stream: &Stream, node: &str, command: &Prepared) -> Result<()> {
        let calls = &self.engine.calls;
        match command {
            Prepared::Launch { kernel, function, grid: [x, y, z], block, shared_bytes, arguments } => {
                let mut pointers: Vec<*mut c_void> =
                    arguments.iter().map(|words| words.as_ptr().cast_mut().cast()).collect();
                // SAFETY: the arguments are those of the launch list, which the emulator checks against every kernel's
                // parameters; they name the program's own operands, which live as long as the replay.
                let launched = unsafe {
                    result::launch_kernel(
                        function.0,
                        (*x, *y, *z),
                        (*block, 1, 1),
                        *shared_bytes,
                        stream.stream,
                        &mut pointers,
                    )
                };
                calls.check(node, kernel, launched)
            }
            Prepared::Copy { from, to, bytes } => {
                // SAFETY: both ranges are the program's own. Addresses are unified: the driver knows which are the host's.
                let copied = unsafe { sys::cuMemcpyAsync(*to, *from, *bytes, stream.stream) };
                calls.check(node, "cuMemcpyAsync", copied.result())
            }
            Prepared::Fill { at, value, bytes } => {
                // SAFETY: the range is the program's own.
                let filled = unsafe { result::memset_d8_async(*at, *value, *bytes, stream.stream) };
                calls.check(node, "cuMemsetD8Async", filled)
            }
        }
    }

    fn node_by_node(&self, stream: &Stream) -> Result<()> {
        for (at, (node, command)) in self.commands.iter().enumerate() {
            self.put(stream, node, command)?;
            if self.commands.get(at + 1).is_none_or(|(next, _)| next != node) {
                let what = match command {
                    Prepared::Launch { kernel, .. } => kernel.as_str(),
                    _ => "cuStreamSynchronize",
                };
                // SAFETY: the stream lives as long as the engine.
                let waited = unsafe { result::stream::synchronize(stream.stream) };
                self.engine.calls.check(node, what, waited)?;
            }
        }
        Ok(())
    }

    fn capture(&self, stream: &Stream) -> Result<Graph> {
        let node = &format!("the capture of a run ({VARIABLE}=0 goes without it)");
        let calls = &self.engine.calls;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is ours and not capturing.
        calls.check(node, "cuStreamBeginCapture", unsafe {
            result::stream::begin_capture(stream.stream, mode)
        })?;
        let put = self.commands.iter().try_for_each(|(node, command)| self.put(stream, node, command));
        // SAFETY: a capture is ended whatever happened, or the stream would stay in it.
        let ended = unsafe { result::stream::end_capture(stream.stream) };
        if let (Err(_), Ok(graph)) = (&put, &ended) {
            // SAFETY: the graph was captured just now, and nothing else knows it.
            let _ = unsafe { result::graph::destroy(*graph) };
        }
        put?;
        let graph = calls.check(node, "cuStreamEndCapture", ended)?;
        // SAFETY: the graph was captured just now; it is destroyed once, and what is made of it does not need it.
        let made = unsafe {
            let made = instantiated(graph);
            let _ = result::graph::destroy(graph);
            made
        };
        let made = Graph(calls.check(node, "cuGraphInstantiate", made)?);
        // SAFETY: instantiated just now.
        calls.check(node, "cuGraphUpload", unsafe { result::graph::upload(made.0, stream.stream) })?;
        Ok(made)
    }
}

/// An executable graph without flags. The bindings' own function takes an enum that has no name for none.
///
/// # Safety
/// The graph is a captured one.
unsafe fn instantiated(graph: sys::CUgraph) -> std::result::Result<sys::CUgraphExec, result::DriverError> {
    let mut made = std::ptr::null_mut();
    // SAFETY: writes one pointer.
    unsafe { sys::cuGraphInstantiateWithFlags(&mut made, graph, 0) }.result()?;
    Ok(made)
}

fn prepare(engine: &DriverEngine, node: &str, command: Resolved) -> Result<Prepared> {
    Ok(match command {
        Resolved::Launch { kernel, grid, block, shared_bytes, arguments } => {
            let function = engine.function(node, &kernel)?;
            engine.allow_shared(node, &kernel, function, shared_bytes)?;
            let word = |chunk: &[u8]| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_ne_bytes(word)
            };
            let arguments = arguments.iter().map(|bytes| bytes.chunks(8).map(word).collect()).collect();
            Prepared::Launch { kernel, function, grid, block, shared_bytes, arguments }
        }
        Resolved::Copy { from, to, bytes } => Prepared::Copy { from, to, bytes },
        Resolved::Fill { at, value, bytes } => Prepared::Fill { at, value, bytes },
    })
}

impl Replay for DriverReplay {
    fn start(&mut self) -> Result<()> {
        let engine = self.engine.clone();
        let stream = engine.enter("the start of a run")?;
        self.device_time = None;
        if !self.proven || !self.captures {
            self.node_by_node(&stream)?;
            self.proven = true;
        } else {
            if self.graph.is_none() {
                self.graph = Some(self.capture(&stream)?);
            }
            if let Some(graph) = &self.graph {
                if let Some(clock) = &self.clock {
                    clock.start(&engine.calls, stream.stream)?;
                }
                // SAFETY: the graph was instantiated in this context.
                let launched = unsafe { result::graph::launch(graph.0, stream.stream) };
                engine.calls.check("a captured run", "cuGraphLaunch", launched)?;
                if let Some(clock) = &self.clock {
                    clock.stop(&engine.calls, stream.stream)?;
                }
            }
        }
        self.done.record(&engine.calls, "the end of a run", stream.stream)
    }

    fn wait(&mut self) -> Result<()> {
        // The stream's lock goes at once: others may start while this run is waited for.
        drop(self.engine.enter("the end of a run")?);
        let first = self.commands.first().map_or("", |(node, _)| node);
        let last = self.commands.last().map_or("", |(node, _)| node);
        let node = format!("a captured run from {first} to {last} ({VARIABLE}=0 lays a fault to its node)");
        // `enter` made the context current on this thread.
        self.done.wait(&self.engine.calls, &node)?;
        if let (Some(clock), Some(_)) = (&self.clock, &self.graph) {
            self.device_time = Some(clock.elapsed(&self.engine.calls)?);
        }
        Ok(())
    }

    fn device_time(&self) -> Option<Duration> {
        self.device_time
    }
}
