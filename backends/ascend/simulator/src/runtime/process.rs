//! The process: how often it was initialised, and the settings that it started with.

use crate::exports::exports;
use crate::runtime::errors::Failure;
use crate::runtime::settings::Settings;
use crate::runtime::{device, lock, report};
use std::ffi::{CStr, c_char};
use std::sync::{Arc, LazyLock, Mutex};

#[derive(Default)]
struct Process {
    references: u64,
    was_finalized: bool,
}

static PROCESS: Mutex<Process> = Mutex::new(Process { references: 0, was_finalized: false });
static SETTINGS: LazyLock<Mutex<Arc<Settings>>> =
    LazyLock::new(|| Mutex::new(Arc::new(Settings::from_environment().unwrap_or_default())));

/// What the environment said at the first `aclInit`, or when it was first asked for; the defaults if it was
/// wrong, which `aclInit` refuses.
pub(crate) fn settings() -> Arc<Settings> {
    lock(&SETTINGS).clone()
}

/// For the calls that are documented to check it.
///
/// # Errors
/// 100001 before `aclInit` and after `aclFinalize`.
pub(crate) fn require_init() -> Result<(), Failure> {
    match lock(&PROCESS).references {
        0 => Err(Failure::new(100_001, "aclInit was not called, or aclFinalize was since")),
        _ => Ok(()),
    }
}

/// A configuration is a JSON object; nothing in it changes the simulator.
fn check_config(path: &CStr) -> Result<(), Failure> {
    let path = path.to_string_lossy();
    let text = std::fs::read_to_string(&*path)
        .map_err(|error| Failure::new(100_003, format!("configPath {path:?}: {error}")))?;
    let text = text.trim();
    if text.starts_with('{') && text.ends_with('}') {
        return Ok(());
    }
    Err(Failure::new(100_006, format!("configPath {path:?} does not hold a JSON object")))
}

/// Ends what the process holds, and says what it did not give back.
fn end(process: &mut Process) {
    process.references = 0;
    process.was_finalized = true;
    report::write_leaks(&settings());
    device::release_all();
}

exports! { runtime;
    fn aclInit(config_path: *const c_char) {
        let mut process = lock(&PROCESS);
        if process.references > 0 {
            process.references += 1;
            return Err(Failure::new(100_002, format!("aclInit call {}; it may be ignored", process.references)));
        }
        if !config_path.is_null() {
            // SAFETY: ACL's contract: a path that ends in NUL.
            check_config(unsafe { CStr::from_ptr(config_path) })?;
        }
        *lock(&SETTINGS) = Arc::new(Settings::from_environment().map_err(Failure::invalid)?);
        process.references = 1;
        Ok(())
    }

    fn aclFinalize() {
        let mut process = lock(&PROCESS);
        match (process.references, process.was_finalized) {
            (0, true) => Err(Failure::new(100_037, "aclFinalize was called before")),
            (0, false) => Err(Failure::new(100_001, "aclInit was not called")),
            _ => {
                end(&mut process);
                Ok(())
            }
        }
    }

    fn aclFinalizeReference(ref_count: *mut u64) {
        let mut process = lock(&PROCESS);
        match process.references {
            0 => return Err(Failure::new(100_037, "every aclInit was undone before")),
            1 => end(&mut process),
            _ => process.references -= 1,
        }
        if !ref_count.is_null() {
            // SAFETY: ACL's contract: valid for a write unless null.
            unsafe { ref_count.write(process.references) };
        }
        Ok(())
    }
}
