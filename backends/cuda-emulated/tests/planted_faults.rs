//! Faults planted in the CUDA sources: the conformance suite must call each WRONG, and the address sanitizer must see a read
//! outside. The sources are edited as text and compiled again; an edit that no longer applies fails the test.

use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_hal::Backend;
use lockstep_hal::graph::DType;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles the emulator with a source, after `edit` of it, to `target`; `more` are further files and flags.
fn compile(folder: &Path, source: &str, edit: [&str; 2], target: &Path, more: &[&str]) {
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

/// The failures of an op's f32 cases on kernels whose source is edited.
fn failures(source: &str, edit: [&str; 2], op: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("kernels.so");
    compile(folder.path(), source, edit, &library, &["-shared", "-fPIC", "-Wl,-Bsymbolic"]);
    // SAFETY: it was compiled just now, of the emulator and one source of ours.
    let backend = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap();
    let selection = Selection { op: Some(op.to_owned()), dtype: Some(DType::F32) };
    let device = backend.open(0).unwrap();
    conform(&device, &selection, &Expectations::ours().unwrap(), &|_, _| {}).unwrap().failures()
}

#[track_caller]
fn is_caught(source: &str, edit: [&str; 2], op: &str) {
    let found = failures(source, edit, op);
    assert!(found.iter().any(|failure| failure.contains("WRONG")), "{source}, {edit:?}: {found:?}");
}

#[test]
fn a_source_that_is_not_edited_conforms() {
    let found = failures("layer_norm/layer_norm.cu", ["#define ROWS 4", "#define ROWS 4"], "AddLayerNorm");
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_missing_barrier_is_caught() {
    let edit = ["        __syncwarp();", "        "];
    is_caught("attention/attention.cu", edit, "Attention");
}

#[test]
fn a_wrong_stride_is_caught() {
    let edit = ["x += row * width;", "x += row * (width - 1);"];
    is_caught("softmax/softmax.cu", edit, "Softmax");
}

#[test]
fn a_residual_that_is_not_moved_to_its_row_is_caught() {
    let edit = ["if (residual) residual += row * width;", ""];
    is_caught("layer_norm/layer_norm.cu", edit, "AddLayerNorm");
}

#[test]
fn a_barrier_that_some_threads_do_not_reach_is_an_error_that_names_the_block() {
    let edit = ["        __syncwarp();", "        if (lane < 7) __syncthreads();"];
    let found = failures("attention/attention.cu", edit, "Attention");
    assert!(found.iter().any(|failure| failure.contains("hangs")), "{found:?}");
}

/// Runs `sanitized/layer_norm.cpp` on buffers that end where they should, under AddressSanitizer.
fn sanitized(edit: [&str; 2]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sanitized");
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sanitized/layer_norm.cpp");
    let more = ["-fsanitize=address", "-DLOCKSTEP_SANITIZED", main.to_str().unwrap()];
    compile(folder.path(), "layer_norm/layer_norm.cu", edit, &program, &more);
    // What a fiber leaves on its stack is no leak.
    let options = "detect_stack_use_after_return=0:detect_leaks=0";
    let output = Command::new(program).env("ASAN_OPTIONS", options).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_sanitizer_has_nothing_to_say_of_the_source_as_it_is() {
    let (success, said) = sanitized(["#define ROWS 4", "#define ROWS 4"]);
    assert!(success, "{said}");
}

#[test]
fn the_sanitizer_sees_a_read_outside() {
    let (success, said) = sanitized(["at < width; at += WARP) sum", "at <= width; at += WARP) sum"]);
    assert!(!success && said.contains("heap-buffer-overflow"), "{said}");
}
