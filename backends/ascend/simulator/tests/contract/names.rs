//! The names that the library is installed under.

use crate::harness::{library, library_path, open};
use lockstep_ascend_abi::libraries::{ACL, NNOPBASE, OPERATORS};
use lockstep_ascend_abi::{capture, meta, model, runtime};
use std::ffi::c_void;
use std::ptr::null;

/// One file under all names of both layouts: whoever opens several has one state.
#[test]
fn every_name_of_both_layouts_opens_the_same_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ACL.iter().chain([&NNOPBASE]).chain(OPERATORS);
    let opened: Vec<_> = names
        .map(|name| {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink(library_path(), &path).expect("a link");
            open(&path)
        })
        .collect();
    assert_eq!(opened.len(), 9);
    let init = |at: usize| {
        let init = opened[at].runtime.aclInit.expect("exported");
        // SAFETY: the path may be null.
        unsafe { init(null()) }
    };
    assert_eq!(init(0), 0);
    for at in 1..opened.len() {
        assert_eq!(init(at), 100_002, "library {at} has a state of its own");
    }
}

/// What is not simulated is not exported: a caller finds the feature absent instead of pretended.
#[test]
fn of_the_runtime_and_models_only_these_are_absent() {
    let absent = [
        "aclrtGetDeviceUtilizationRate",
        "aclrtGetOverflowStatus",
        "aclrtResetOverflowStatus",
        "aclrtCreateStreamV2",
        "aclrtCreateStreamConfigHandle",
        "aclrtSetStreamConfigOpt",
        "aclrtDestroyStreamConfigHandle",
        "aclrtSetStreamOverflowSwitch",
        "aclrtGetStreamOverflowSwitch",
        "aclrtSetOpExecuteTimeOut",
        "aclrtSetOpWaitTimeout",
        "aclrtQueryEventWaitStatus",
        "aclrtEventGetTimestamp",
        "aclrtMemsetD32",
        "aclrtMemFlush",
        "aclrtMemInvalidate",
        "aclrtSetExceptionInfoCallback",
        "aclrtGetTaskIdFromExceptionInfo",
        "aclrtGetStreamIdFromExceptionInfo",
        "aclrtGetThreadIdFromExceptionInfo",
        "aclrtGetDeviceIdFromExceptionInfo",
        "aclrtGetErrorCodeFromExceptionInfo",
        "aclrtSetOpExecuteTimeOutWithMs",
        "aclrtGetMemUceInfo",
        "aclrtMemUceRepair",
        "aclrtDeviceTaskAbort",
        "aclmdlRIDebugPrint",
        "aclmdlRIDebugJsonPrint",
        "aclmdlRICaptureTaskGrpBegin",
        "aclmdlRICaptureTaskGrpEnd",
        "aclmdlRICaptureTaskUpdateBegin",
        "aclmdlRICaptureTaskUpdateEnd",
        "aclGetViewShape",
        "aclGetStorageShape",
        "aclGetViewStrides",
        "aclDumpOpTensors",
        "aclmdlInitDump",
        "aclmdlSetDump",
        "aclmdlFinalizeDump",
    ];
    let symbols = [runtime::SYMBOLS, capture::SYMBOLS, meta::SYMBOLS, model::SYMBOLS].into_iter().flatten();
    let found: Vec<&str> = symbols
        .filter(|symbol| {
            let name = symbol.name.to_bytes_with_nul();
            // SAFETY: only asked for.
            unsafe { library().library.get::<*mut c_void>(name) }.is_err()
        })
        .map(|symbol| symbol.name.to_str().expect("ASCII"))
        .collect();
    assert_eq!(found, absent);
}
