//! Options for loading and for executing.

use super::draft::{f32_bytes, f32_values, negated_successor};
use super::session::{Data, loaded};
use crate::blocked::Held;
use crate::harness::{acl, contract, device_memory, new_stream, recent, reported, start};
use lockstep_ascend_abi::{aclmdlConfigAttr, aclmdlConfigHandle, aclmdlExecConfigAttr, load_type};
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};

/// Sets an option to a value as C does: by the value's address and size.
fn set<T>(handle: *mut aclmdlConfigHandle, attr: aclmdlConfigAttr, value: T) -> i32 {
    acl!(model.aclmdlSetConfigOpt(handle, attr, (&raw const value).cast(), size_of::<T>()))
}

fn load(handle: *const aclmdlConfigHandle) -> (i32, u32) {
    let mut id = 0;
    (acl!(model.aclmdlLoadWithConfig(handle, &mut id)), id)
}

fn run(id: u32) -> f32 {
    let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
    assert_eq!(data.execute(id), 0, "{}", recent());
    f32_values(&data.result())[0]
}

type Attr = aclmdlConfigAttr;

contract! {
    fn a_model_is_loaded_from_a_path_and_from_memory() {
        start();
        let (folder, file) = (tempfile::tempdir().expect("a folder"), negated_successor());
        let path = folder.path().join("model.om");
        std::fs::write(&path, &file).expect("written");
        let path = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
        let handle = acl!(model.aclmdlCreateConfigHandle());
        assert_eq!(load(handle).0, 100_000, "nothing was set");
        assert_eq!(set(handle, Attr::LOAD_TYPE_SIZET, load_type::ACL_MDL_LOAD_FROM_FILE), 0);
        assert_eq!(load(handle).0, 100_000, "no path was set");
        assert_eq!(set(handle, Attr::PATH_PTR, path.as_ptr()), 0, "{}", recent());
        drop(path);
        assert_eq!(set(handle, Attr::PRIORITY_INT32, 7i32), 0);
        let (code, id) = load(handle);
        assert_eq!((code, run(id)), (0, -2.0), "{}", recent());
        let work = device_memory(64);
        assert_eq!(set(handle, Attr::LOAD_TYPE_SIZET, load_type::ACL_MDL_LOAD_FROM_MEM_WITH_MEM), 0);
        assert_eq!(set(handle, Attr::MEM_ADDR_PTR, file.as_ptr()), 0);
        assert_eq!(set(handle, Attr::MEM_SIZET, file.len()), 0);
        assert_eq!(set(handle, Attr::WORKSPACE_ADDR_PTR, work), 0);
        assert_eq!(set(handle, Attr::WORKSPACE_SIZET, 64usize), 0);
        let before = reported("device_bytes");
        let (code, id) = load(handle);
        assert_eq!((code, run(id)), (0, -2.0), "{}", recent());
        assert_eq!(reported("device_bytes") - before, 4 + 32, "weights, and the run's own");
        assert_eq!(acl!(model.aclmdlDestroyConfigHandle(handle)), 0);
        assert_eq!(acl!(model.aclmdlDestroyConfigHandle(handle)), 100_000);
        assert_eq!(load(handle).0, 100_000);
    }
}

contract! {
    fn options_that_are_wrong_or_not_simulated_are_refused_when_they_are_set() {
        start();
        let handle = acl!(model.aclmdlCreateConfigHandle());
        assert_eq!(set(handle, Attr::LOAD_TYPE_SIZET, 1i32), 100_000);
        assert!(recent().contains("valueSize is 4, expected 8"));
        assert_eq!(set(handle, Attr::PRIORITY_INT32, 8i32), 100_000);
        assert_eq!(set(handle, Attr::PATH_PTR, null::<c_void>()), 100_000);
        assert_eq!(set(handle, aclmdlConfigAttr(77), 0usize), 100_000);
        assert_eq!(acl!(model.aclmdlSetConfigOpt(handle, Attr::MEM_SIZET, null(), 8)), 100_000);
        assert_eq!(acl!(model.aclmdlSetConfigOpt(null_mut(), Attr::MEM_SIZET, null(), 8)), 100_000);
        for attr in [Attr::INPUTQ_NUM_SIZET, Attr::WEIGHT_PATH_PTR, Attr::KERNEL_PTR, Attr::WITHOUT_GRAPH_INT32] {
            assert_eq!(set(handle, attr, 0usize), 200_006, "{attr:?}");
        }
        assert_eq!(set(handle, Attr::LOAD_TYPE_SIZET, load_type::ACL_MDL_LOAD_FROM_FILE_WITH_Q), 0);
        assert_eq!(load(handle).0, 200_006);
    }
}

contract! {
    fn a_run_may_have_a_time_and_work_memory_of_its_own() {
        start();
        type Attr = aclmdlExecConfigAttr;
        let handle = acl!(model.aclmdlCreateExecConfigHandle());
        let set = |attr, at: *const c_void, size| acl!(model.aclmdlSetExecConfigOpt(handle, attr, at, size));
        let (timeout, size) = (20i32, 64usize);
        assert_eq!(set(Attr::STREAM_SYNC_TIMEOUT, (&raw const timeout).cast(), 4), 0, "{}", recent());
        assert_eq!(set(Attr::STREAM_SYNC_TIMEOUT, (&raw const size).cast(), 8), 100_000);
        assert_eq!(set(Attr::AICQOS_SIZET, (&raw const size).cast(), 8), 200_006);
        let (id, stream) = (loaded(&negated_successor()), new_stream());
        let data = Data::new(&[&f32_bytes(&[1.0; 4])], 16);
        let run = || acl!(model.aclmdlExecuteV2(id, data.input, data.output, stream, handle));
        let held = Held::new(stream);
        assert_eq!(run(), 507_046);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!((run(), f32_values(&data.result())[0]), (0, -2.0));
        let work = device_memory(64);
        assert_eq!(set(Attr::WORK_ADDR_PTR, (&raw const work).cast(), 8), 0);
        assert_eq!(run(), 145_000, "its size was not set");
        assert_eq!(set(Attr::WORK_SIZET, (&raw const size).cast(), 8), 0);
        assert_eq!(run(), 0, "{}", recent());
        assert_eq!(f32_values(&super::session::bytes_of(work, 16)), [2.0; 4], "it was used");
        assert_eq!(acl!(model.aclmdlExecuteAsyncV2(id, data.input, data.output, stream, handle)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(acl!(model.aclmdlDestroyExecConfigHandle(handle)), 0);
        assert_eq!(run(), 100_000);
    }
}
