//! Faults planted in the CUDA sources: the conformance suite must call each WRONG, and the address sanitizer must see a read
//! outside. The sources are edited as text and compiled again; an edit that no longer applies fails the test.

use crate::edited;
use edited::{compile, library};
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_hal::Backend;
use lockstep_hal::graph::DType;
use std::path::Path;
use std::process::Command;

/// The failures of an op's cases of a dtype on kernels whose source is edited.
fn failures(source: &str, edit: [&str; 2], op: &str, dtype: DType) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path(), source, edit);
    // SAFETY: it was compiled just now, of the emulator and one source of ours.
    let backend = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap();
    let selection = Selection { op: Some(op.to_owned()), dtype: Some(dtype) };
    let device = backend.open(0).unwrap();
    conform(&device, &selection, &Expectations::ours().unwrap(), &|_, _| {}).unwrap().failures()
}

#[track_caller]
fn is_caught(source: &str, edit: [&str; 2], op: &str, dtype: DType) {
    let found = failures(source, edit, op, dtype);
    assert!(found.iter().any(|failure| failure.contains("WRONG")), "{source}, {edit:?}: {found:?}");
}

#[test]
fn a_source_that_is_not_edited_conforms() {
    let edit = ["#define ROWS 4", "#define ROWS 4"];
    let found = failures("layer_norm/layer_norm.cu", edit, "AddLayerNorm", DType::F32);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_missing_barrier_is_caught() {
    let edit = ["        __syncthreads();\n        fill<HEAD>", "        fill<HEAD>"];
    is_caught("attention/attention_f32.cu", edit, "Attention", DType::F32);
}

/// Warps without queries run ahead and write the next tile over the one that the others still read.
#[test]
fn a_missing_barrier_between_tiles_is_caught() {
    let edit = ["        __syncthreads();\n        begin();", "        begin();"];
    is_caught("attention/attention_mma.cu", edit, "Attention", DType::F16);
}

#[test]
fn copies_that_are_not_waited_for_are_caught() {
    let edit = ["wait_for_copies<STAGES - 2>();", "wait_for_copies<STAGES - 1>();"];
    is_caught("attention/attention_mma.cu", edit, "Attention", DType::F16);
}

#[test]
fn a_wrong_stride_is_caught() {
    let edit = ["x += row * width;", "x += row * (width - 1);"];
    is_caught("softmax/softmax.cu", edit, "Softmax", DType::F32);
}

#[test]
fn a_residual_that_is_not_moved_to_its_row_is_caught() {
    let edit = ["if (residual) residual += row * width;", ""];
    is_caught("layer_norm/layer_norm.cu", edit, "AddLayerNorm", DType::F32);
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
    let (success, said) = sanitized(["normalize_any(value, width,", "normalize_any(value, width + 1,"]);
    assert!(!success && said.contains("heap-buffer-overflow"), "{said}");
}
