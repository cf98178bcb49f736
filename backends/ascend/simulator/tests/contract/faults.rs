//! What fails on the device is told late; what the environment asks for fails when it says.

use crate::blocked::Held;
use crate::harness::{
    Add, POLICY, acl, contract, device_memory, execute_add, new_stream, pinned_memory, recent, reported,
    start, uploaded,
};
use lockstep_ascend_abi::aclrtLastErrLevel;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Launches a sum of `count` at these addresses, and what the next two synchronisations tell.
fn told(a: *mut c_void, b: *mut c_void, out: *mut c_void, count: i64) -> (i32, String) {
    let stream = new_stream();
    Add::of(a, b, out, count).launch(stream);
    let code = acl!(runtime.aclrtSynchronizeStream(stream));
    let text = recent();
    assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0, "a fault is told once");
    (code, text)
}

contract! {
    fn wrong_addresses_are_found_when_the_kernel_runs() {
        start();
        let good = uploaded(&[0.0; 16]);
        let mut host = [0f32; 4];
        let cases = [
            (null_mut(), "not device memory"),
            (host.as_mut_ptr().cast(), "not device memory"),
            (pinned_memory(64), "not device memory"),
            (device_memory(8), "leave 8 bytes"),
            (good.wrapping_byte_add(4), "multiple of 32"),
        ];
        for (wrong, reason) in cases {
            let (code, text) = told(good, wrong, good, 4);
            assert_eq!(code, 507_015, "{reason}");
            assert!(text.contains("DDR address of the MTE instruction is out of range"), "{text}");
            assert!(text.contains("aclnnAdd") && text.contains("other") || reason.contains("32"), "{text}");
            assert!(text.contains(reason), "{text}");
        }
    }
}

contract! {
    fn a_fault_is_told_by_the_devices_synchronisation_too() {
        start();
        let a = uploaded(&[0.0]);
        let stream = new_stream();
        Add::of(a, null_mut(), a, 1).launch(stream);
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 507_015);
        assert!(recent().contains("aclnnAdd"));
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
    }
}

contract! {
    fn memory_that_was_freed_before_the_kernel_ran_is_a_fault() {
        start();
        let (a, b, stream) = (uploaded(&[1.0]), uploaded(&[1.0]), new_stream());
        let held = Held::new(stream);
        Add::of(a, b, a, 1).launch(stream);
        assert_eq!(acl!(runtime.aclrtFree(b)), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
        assert!(recent().contains("was freed"));
    }
}

contract! {
    fn messages_come_newest_first_and_once() {
        start();
        let mut address = null_mut();
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 0, POLICY)), 100_000);
        assert_eq!(acl!(runtime.aclrtSetDevice(7)), 107_001);
        let text = recent();
        let (newest, older) = text.split_once("TraceBack (most recent call last):").expect("two messages");
        assert!(newest.starts_with("[EE1001] aclrtSetDevice"), "{newest}");
        assert!(older.contains("[EH0001] aclrtMalloc"), "{older}");
        assert_eq!(recent(), "");
    }
}

contract! {
    fn messages_and_last_errors_are_of_the_thread() {
        start();
        let level = aclrtLastErrLevel::THREAD_LEVEL;
        assert_eq!(acl!(runtime.aclrtFree(null_mut())), 100_000);
        let elsewhere = std::thread::spawn(move || (acl!(runtime.aclrtPeekAtLastError(level)), recent()));
        assert_eq!(elsewhere.join().expect("no panic"), (0, String::new()));
        assert_eq!(acl!(runtime.aclrtPeekAtLastError(level)), 100_000);
        assert_eq!(acl!(runtime.aclrtGetLastError(level)), 100_000);
        assert_eq!(acl!(runtime.aclrtGetLastError(level)), 0);
        assert_eq!(acl!(runtime.aclrtGetLastError(aclrtLastErrLevel(1))), 100_000);
    }
}

contract! {
    fn a_call_fails_when_the_environment_says()
    with ["LOCKSTEP_ASCEND_SIM_FAIL" = "aclrtMalloc:2:207001;aclnnAdd:1:561002;aclnnAddGetWorkspaceSize:2:561003"] {
        start();
        let mut address = null_mut();
        let codes = [(); 3].map(|()| acl!(runtime.aclrtMalloc(&mut address, 64, POLICY)));
        assert_eq!(codes, [0, 207_001, 0]);
        let add = Add::of(address, address, address, 1);
        assert_eq!(execute_add(add.prepared(), null_mut()), 561_002);
        assert_eq!(reported("executors"), 0);
        assert_eq!(add.prepare().0, 561_003);
        add.launch(null_mut());
    }
}

contract! {
    fn a_launch_faults_when_the_environment_says() with ["LOCKSTEP_ASCEND_SIM_LATE" = "aclnnAdd:2:507035"] {
        start();
        let a = uploaded(&[1.0]);
        let codes = [(); 3].map(|()| told(a, a, a, 1).0);
        assert_eq!(codes, [0, 507_035, 0]);
        assert_eq!(reported("launches.aclnnAdd"), 3);
    }
}
