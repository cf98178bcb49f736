//! Streams: what is submitted to one runs in order on a thread of its own, and fails late.

use crate::exports::exports;
use crate::meta::executor::Fault;
use crate::registry::{Registry, as_pointer};
use crate::runtime::capture::{self, Capture};
use crate::runtime::context::{self, Context};
use crate::runtime::errors::Failure;
use crate::runtime::settings::Settings;
use crate::runtime::worker::{Fate, Queue, Task};
use crate::runtime::{counts, device, lock, process};
use lockstep_ascend_abi::{aclrtEvent, aclrtStream, aclrtStreamStatus, failure_mode};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Streams that an Atlas A2 has.
const PER_DEVICE: usize = 1984;

/// A live stream.
pub(crate) struct Stream {
    /// Its handle.
    pub handle: usize,
    /// A small number, for messages and `aclrtStreamGetId`.
    pub number: i32,
    /// The handle of its context.
    pub context: usize,
    /// Its device.
    pub device: i32,
    /// What null names.
    pub is_default: bool,
    /// The process's, with the device's overflow mode as it was when the stream was created.
    pub settings: Arc<Settings>,
    /// Its tasks.
    pub queue: Arc<Queue>,
    /// Where they go instead while it is captured.
    pub capture: Mutex<Option<Arc<Capture>>>,
    fate: Arc<Fate>,
    worker: Mutex<Option<JoinHandle<()>>>,
    failure_mode_is_set: AtomicBool,
}

pub(crate) static STREAMS: Registry<Stream> = Registry::new(17);
static NUMBERS: AtomicI32 = AtomicI32::new(0);

impl Stream {
    /// Submits a task, or records it while the stream is captured. Gives its number in the queue.
    pub(crate) fn submit(&self, task: Task) -> Option<u64> {
        let capture = lock(&self.capture);
        match &*capture {
            Some(capture) => {
                capture.add(self.handle, task);
                None
            }
            None => Some(self.queue.push(task)),
        }
    }

    /// What the next synchronisation is to tell: the fault that stopped the context, else its own first one.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        let own = self.queue.take_fault();
        self.fate.stopped_by().or(own)
    }
}

/// Makes a stream of a context.
///
/// # Errors
/// 207008 if the device has no more, or the machine no thread.
pub(crate) fn create(
    device: i32,
    context: usize,
    is_default: bool,
    fate: Arc<Fate>,
) -> Result<usize, Failure> {
    let taken = STREAMS.all().iter().filter(|stream| stream.device == device).count();
    if taken >= PER_DEVICE {
        return Err(Failure::new(207_008, format!("device {device} has no more than {PER_DEVICE} streams")));
    }
    let handle = STREAMS.next_handle();
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let queue = Arc::new(Queue::default());
    let (work, its_fate) = (queue.clone(), fate.clone());
    let worker = std::thread::Builder::new()
        .name(format!("ascend-sim {device}:{number}"))
        .spawn(move || work.work(&its_fate))
        .map_err(|error| Failure::new(207_008, format!("no thread for a stream: {error}")))?;
    let stream = Stream {
        handle,
        number,
        context,
        device,
        is_default,
        settings: Arc::new(Settings { overflow: device::overflow(device), ..(*process::settings()).clone() }),
        queue,
        capture: Mutex::default(),
        fate,
        worker: Mutex::new(Some(worker)),
        failure_mode_is_set: AtomicBool::new(false),
    };
    STREAMS.insert(handle, Arc::new(stream));
    Ok(handle)
}

/// Waits for a stream's tasks and ends it.
pub(crate) fn end(stream: &Stream) {
    STREAMS.remove(as_pointer::<()>(stream.handle));
    if let Some(capture) = lock(&stream.capture).take() {
        capture.invalidate("a stream of it was destroyed with its context");
    }
    stream.queue.close();
    if let Some(worker) = lock(&stream.worker).take() {
        // A worker that panicked has said so as a fault; there is nothing left to wait for.
        let _ = worker.join();
    }
}

/// The stream that C means, which belongs to the current context.
///
/// # Errors
/// 107002 without a context, 107017 for what is not a live stream, 107003 for another context's.
pub(crate) fn resolve(stream: aclrtStream) -> Result<(Arc<Stream>, Arc<Context>), Failure> {
    let context = context::current()?;
    let handle = if stream.is_null() { context.default_stream } else { stream.addr() };
    let found = STREAMS.get(as_pointer::<()>(handle));
    let found = found.ok_or_else(|| Failure::new(107_017, "stream is not one that is alive"))?;
    if found.context != context.handle {
        let text = format!("stream {} is of another context than the current one", found.number);
        return Err(Failure::new(107_003, text));
    }
    Ok((found, context))
}

