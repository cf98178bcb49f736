//! What the simulator has counted, through what only it exports.

use std::ffi::{CString, c_char};

/// What the simulator counts, by name.
pub(crate) fn counted(name: &str) -> usize {
    let path = simulator();
    // SAFETY: the library that the backend has open already; its initialisers ran.
    let library = unsafe { libloading::Library::new(path) }.unwrap();
    type Report = unsafe extern "C" fn(*mut c_char, usize) -> usize;
    // SAFETY: the simulator documents this signature.
    let report = unsafe { library.get::<Report>(b"lockstep_ascend_simulator_report\0") }.unwrap();
    let mut buffer = vec![0_u8; 1 << 16];
    // SAFETY: the buffer's own size.
    unsafe { report(buffer.as_mut_ptr().cast(), buffer.len()) };
    let text =
        CString::from_vec_with_nul(buffer[..=buffer.iter().position(|&byte| byte == 0).unwrap()].to_vec());
    let text = text.unwrap().into_string().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("0");
    line.parse().unwrap()
}

/// Where cargo put it: beside this test.
fn simulator() -> std::path::PathBuf {
    std::env::current_exe().unwrap().with_file_name("liblockstep_ascend_simulator.so")
}

/// Fails if anything that ACL handed out was not given back.
pub(crate) fn assert_nothing_is_left() {
    for name in [
        "tensors",
        "tensor_lists",
        "scalars",
        "arrays",
        "executors",
        "streams",
        "contexts",
        "events",
        "models",
        "offline_models",
        "model_descs",
        "datasets",
        "data_buffers",
    ] {
        assert_eq!(counted(name), 0, "{name} are left");
    }
    assert_eq!((counted("device_bytes"), counted("pinned_bytes")), (0, 0));
}
