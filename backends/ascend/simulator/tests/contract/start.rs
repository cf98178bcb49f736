//! Beginning and ending.

use crate::harness::{acl, contract, recent, start};
use std::ptr::{null, null_mut};

contract! {
    fn a_second_init_is_told_and_ignorable() {
        assert_eq!(acl!(runtime.aclInit(null())), 0);
        assert_eq!(acl!(runtime.aclInit(null())), 100_002);
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
    }
}

contract! {
    fn one_finalize_ends_every_init_and_a_second_is_told() {
        assert_eq!(acl!(runtime.aclInit(null())), 0);
        assert_eq!(acl!(runtime.aclInit(null())), 100_002);
        assert_eq!(acl!(runtime.aclFinalize()), 0);
        assert_eq!(acl!(runtime.aclFinalize()), 100_037);
        assert_eq!(acl!(runtime.aclInit(null())), 0);
    }
}

contract! {
    fn finalize_reference_undoes_one_init() {
        assert_eq!(acl!(runtime.aclInit(null())), 0);
        assert_eq!(acl!(runtime.aclInit(null())), 100_002);
        let mut left = 7;
        assert_eq!(acl!(runtime.aclFinalizeReference(&mut left)), 0);
        assert_eq!(left, 1);
        assert_eq!(acl!(runtime.aclFinalizeReference(&mut left)), 0);
        assert_eq!(left, 0);
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 100_001);
    }
}

contract! {
    /// Before `aclInit`, the documents say undefined or 100001; these calls answer 100001.
    fn before_init_devices_cannot_be_used() {
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 100_001);
        assert!(recent().contains("aclInit"));
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, 0)), 100_001);
        assert_eq!(acl!(runtime.aclFinalize()), 100_001);
    }
}

contract! {
    fn a_configuration_that_is_not_there_is_refused() {
        assert_eq!(acl!(runtime.aclInit(c"/nowhere/acl.json".as_ptr())), 100_003);
        let folder = tempfile::tempdir().expect("a folder");
        for (text, expected) in [("no json", 100_006), ("{\"dump\": {}}", 0)] {
            let path = folder.path().join("acl.json");
            std::fs::write(&path, text).expect("writable");
            let path = std::ffi::CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
            assert_eq!(acl!(runtime.aclInit(path.as_ptr())), expected, "{text}");
        }
    }
}

contract! {
    /// Our choice: a setting that cannot be read is an error at `aclInit`, not a default.
    fn a_wrong_setting_is_refused_by_name() with ["LOCKSTEP_ASCEND_SIM_MEMORY" = "lots"] {
        assert_eq!(acl!(runtime.aclInit(null())), 100_000);
        let text = recent();
        assert!(text.contains("LOCKSTEP_ASCEND_SIM_MEMORY") && text.contains("lots"), "{text}");
    }
}

contract! {
    fn everything_can_begin_again_after_the_end() {
        start();
        assert_eq!(acl!(runtime.aclFinalize()), 0);
        start();
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 0);
    }
}