/// When a wait of `timeout_ms` ends; -1 is never.
///
/// # Errors
/// 107000 for other negative values.
pub(crate) fn deadline(timeout_ms: i32) -> Result<Option<Instant>, Failure> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Some(Instant::now() + Duration::from_millis(timeout_ms as u64))),
        _ => Err(Failure::refused(format!("timeout is {timeout_ms}, expected -1 or milliseconds"))),
    }
}

fn synchronize(stream: aclrtStream, timeout_ms: i32) -> Result<(), Failure> {
    let (stream, _) = resolve(stream)?;
    capture::refuse_synchronisation(&stream)?;
    counts::count(&counts::SYNCHRONISATIONS);
    if !stream.queue.wait(deadline(timeout_ms)?) {
        return Err(Failure::new(
            507_046,
            format!("stream {} is not done in {timeout_ms} ms", stream.number),
        ));
    }
    match stream.take_fault() {
        Some(fault) => Err(Failure::new(fault.code, fault.text)),
        None => Ok(()),
    }
}

fn new_in_current_context() -> Result<aclrtStream, Failure> {
    let context = context::current()?;
    Ok(as_pointer(create(context.device, context.handle, false, context.fate.clone())?))
}

/// A stream that its owner may destroy now.
fn destroyable(stream: aclrtStream) -> Result<Arc<Stream>, Failure> {
    if stream.is_null() {
        return Err(Failure::null("stream"));
    }
    let (stream, _) = resolve(stream)?;
    if stream.is_default {
        return Err(Failure::refused("a context's default stream ends with it"));
    }
    if lock(&stream.capture).is_some() {
        return Err(Failure::new(107_027, format!("stream {} is being captured", stream.number)));
    }
    Ok(stream)
}

/// The live streams but the default ones, of a device or all.
pub(crate) fn leaks(device: Option<i32>) -> Vec<String> {
    let streams = STREAMS.all();
    let made = streams.iter().filter(|stream| !stream.is_default);
    let made = made.filter(|stream| device.is_none_or(|device| device == stream.device));
    made.map(|stream| format!("stream {} of device {}", stream.number, stream.device)).collect()
}

exports! { runtime;
    fn aclrtCreateStream(stream: *mut aclrtStream) writes(stream) {
        stream.write(new_in_current_context()?);
        Ok(())
    }

    fn aclrtCreateStreamWithConfig(stream: *mut aclrtStream, priority: u32, flag: u32) writes(stream) {
        if priority > 7 || flag & !0x3f != 0 {
            return Err(Failure::refused(format!("priority {priority}, flag {flag:#x}: unknown")));
        }
        stream.write(new_in_current_context()?);
        Ok(())
    }

    fn aclrtDestroyStream(stream: aclrtStream) {
        end(&*destroyable(stream)?);
        Ok(())
    }

    fn aclrtDestroyStreamForce(stream: aclrtStream) {
        let stream = destroyable(stream)?;
        stream.queue.abort();
        end(&stream);
        Ok(())
    }

    fn aclrtStreamAbort(stream: aclrtStream) {
        let (stream, _) = resolve(stream)?;
        stream.queue.abort();
        Ok(())
    }

    fn aclrtSynchronizeStream(stream: aclrtStream) {
        synchronize(stream, -1)
    }

    fn aclrtSynchronizeStreamWithTimeout(stream: aclrtStream, timeout: i32) {
        synchronize(stream, timeout)
    }

    fn aclrtStreamQuery(stream: aclrtStream, status: *mut aclrtStreamStatus) writes(status) {
        let (stream, _) = resolve(stream)?;
        capture::refuse_synchronisation(&stream)?;
        status.write(match stream.queue.is_idle() {
            true => aclrtStreamStatus::COMPLETE,
            false => aclrtStreamStatus::NOT_READY,
        });
        Ok(())
    }

    fn aclrtStreamWaitEvent(stream: aclrtStream, event: aclrtEvent) {
        let (stream, _) = resolve(stream)?;
        crate::runtime::event::wait_in(&stream, event)
    }

    fn aclrtSetStreamFailureMode(stream: aclrtStream, mode: u64) {
        let (stream, context) = resolve(stream)?;
        let stops = match mode {
            failure_mode::ACL_CONTINUE_ON_FAILURE => false,
            failure_mode::ACL_STOP_ON_FAILURE => true,
            _ => return Err(Failure::refused(format!("mode is {mode}, expected 0 or 1"))),
        };
        if stream.failure_mode_is_set.swap(true, Ordering::Relaxed) {
            let text = format!("stream {} has its failure mode already; it is set once", stream.number);
            return Err(Failure::refused(text));
        }
        context.fate.set_stops(stops);
        Ok(())
    }

    fn aclrtStreamGetId(stream: aclrtStream, stream_id: *mut i32) writes(stream_id) {
        stream_id.write(resolve(stream)?.0.number);
        Ok(())
    }
}
