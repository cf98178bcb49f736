//! Contexts: what owns streams. One is current on each thread, and nothing works without.

use crate::exports::exports;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::stream::{self, Stream};
use crate::runtime::worker::Fate;
use crate::runtime::{device, lock, process};
use lockstep_ascend_abi::{aclSysParamOpt, aclrtContext};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A live context.
pub(crate) struct Context {
    /// Its handle.
    pub handle: usize,
    /// The device it is on.
    pub device: i32,
    /// Made by `aclrtSetDevice`, and shared by the threads that call it.
    pub is_default: bool,
    /// The stream that null names.
    pub default_stream: usize,
    /// What becomes of its streams after a fault.
    pub fate: Arc<Fate>,
    /// Set by `aclrtCtxSetSysParamOpt`.
    pub options: Mutex<BTreeMap<aclSysParamOpt, i64>>,
}

pub(crate) static CONTEXTS: Registry<Context> = Registry::new(16);

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// The calling thread's context.
///
/// # Errors
/// 107002 if it has none, or if it was destroyed.
pub(crate) fn current() -> Result<Arc<Context>, Failure> {
    let handle = CURRENT.get();
    CONTEXTS.get(as_pointer::<()>(handle)).ok_or_else(|| {
        let reason = match handle {
            0 => "this thread has no context: call aclrtSetDevice or aclrtSetCurrentContext on it",
            _ => "this thread's context was destroyed, or its device reset",
        };
        Failure::new(107_002, reason)
    })
}

/// Makes a context current on the calling thread.
pub(crate) fn make_current(handle: usize) {
    CURRENT.set(handle);
}

/// Makes a context with its default stream.
pub(crate) fn create(device: i32, is_default: bool) -> Result<Arc<Context>, Failure> {
    let handle = CONTEXTS.next_handle();
    let fate = Arc::new(Fate::default());
    let default_stream = stream::create(device, handle, true, fate.clone())?;
    let context =
        Arc::new(Context { handle, device, is_default, default_stream, fate, options: Mutex::default() });
    CONTEXTS.insert(handle, context.clone());
    Ok(context)
}

/// Waits for its streams and ends them and it.
pub(crate) fn destroy(context: &Context) {
    CONTEXTS.remove(as_pointer::<()>(context.handle));
    for stream in streams(context.handle) {
        stream::end(&stream);
    }
}

/// The live streams of a context.
pub(crate) fn streams(context: usize) -> Vec<Arc<Stream>> {
    stream::STREAMS.all().into_iter().filter(|stream| stream.context == context).collect()
}

/// The live contexts but the default ones, of a device or all.
pub(crate) fn leaks(device: Option<i32>) -> Vec<String> {
    let contexts = CONTEXTS.all();
    let made = contexts.iter().filter(|context| !context.is_default);
    let made = made.filter(|context| device.is_none_or(|device| device == context.device));
    made.map(|context| format!("a context of device {} by aclrtCreateContext", context.device)).collect()
}

fn live(context: aclrtContext) -> Result<Arc<Context>, Failure> {
    if context.is_null() {
        return Err(Failure::null("context"));
    }
    CONTEXTS.get(context).ok_or_else(|| Failure::refused("context is not one that is alive"))
}

exports! { runtime;
    fn aclrtCreateContext(context: *mut aclrtContext, device_id: i32) writes(context) {
        process::require_init()?;
        device::check(device_id)?;
        let created = create(device_id, false)?;
        make_current(created.handle);
        context.write(as_pointer(created.handle));
        Ok(())
    }

    fn aclrtDestroyContext(context: aclrtContext) {
        let context = live(context)?;
        if context.is_default {
            return Err(Failure::refused("a device's default context ends with aclrtResetDevice"));
        }
        destroy(&context);
        if CURRENT.get() == context.handle {
            make_current(0);
        }
        Ok(())
    }

    fn aclrtSetCurrentContext(context: aclrtContext) {
        make_current(live(context)?.handle);
        Ok(())
    }

    fn aclrtGetCurrentContext(context: *mut aclrtContext) writes(context) {
        context.write(as_pointer(current()?.handle));
        Ok(())
    }
}

impl Context {
    /// Whether sums are to be added in a fixed order: the context's own option, else the process's.
    pub(crate) fn is_deterministic(&self) -> bool {
        let option = aclSysParamOpt::DETERMINISTIC;
        let own = lock(&self.options).get(&option).copied();
        own.or_else(|| crate::runtime::options::of_process(option)).unwrap_or(0) != 0
    }
}
