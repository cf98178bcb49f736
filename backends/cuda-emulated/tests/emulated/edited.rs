//! Kernel sources with an edit, compiled with the emulator.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles the emulator with a source, after `edit` of it, to `target`; `more` are further files and flags.
pub(crate) fn compile(folder: &Path, source: &str, edit: [&str; 2], target: &Path, more: &[&str]) {
    let path = root().join("kernels/src").join(source);
    let text = std::fs::read_to_string(&path).unwrap();
    let [from, to] = edit;
    assert!(text.contains(from), "{source} has no `{from}` any more; plant the fault elsewhere");
    let edited = folder.join("edited.cpp");
    std::fs::write(&edited, text.replacen(from, to, 1)).unwrap();
    let emulator = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/emulator");
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let output = Command::new(compiler)
        .args(["-std=c++17", "-O1", "-g", "-ffp-contract=off", "-U_FORTIFY_SOURCE", "-w"])
        .arg("-I")
        .arg(&emulator)
        .arg("-I")
        .arg(root().join("kernels/src/cuda"))
        .args(more)
        .arg(edited)
        .arg(emulator.join("emulator.cpp"))
        .arg("-o")
        .arg(target)
        .output()
        .expect("a C++ compiler (c++, or what CXX names)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A shared library of an edited source, for [`lockstep_cuda_emulated::EmulatedCuda::with_kernels_of`].
pub(crate) fn library(folder: &Path, source: &str, edit: [&str; 2]) -> PathBuf {
    let library = folder.join("kernels.so");
    compile(folder, source, edit, &library, &["-shared", "-fPIC", "-Wl,-Bsymbolic"]);
    library
}
