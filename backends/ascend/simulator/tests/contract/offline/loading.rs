//! Which files are loaded, into which memory, and how they are given back.

use super::draft::{batched, negated_successor, one_step};
use super::session::{loaded, outcome, try_load};
use crate::harness::{acl, contract, recent, reported, start};
use lockstep_ascend_container::{DType, Operator};
use std::ffi::CString;
use std::ptr::null;

/// A file's path, as C has it.
fn written(folder: &tempfile::TempDir, bytes: &[u8]) -> CString {
    let path = folder.path().join("model.om");
    std::fs::write(&path, bytes).expect("a folder that can be written to");
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}

contract! {
    fn files_and_memory_hold_the_same_model_and_no_id_is_given_twice() {
        start();
        let (folder, file) = (tempfile::tempdir().expect("a folder"), negated_successor());
        let path = written(&folder, &file);
        let (mut from_file, before) = (0, reported("device_bytes"));
        assert_eq!(acl!(model.aclmdlLoadFromFile(path.as_ptr(), &mut from_file)), 0, "{}", recent());
        let from_memory = loaded(&file);
        assert_ne!(from_file, from_memory);
        let (mut sizes, mut same) = ([0usize; 2], [0usize; 2]);
        let [work, weight] = &mut sizes;
        assert_eq!(acl!(model.aclmdlQuerySize(path.as_ptr(), work, weight)), 0, "{}", recent());
        let [work, weight] = &mut same;
        assert_eq!(acl!(model.aclmdlQuerySizeFromMem(file.as_ptr().cast(), file.len(), work, weight)), 0);
        // One f32 of weights, and 16 bytes between the steps, in a piece of 64.
        assert_eq!((sizes, same), ([64, 4], [64, 4]));
        assert_eq!(reported("device_bytes") - before, 2 * (64 + 4));
        assert_eq!(reported("offline_models"), 2);
        for id in [from_file, from_memory] {
            assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
            assert_eq!(acl!(model.aclmdlUnload(id)), 145_003);
        }
        assert_eq!((reported("device_bytes"), reported("offline_models")), (before, 0));
        assert!(loaded(&file) > from_memory.max(from_file));
    }
}

contract! {
    /// Which codes is our choice.
    fn a_real_om_is_refused_by_name_wherever_a_model_is_read() {
        start();
        let mut real = b"IMOD\x00\x01\x00\x00\x00\x00\x00\x20".to_vec();
        real.resize(4096, 0);
        let (folder, mut id, mut work, mut weight) = (tempfile::tempdir().expect("a folder"), 0, 0, 0);
        let path = written(&folder, &real);
        let desc = acl!(model.aclmdlCreateDesc());
        let (bytes, size) = (real.as_ptr().cast(), real.len());
        let codes = [
            acl!(model.aclmdlLoadFromMem(bytes, size, &mut id)),
            acl!(model.aclmdlLoadFromFile(path.as_ptr(), &mut id)),
            acl!(model.aclmdlQuerySize(path.as_ptr(), &mut work, &mut weight)),
            acl!(model.aclmdlGetDescFromMem(desc, bytes, size)),
        ];
        assert_eq!(codes, [545_005; 4]);
        let text = recent();
        assert_eq!(text.matches("is a real .om").count(), 4, "{text}");
        assert_eq!(reported("offline_models"), 0);
    }
}

contract! {
    fn files_that_are_cut_short_or_foreign_are_refused() {
        start();
        let file = negated_successor();
        for wrong in [&file[..file.len() - 1], &file[..10], b"\x89PNG and so on, long enough to be a header"] {
            assert_eq!(try_load(wrong).0, 545_002);
            assert!(recent().contains("is no model of atc-sim"), "{}", recent());
        }
        let mut id = 0;
        assert_eq!(acl!(model.aclmdlLoadFromFile(c"/nowhere/model.om".as_ptr(), &mut id)), 145_002);
        assert!(recent().contains("/nowhere/model.om"), "{}", recent());
        assert_eq!(acl!(model.aclmdlLoadFromFile(null(), &mut id)), 100_000);
        assert_eq!(acl!(model.aclmdlLoadFromMem(null(), 8, &mut id)), 100_000);
        assert_eq!(acl!(model.aclmdlLoadFromMem(file.as_ptr().cast(), 0, &mut id)), 100_000);
    }
}

contract! {
    fn a_step_that_no_kernel_takes_is_refused_when_it_is_loaded() {
        start();
        let table: &[i64] = &[3, 2, 2];
        let file =
            one_step(Operator::Gather, &[(DType::F32, table), (DType::I64, &[1])], (DType::F32, &[1, 2, 2]));
        assert_eq!(try_load(&file).0, 545_004);
        let text = recent();
        assert!(text.contains("step `the step`: table is [3, 2, 2], expected 2 axes"), "{text}");
        // Inputs have one type, which the result shares.
        let mixed = one_step(Operator::Softmax, &[(DType::F16, &[2])], (DType::F32, &[2]));
        assert_eq!(try_load(&mixed).0, 545_004);
        let missing = one_step(Operator::MatMul, &[(DType::F32, &[2, 2])], (DType::F32, &[2, 2]));
        assert_eq!(try_load(&missing).0, 545_004);
        assert!(recent().contains("1 inputs, expected 2"));
    }
}

contract! {
    fn loading_needs_a_context_and_describing_does_not() {
        assert_eq!(acl!(runtime.aclInit(null())), 0);
        let file = batched(&[1, 3]);
        assert_eq!(try_load(&file).0, 107_002);
        let desc = acl!(model.aclmdlCreateDesc());
        assert_eq!(acl!(model.aclmdlGetDescFromMem(desc, file.as_ptr().cast(), file.len())), 0, "{}", recent());
        assert_eq!(acl!(model.aclmdlGetNumInputs(desc)), 2);
    }
}

contract! {
    fn a_full_device_gets_207001_and_keeps_nothing() with ["LOCKSTEP_ASCEND_SIM_MEMORY" = "100"] {
        start();
        assert_eq!(try_load(&negated_successor()).0, 207_001);
        assert_eq!((reported("device_bytes"), reported("offline_models")), (0, 0));
    }
}

contract! {
    /// Work memory is not zeroed, and no run finds what an earlier one has left.
    fn what_was_never_written_is_nan() {
        use super::draft::{Draft, f32_values};
        start();
        let mut draft = Draft::new(&[("x", DType::F32, &[4])], &[("y", DType::F32, &[4])]);
        draft.gear(&[], &[&[4]], &[&[4]]);
        let (never, y) = (draft.between(DType::F32, &[4]), draft.output(0));
        draft.step("careless", Operator::Copy, &[&never], &y);
        let found = f32_values(&outcome(&draft.file(), &[&[0; 16]], 16).expect("runs"));
        assert!(found.iter().all(|value| value.is_nan()), "{found:?}");
    }
}

contract! {
    fn a_load_fails_when_the_environment_says()
    with ["LOCKSTEP_ASCEND_SIM_FAIL" = "aclmdlLoadFromMem:2:245000;aclmdlUnload:1:500002"] {
        start();
        let file = negated_successor();
        assert_eq!([(); 3].map(|()| try_load(&file).0), [0, 245_000, 0]);
        let id = loaded(&file);
        assert_eq!([acl!(model.aclmdlUnload(id)), acl!(model.aclmdlUnload(id))], [500_002, 0]);
    }
}
