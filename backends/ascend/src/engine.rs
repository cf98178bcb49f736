//! An open device as its owner thread has it: context, stream, memory, and the programs that are recorded on it.

use crate::calls::{Calls, call};
use crate::offline::{Description, Loaded, ModelFile, PortCopy};
use crate::pool::{Pool, Source};
use crate::replay::{Recording, Replay, is_stuck};
use lockstep_ascend_abi::failure_mode::ACL_STOP_ON_FAILURE;
use lockstep_ascend_abi::{
    aclSysParamOpt, aclrtContext, aclrtMemAttr, aclrtMemMallocPolicy, aclrtMemcpyKind, aclrtStream,
};
use lockstep_hal::{Error, Result, Work};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

/// What is done when the device is opened or closed, in errors.
const OPENING: &str = "the opening of the device";
const CLOSING: &str = "the closing of the device";
const MEMORY: &str = "device memory";
/// What no device has, and what can still be rounded up.
const LARGEST: usize = isize::MAX as usize / 2;

/// What is known of a run that was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Finished {
    /// How long it took on the device, where that was measured.
    pub(crate) time: Option<Duration>,
    pub(crate) work: Option<Work>,
}

/// The device.
#[derive(Debug)]
pub(crate) struct Engine {
    calls: Calls,
    ordinal: i32,
    context: aclrtContext,
    stream: aclrtStream,
    pool: Pool,
    replays: HashMap<u64, Replay>,
    /// Compiled models with the memory that each was given.
    models: HashMap<u64, (Loaded, Vec<u64>)>,
    /// The number of the next recording or model.
    next: u64,
    /// What brought the device down; nothing is asked of it any more.
    lost: Option<String>,
}

impl Engine {
    /// Opens a device on this thread, which is the only one that may use it; sums in a fixed order where that is asked for.
    pub(crate) fn open(calls: Calls, ordinal: usize, fixed_order: bool) -> Result<Self> {
        let number = ordinal as i32;
        // SAFETY: a number. Before there is an engine: what was not set must not be reset.
        call!(calls, OPENING, runtime.aclrtSetDevice(number))?;
        let mut engine = Self {
            calls,
            ordinal: number,
            context: ptr::null_mut(),
            stream: ptr::null_mut(),
            pool: Pool::default(),
            replays: HashMap::new(),
            models: HashMap::new(),
            next: 0,
            lost: None,
        };
        let calls = engine.calls.clone();
        // SAFETY (of the calls here): numbers, and addresses of fields that outlive the calls. What is made here is given back
        // when the engine is dropped, also if a later call fails.
        call!(calls, OPENING, runtime.aclrtCreateContext(&mut engine.context, engine.ordinal))?;
        call!(calls, OPENING, runtime.aclrtCreateStream(&mut engine.stream))?;
        call!(calls, OPENING, runtime.aclrtSetStreamFailureMode(engine.stream, ACL_STOP_ON_FAILURE))?;
        if !fixed_order {
            return Ok(engine);
        }
        // Of the context where that is known, else of the process.
        let mode = aclSysParamOpt::DETERMINISTIC;
        call!(calls, OPENING, runtime.aclrtCtxSetSysParamOpt(mode, 1))
            .or_else(|_| call!(calls, OPENING, runtime.aclrtSetSysParamOpt(mode, 1)))?;
        Ok(engine)
    }

    /// An error for whoever comes after the fault that brought the device down.
    fn alive(&self) -> Result<()> {
        match &self.lost {
            None => Ok(()),
            Some(fault) => Err(Error::Device {
                device: self.calls.device.clone(),
                node: "the device".into(),
                call: "any call".into(),
                code: 0,
                driver_text: format!("lost by an earlier fault; open it again. It was: {fault}"),
            }),
        }
    }

