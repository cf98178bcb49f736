//! What was not given back, and what was damaged.

use crate::harness::{
    Add, acl, device_memory, fresh, new_stream, pinned_memory, reported, scalar, start, tensor, uploaded,
};
use crate::offline::draft::negated_successor;
use crate::offline::session::{dataset, described, loaded};
use lockstep_ascend_abi::{aclDataType, aclFormat};
use std::path::Path;
use std::ptr::null_mut;

/// The list that `aclFinalize` writes after `body` in a process of its own.
fn leaks_of(test: &str, body: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("leaks.txt");
    let in_child = || {
        start();
        body();
        assert_eq!(acl!(runtime.aclFinalize()), 0);
    };
    fresh(
        &format!("leaks::{test}"),
        &[("LOCKSTEP_ASCEND_SIM_LEAKS", path.to_str().expect("UTF-8"))],
        in_child,
    );
    read(&path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// In the child there is nothing to look at: its parent reads the list.
fn is_parent() -> bool {
    std::env::var_os("CONTRACT_TEST_IN_CHILD").is_none()
}

#[test]
fn a_clean_program_leaves_no_list() {
    let text = leaks_of("a_clean_program_leaves_no_list", || {
        let (a, stream) = (uploaded(&[1.0]), new_stream());
        let add = Add::of(a, a, a, 1);
        add.launch(stream);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        add.destroy();
        assert_eq!(acl!(runtime.aclrtFree(a)), 0);
        assert_eq!(acl!(runtime.aclrtDestroyStream(stream)), 0);
        assert_eq!(acl!(runtime.aclrtResetDevice(0)), 0);
    });
    assert_eq!(text, "");
}

#[test]
fn every_kind_is_listed_with_where_it_was_made() {
    let text = leaks_of("every_kind_is_listed_with_where_it_was_made", || {
        let a = device_memory(4000);
        pinned_memory(300);
        new_stream();
        let mut event = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateEvent(&mut event)), 0);
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, 1)), 0);
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
        let add = Add::of(a, a, a, 7);
        add.prepared();
        tensor(a, &[5, 6]);
        scalar(1.0);
        let values = [41, 42];
        acl!(meta.aclCreateIntArray(values.as_ptr(), 2));
        for (name, expected) in [
            ("tensors", 4),
            ("scalars", 2),
            ("executors", 1),
            ("streams", 1),
            ("events", 1),
            ("contexts", 1),
            ("arrays", 1),
            ("device_bytes", 4000),
            ("pinned_bytes", 300),
        ] {
            assert_eq!(reported(name), expected, "{name}");
        }
    });
    if is_parent() {
        for expected in [
            "4000 bytes (device 0, allocation 1 by aclrtMalloc)",
            "300 bytes (pinned",
            "stream 1 of device 0",
            "an event by aclrtCreateEvent",
            "a context of device 1 by aclrtCreateContext",
            "an executor of aclnnAddGetWorkspaceSize",
            "tensor ACL_FLOAT [7] by aclCreateTensor, last used by aclnnAdd",
            "tensor ACL_FLOAT [5, 6] by aclCreateTensor, never used",
            "a ACL_FLOAT scalar by aclCreateScalar",
            "[41, 42] by aclCreateIntArray",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}

#[test]
fn what_models_leave_is_listed() {
    let text = leaks_of("what_models_leave_is_listed", || {
        let file = negated_successor();
        let id = loaded(&file);
        described(id);
        acl!(model.aclmdlCreateDesc());
        dataset(&[(device_memory(16), 16), (null_mut(), 0)]);
        acl!(model.aclmdlCreateConfigHandle());
        acl!(model.aclmdlCreateExecConfigHandle());
        acl!(model.aclCreateTensorDesc(aclDataType::FLOAT, 1, [7].as_ptr(), aclFormat::ND));
        for (name, expected) in [
            ("offline_models", 1),
            ("models", 0),
            ("model_descs", 2),
            ("datasets", 1),
            ("data_buffers", 2),
            ("model_configs", 2),
            ("tensor_descs", 1),
            ("device_bytes", 64 + 4 + 16),
        ] {
            assert_eq!(reported(name), expected, "{name}");
        }
    });
    if is_parent() {
        for expected in [
            "model 1 `drafted` by aclmdlLoadFromMem",
            "64 bytes (device 0, allocation 2 by aclmdlLoadFromMem)",
            "4 bytes (device 0, allocation 1 by aclmdlLoadFromMem)",
            "a desc of model `drafted` by aclmdlCreateDesc",
            "a desc of no model by aclmdlCreateDesc",
            "a dataset of 2 buffers by aclmdlCreateDataset",
            "a data buffer of 16 bytes by aclCreateDataBuffer",
            "a configuration by aclmdlCreateConfigHandle",
            "a configuration by aclmdlCreateExecConfigHandle",
            "a desc ACL_FLOAT [7] by aclCreateTensorDesc",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}

#[test]
fn a_model_that_is_given_back_leaves_no_list() {
    let text = leaks_of("a_model_that_is_given_back_leaves_no_list", || {
        let id = loaded(&negated_successor());
        let desc = described(id);
        assert_eq!(acl!(model.aclmdlDestroyDesc(desc)), 0);
        assert_eq!(acl!(model.aclmdlUnload(id)), 0);
        assert_eq!(acl!(runtime.aclrtResetDevice(0)), 0);
    });
    assert_eq!(text, "");
}

#[test]
fn writing_outside_of_a_block_is_noted_when_it_is_freed_and_at_the_end() {
    let text = leaks_of("writing_outside_of_a_block_is_noted_when_it_is_freed_and_at_the_end", || {
        let (before, behind) = (device_memory(64).cast::<u8>(), pinned_memory(100).cast::<u8>());
        // SAFETY: inside the simulator's guards, which is what the test is about.
        unsafe {
            before.sub(1).write(0);
            behind.add(128).write(0);
        }
        assert_eq!(acl!(runtime.aclrtFree(before.cast())), 0);
    });
    if is_parent() {
        assert!(
            text.contains("64 bytes (device 0, allocation 1 by aclrtMalloc) was written before its start")
        );
        assert!(text.contains("was written behind its end"), "{text}");
    }
}

#[test]
fn what_a_reset_takes_away_is_listed() {
    let text = leaks_of("what_a_reset_takes_away_is_listed", || {
        device_memory(64);
        new_stream();
        assert_eq!(acl!(runtime.aclrtResetDevice(0)), 0);
    });
    if is_parent() {
        assert!(text.contains("was not freed before its device was reset"), "{text}");
        assert!(text.contains("stream 1 of device 0 was not destroyed before"), "{text}");
    }
}
