//! What only a simulator exports: its name.

use std::ffi::c_char;

/// That this is a simulator, and of which version; static text that ends in NUL.
#[unsafe(no_mangle)]
pub extern "C" fn lockstep_ascend_simulator() -> *const c_char {
    const VERSION: &str = concat!("lockstep-ascend-simulator ", env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