    /// Notes a fault of something that ran, after which the context is of no use.
    fn noted<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error @ Error::Device { code, .. }) = &result
            && (((500_000..600_000).contains(code) && !Calls::is_submission(*code)) || is_stuck(error))
        {
            self.lost.get_or_insert_with(|| error.to_string());
        }
        result
    }

    /// Device memory of at least `bytes` bytes, all zero if that is asked for.
    pub(crate) fn allocate(&mut self, bytes: usize, zeroed: bool) -> Result<u64> {
        self.alive()?;
        if bytes > LARGEST {
            let free = free_and_total(&self.calls).ok().map(|(free, _)| free);
            return Err(Error::OutOfMemory { device: self.calls.device.clone(), requested: bytes, free });
        }
        let mut source = Runtime { calls: &self.calls };
        let address = self.pool.allocate(&mut source, bytes.max(1)).map_err(|error| {
            if Calls::is_out_of_memory(&error) {
                let free = free_and_total(&self.calls).ok().map(|(free, _)| free);
                Error::OutOfMemory { device: self.calls.device.clone(), requested: bytes, free }
            } else {
                error
            }
        })?;
        if zeroed && bytes > 0 {
            let at = address as *mut c_void;
            // SAFETY: as many bytes were allocated just now.
            if let Err(error) = call!(self.calls, MEMORY, runtime.aclrtMemset(at, bytes, 0, bytes)) {
                self.free(address);
                return Err(error);
            }
        }
        Ok(address)
    }

    /// Gives device memory back.
    pub(crate) fn free(&mut self, address: u64) {
        self.pool.free(&mut Runtime { calls: &self.calls }, address);
    }

    /// Pinned host memory of that many bytes, all zero.
    pub(crate) fn allocate_pinned(&mut self, bytes: usize) -> Result<u64> {
        self.alive()?;
        let mut at = ptr::null_mut();
        let bytes = bytes.max(1);
        // SAFETY: writes the address.
        call!(self.calls, "pinned memory", runtime.aclrtMallocHost(&mut at, bytes))?;
        // SAFETY: as many bytes were allocated just now.
        unsafe { ptr::write_bytes(at.cast::<u8>(), 0, bytes) };
        Ok(at as u64)
    }

    /// Gives pinned memory back.
    pub(crate) fn free_pinned(&mut self, address: u64) {
        // SAFETY: from `allocate_pinned`, once; no run uses it any more.
        if let Err(error) = call!(self.calls, "pinned memory", runtime.aclrtFreeHost(address as *mut c_void))
        {
            tracing::warn!("{error}");
        }
    }

    /// Copies host bytes to device memory, and waits.
    pub(crate) fn copy_in(&mut self, to: u64, source: &[u8]) -> Result<()> {
        self.alive()?;
        if source.is_empty() {
            return Ok(());
        }
        let (kind, bytes) = (aclrtMemcpyKind::HOST_TO_DEVICE, source.len());
        // A run that was not waited for may still read what is there.
        let waited = self.wait_for_stream("the run so far");
        self.noted(waited)?;
        // SAFETY: the destination has the bytes, which the caller checked, and the source lives through the call.
        let copied = call!(
            self.calls,
            "a copy to the device",
            runtime.aclrtMemcpy(to as *mut c_void, bytes, source.as_ptr().cast(), bytes, kind)
        );
        self.noted(copied)
    }

    /// Copies device memory to the host, after everything that was started.
    pub(crate) fn copy_out(&mut self, from: u64, bytes: usize) -> Result<Vec<u8>> {
        self.alive()?;
        let mut destination = vec![0; bytes];
        if bytes > 0 {
            let kind = aclrtMemcpyKind::DEVICE_TO_HOST;
            let waited = self.wait_for_stream("the run so far");
            self.noted(waited)?;
            // SAFETY: as above, the other way round.
            let copied = call!(
                self.calls,
                "a copy from the device",
                runtime.aclrtMemcpy(
                    destination.as_mut_ptr().cast(),
                    bytes,
                    from as *const c_void,
                    bytes,
                    kind
                )
            );
            self.noted(copied)?;
        }
        Ok(destination)
    }

    fn wait_for_stream(&self, node: &str) -> Result<()> {
        // SAFETY: the stream is of this thread's context.
        call!(self.calls, node, runtime.aclrtSynchronizeStream(self.stream))
    }

    /// Prepares a recording; its number.
    pub(crate) fn record(&mut self, recording: &Recording) -> Result<u64> {
        self.alive()?;
        let prepared = Replay::new(&self.calls, recording);
        let replay = self.noted(prepared)?;
        let number = self.next;
        self.next += 1;
        self.replays.insert(number, replay);
        Ok(number)
    }

    /// The scratch that a recording's operators asked for.
    pub(crate) fn workspace_bytes(&self, number: u64) -> usize {
        self.replays.get(&number).map_or(0, Replay::workspace_bytes)
    }

    /// Starts a recording with its scratch.
    pub(crate) fn start(&mut self, number: u64, workspace: u64) -> Result<()> {
        self.alive()?;
        let stream = self.stream;
        let started = match self.replays.get_mut(&number) {
            Some(replay) => replay.start(&self.calls, stream, workspace),
            None => Err(Error::program("a recording that was given back")),
        };
        // First what the run itself met: it names the node.
        let started = self.noted(started);
        if started.is_err() {
            // What was put on the stream before reads and writes memory that the caller takes for free again. A fault of it is not
            // what is told now, and what comes after it on a stream is skipped.
            let waited = self.wait_for_stream("the run so far");
            let _ = self.noted(waited);
        }
        started
    }

    /// Waits for a recording that was started.
    pub(crate) fn wait(&mut self, number: u64) -> Result<Finished> {
        self.alive()?;
        let (stream, device_bytes) = (self.stream, self.pool.bytes());
        let waited = match self.replays.get_mut(&number) {
            Some(replay) => replay
                .wait(&self.calls, stream)
                .map(|time| Finished { time, work: Some(Work { device_bytes, ..replay.work() }) }),
            None => Ok(Finished::default()),
        };
        self.noted(waited)
    }

    /// Gives a recording back.
    pub(crate) fn forget(&mut self, number: u64) {
        if let Some(mut replay) = self.replays.remove(&number) {
            // Nobody asks any more how its last run ended, and what comes after a fault on a stream is skipped.
            let ended = replay.finish(&self.calls, self.stream);
            let _ = self.noted(ended);
            replay.destroy(&self.calls);
        }
    }

    /// Loads a compiled model; its number, and what it says of itself.
    pub(crate) fn load(&mut self, file: &ModelFile) -> Result<(u64, Description)> {
        self.alive()?;
        let calls = self.calls.clone();
        let mut memory = Vec::new();
        let loaded = Loaded::new(&calls, file, &mut |bytes| {
            let address = self.allocate(bytes, true)?;
            memory.push(address);
            Ok(address)
        });
        match loaded {
            Ok(loaded) => {
                let (number, description) = (self.next, loaded.description().clone());
                self.next += 1;
                self.models.insert(number, (loaded, memory));
                Ok((number, description))
            }
            Err(error) => {
                memory.into_iter().for_each(|address| self.free(address));
                Err(error)
            }
        }
    }

    /// Runs a loaded model at one of its gears, and waits.
    pub(crate) fn run_model(
        &mut self,
        number: u64,
        gear: usize,
        inputs: &[PortCopy],
        outputs: &[PortCopy],
    ) -> Result<Finished> {
        self.alive()?;
        let stream = self.stream;
        let Some((loaded, _)) = self.models.get_mut(&number) else {
            return Err(Error::program("a model that was unloaded"));
        };
        // Look-ups of the host's: a failure loses nothing.
        loaded.choose(&self.calls, gear, outputs)?;
        let submitted = loaded.submit(&self.calls, stream, inputs, outputs);
        let node = loaded.file().to_owned();
        let waited = self.wait_for_stream(&node);
        // Both may say that the device is lost; told is what was refused first.
        let waited = self.noted(waited);
        self.noted(submitted).and(waited)?;
        let time = self.models.get(&number).map(|(loaded, _)| loaded.time(&self.calls)).transpose()?;
        let work = Work { operators: 1, submissions: 1, waits: 0, device_bytes: self.pool.bytes() };
        Ok(Finished { time, work: Some(work) })
    }

    /// Gives a loaded model back.
    pub(crate) fn unload(&mut self, number: u64) {
        if let Some((loaded, memory)) = self.models.remove(&number) {
            // A run whose end could not be waited for may still be under way.
            let waited = self.wait_for_stream(loaded.file());
            let _ = self.noted(waited);
            loaded.unload(&self.calls);
            memory.into_iter().for_each(|address| self.free(address));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let numbers: Vec<u64> = self.replays.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.forget(number));
        let numbers: Vec<u64> = self.models.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.unload(number));
        self.pool.clear(&mut Runtime { calls: &self.calls });
        // SAFETY: made when the engine was opened, given back once, and used by nobody any more.
        let closed = [
            (!self.stream.is_null())
                .then(|| call!(self.calls, CLOSING, runtime.aclrtDestroyStream(self.stream))),
            (!self.context.is_null())
                .then(|| call!(self.calls, CLOSING, runtime.aclrtDestroyContext(self.context))),
            Some(call!(self.calls, CLOSING, runtime.aclrtResetDevice(self.ordinal))),
        ];
        for error in closed.into_iter().flatten().filter_map(Result::err) {
            tracing::warn!("{error}");
        }
    }
}

/// Bytes of device memory that are free, and all there are; of the device that is this thread's.
pub(crate) fn free_and_total(calls: &Calls) -> Result<(usize, usize)> {
    let (mut free, mut total) = (0, 0);
    // SAFETY: writes two numbers.
    call!(calls, MEMORY, runtime.aclrtGetMemInfo(aclrtMemAttr::HBM_MEM, &mut free, &mut total))?;
    Ok((free, total))
}

/// The runtime as the pool's source.
struct Runtime<'a> {
    calls: &'a Calls,
}

impl Source for Runtime<'_> {
    type Error = Error;

    fn allocate(&mut self, bytes: usize) -> Result<u64> {
        let mut at = ptr::null_mut();
        let policy = aclrtMemMallocPolicy::MALLOC_HUGE_FIRST;
        // SAFETY: writes the address.
        call!(self.calls, MEMORY, runtime.aclrtMalloc(&mut at, bytes, policy))?;
        Ok(at as u64)
    }

    fn free(&mut self, address: u64) {
        // SAFETY: from `allocate`, once; no run uses it any more.
        if let Err(error) = call!(self.calls, MEMORY, runtime.aclrtFree(address as *mut c_void)) {
            tracing::warn!("{error}");
        }
    }
}
