//! Calls of the libraries, and what they say when they fail.

use crate::libraries::Functions;
use crate::port::Products;
use lockstep_ascend_abi::{aclrtLastErrLevel, errors};
use lockstep_hal::{Error, Result};
use std::ffi::CStr;
use std::fmt::Debug;
use std::sync::Arc;

/// Calls a function of the libraries and turns its code into a result. The caller's `SAFETY` comment says why the arguments are
/// good; the signature is the table's.
macro_rules! call {
    ($calls:expr, $node:expr, $group:ident.$name:ident($($argument:expr),* $(,)?)) => {
        match $calls.functions.$group.$name {
            // SAFETY: the caller's comment.
            Some(function) => $calls.check($node, stringify!($name), unsafe { function($($argument),*) }),
            None => Err($calls.absent($node, stringify!($name))),
        }
    };
}
pub(crate) use call;

/// Codes that say that there is no memory: the runtime's and the device's.
const OUT_OF_MEMORY: [i32; 2] = [207_001, 207_018];

/// The functions, and the name under which errors know the device.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) functions: Arc<Functions>,
    pub(crate) device: String,
    /// What products may do to f32.
    pub(crate) products: Products,
}

impl Calls {
    /// `Ok` for success; otherwise an error with the library's own text, which is of this thread and is taken at once.
    pub(crate) fn check(&self, node: &str, call: &str, code: i32) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        Err(self.error(node, call, code))
    }

    /// The error of a code.
    pub(crate) fn error(&self, node: &str, call: &str, code: i32) -> Error {
        let mut text =
            errors::name(code).unwrap_or("a code that is not in the tables of CANN 8.1 to 9.1").to_owned();
        for said in [self.recent_message().as_deref(), errors::hint(code)].into_iter().flatten() {
            text.push_str(". ");
            text.push_str(said.trim().trim_end_matches('.'));
        }
        Error::Device {
            device: self.device.clone(),
            node: node.to_owned(),
            call: call.to_owned(),
            code: code.into(),
            driver_text: text,
        }
    }

    /// That a function gave nothing, and no code.
    pub(crate) fn gave_nothing(&self, node: &str, call: &str) -> Error {
        let said = self.recent_message().unwrap_or_else(|| "without a word".into());
        Error::Device {
            device: self.device.clone(),
            node: node.to_owned(),
            call: call.to_owned(),
            code: 0,
            driver_text: format!("it gave nothing, {said}"),
        }
    }

    /// That a function is not there.
    pub(crate) fn absent(&self, node: &str, call: &str) -> Error {
        Error::Device {
            device: self.device.clone(),
            node: node.to_owned(),
            call: call.to_owned(),
            code: 0,
            driver_text:
                "the installed CANN does not export it; CANN 8.1 to 9.1 with its operator packages is needed"
                    .into(),
        }
    }

    /// Whether an error says that there is no memory.
    pub(crate) fn is_out_of_memory(error: &Error) -> bool {
        matches!(error, Error::Device { code, .. } if OUT_OF_MEMORY.iter().any(|known| i64::from(*known) == *code))
    }

    /// Whether a code is of a submission that was refused, after which the device is as good as before.
    pub(crate) fn is_submission(code: i64) -> bool {
        (561_000..562_000).contains(&code)
    }

    /// What the library says of this thread's last failure, which asking clears.
    fn recent_message(&self) -> Option<String> {
        let function = self.functions.runtime.aclGetRecentErrMsg?;
        // SAFETY: it takes nothing, and gives a string that lives until this thread's next call, or null.
        let text = unsafe { function() };
        if text.is_null() {
            return None;
        }
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// Clears this thread's last error, so that it is not laid to a later call.
    pub(crate) fn forget_errors(&self) {
        self.recent_message();
        if let Some(function) = self.functions.runtime.aclrtGetLastError {
            // SAFETY: it takes a number.
            unsafe { function(aclrtLastErrLevel::THREAD_LEVEL) };
        }
    }
}
