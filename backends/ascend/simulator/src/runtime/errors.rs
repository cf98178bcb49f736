//! What a call failed with: a code, and a text that the calling thread may ask for.

use crate::exports::{exports, panic_code};
use crate::runtime::faults;
use lockstep_ascend_abi::{aclError, aclrtLastErrLevel, errors};
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// An `aclError` or `aclnnStatus`.
    pub code: i32,
    /// What was found and what was expected.
    pub text: String,
}

impl Failure {
    /// Of a code and its text.
    pub(crate) fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// 100000: the parameter `name` is null.
    pub(crate) fn null(name: &str) -> Self {
        Self::new(100_000, format!("parameter {name} is NULL"))
    }

    /// 100000: a parameter that ACL's own layer refuses.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(100_000, text)
    }

    /// 107000: a parameter that the runtime below refuses.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(107_000, text)
    }
}

#[derive(Default)]
struct Messages {
    newest_last: Vec<String>,
    last_error: i32,
    /// What C reads until the next call.
    returned: Option<CString>,
}

thread_local! {
    static MESSAGES: RefCell<Messages> = RefCell::default();
}

/// A thread that never asks keeps no more than these.
const KEPT: usize = 64;

/// Runs the body of the export `symbol`: a failure or a panic becomes a code, and the calling thread's
/// message.
pub(crate) fn call<T>(symbol: &'static str, body: impl FnOnce() -> Result<T, Failure>) -> Result<T, i32> {
    let guarded = || match faults::injected(symbol) {
        Some(code) => Err(Failure::new(code, "LOCKSTEP_ASCEND_SIM_FAIL asked for this failure")),
        None => body(),
    };
    let outcome = catch_unwind(AssertUnwindSafe(guarded)).unwrap_or_else(|panic| {
        Err(Failure::new(panic_code(symbol), format!("the simulator panicked: {}", panic_text(&*panic))))
    });
    outcome.map_err(|failure| {
        record(symbol, &failure);
        failure.code
    })
}

/// What a caught panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Makes `failure` of `symbol` the calling thread's last error and newest message.
pub(crate) fn record(symbol: &str, failure: &Failure) {
    let name = errors::name(failure.code).unwrap_or("unnamed");
    let text = format!("[{}] {symbol}: {} ({} {name})", family(failure.code), failure.text, failure.code);
    MESSAGES.with_borrow_mut(|messages| {
        messages.last_error = failure.code;
        messages.newest_last.push(text);
        let surplus = messages.newest_last.len().saturating_sub(KEPT);
        messages.newest_last.drain(..surplus);
    });
}

/// The family that CANN's messages name first.
fn family(code: i32) -> &'static str {
    match code {
        161_001 | 161_002 => "EZ1001",
        100_000..=199_999 if code / 1000 == 107 => "EE1001",
        100_000..=199_999 => "EH0001",
        200_000..=299_999 if code / 1000 == 207 => "EE9999",
        200_000..=299_999 => "EH9999",
        507_000..=507_999 => "EZ9999",
        561_000..=561_999 => "EZ9999",
        _ => "EH9999",
    }
}

/// The messages so far, newest first, and forgets them.
pub(crate) fn take_messages() -> Option<CString> {
    MESSAGES.with_borrow_mut(|messages| {
        let newest = messages.newest_last.pop()?;
        let mut text = newest;
        if !messages.newest_last.is_empty() {
            text.push_str("\nTraceBack (most recent call last):");
            for older in messages.newest_last.drain(..).rev() {
                text.push_str("\n        ");
                text.push_str(&older);
            }
        }
        CString::new(text.replace('\0', " ")).ok()
    })
}

fn only_threads(level: aclrtLastErrLevel) -> Result<(), Failure> {
    if level == aclrtLastErrLevel::THREAD_LEVEL {
        return Ok(());
    }
    Err(Failure::invalid(format!("level is {level:?}, expected ACL_RT_THREAD_LEVEL")))
}

exports! { runtime;
    fn aclGetRecentErrMsg() -> *const c_char, or core::ptr::null(), {
        let text = take_messages();
        MESSAGES.with_borrow_mut(|messages| {
            messages.returned = text;
            Ok(messages.returned.as_ref().map_or(core::ptr::null(), |text| text.as_ptr()))
        })
    }

    fn aclrtPeekAtLastError(level: aclrtLastErrLevel) -> aclError, or 100_000, {
        only_threads(level)?;
        Ok(MESSAGES.with_borrow(|messages| messages.last_error))
    }

    fn aclrtGetLastError(level: aclrtLastErrLevel) -> aclError, or 100_000, {
        only_threads(level)?;
        Ok(MESSAGES.with_borrow_mut(|messages| core::mem::take(&mut messages.last_error)))
    }
}
