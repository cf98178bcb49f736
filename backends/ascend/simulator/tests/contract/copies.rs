//! Copies and fills.

use crate::blocked::Held;
use crate::harness::{
    KIND, acl, contract, device_memory, downloaded, new_stream, pinned_memory, recent, start, uploaded,
};
use lockstep_ascend_abi::aclrtMemcpyKind;
use std::ffi::c_void;
use std::ptr::{null, null_mut};

contract! {
    fn null_pointers_get_100000_and_no_bytes_succeed() {
        start();
        let address = device_memory(64);
        assert_eq!(acl!(runtime.aclrtMemcpy(null_mut(), 8, address, 8, KIND)), 100_000);
        assert_eq!(acl!(runtime.aclrtMemcpy(address, 8, null(), 8, KIND)), 100_000);
        assert_eq!(acl!(runtime.aclrtMemset(null_mut(), 8, 0, 8)), 100_000);
        assert_eq!(acl!(runtime.aclrtMemcpy(address, 8, address, 0, KIND)), 0);
        let stream = new_stream();
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(address, 0, address, 0, KIND, stream)), 0);
    }
}

contract! {
    /// NOT VERIFIED on a device: the code is our choice.
    fn more_than_the_destination_holds_gets_107000() {
        start();
        let (from, to) = (uploaded(&[1.0, 2.0]), uploaded(&[0.0, 0.0]));
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 4, from, 8, KIND)), 107_000);
        assert_eq!(acl!(runtime.aclrtMemset(to, 4, 0, 8)), 107_000);
        assert_eq!(downloaded(to, 2), [0.0, 0.0]);
    }
}

contract! {
    fn a_kind_that_does_not_exist_is_refused_and_others_are_ignored() {
        start();
        let (from, to) = (uploaded(&[1.0]), uploaded(&[0.0]));
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 4, from, 4, aclrtMemcpyKind(77))), 107_000);
        let wrong = aclrtMemcpyKind::HOST_TO_HOST;
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 4, from, 4, wrong)), 0);
        assert_eq!(downloaded(to, 1), [1.0]);
    }
}

contract! {
    /// Our choice: leaving an allocation is told at once where the host waits.
    fn a_range_that_leaves_its_allocation_or_was_freed_is_refused() {
        start();
        let address = device_memory(8);
        let mut host = [0u8; 64];
        let to: *mut c_void = host.as_mut_ptr().cast();
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 64, address, 64, KIND)), 107_000);
        assert!(recent().contains("leave 8 bytes"));
        assert_eq!(acl!(runtime.aclrtFree(address)), 0);
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 64, address, 8, KIND)), 107_000);
        assert!(recent().contains("was freed"));
    }
}

contract! {
    fn an_asynchronous_copy_from_host_to_host_gets_207000() {
        start();
        let stream = new_stream();
        let (from, mut to) = ([1u8; 16], [0u8; 16]);
        let (from, to) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(to, 16, from, 16, KIND, stream)), 207_000);
        let pinned = pinned_memory(16);
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(pinned, 16, from, 16, KIND, stream)), 207_000);
        assert_eq!(acl!(runtime.aclrtMemcpy(to, 16, from, 16, KIND)), 0);
    }
}

contract! {
    fn a_copy_of_pinned_memory_is_made_when_the_stream_comes_to_it() {
        start();
        let (stream, pinned, device) = (new_stream(), pinned_memory(4), uploaded(&[0.0]));
        let write = |value: f32| {
            // SAFETY: pinned memory of 4 bytes; nobody reads it before the stream is released.
            unsafe { pinned.cast::<f32>().write(value) };
        };
        write(1.0);
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(device, 4, pinned, 4, KIND, stream)), 0);
        write(2.0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(downloaded(device, 1), [2.0]);
    }
}

contract! {
    fn a_copy_of_pageable_memory_is_done_when_the_call_returns() {
        start();
        let (stream, device) = (new_stream(), uploaded(&[0.0]));
        let mut value = 1.0f32;
        let from = (&raw const value).cast();
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(device, 4, from, 4, KIND, stream)), 0);
        value = 2.0;
        assert_eq!(downloaded(device, 1), [1.0]);
        assert_eq!(value, 2.0);
    }
}

contract! {
    fn registered_memory_is_pinned() {
        start();
        let mut values = vec![1.0f32; 16];
        let (stream, device) = (new_stream(), uploaded(&[0.0]));
        let (address, mut mapped) = (values.as_mut_ptr().cast::<c_void>(), null_mut());
        let kind = lockstep_ascend_abi::aclrtHostRegisterType::MAPPED;
        assert_eq!(acl!(runtime.aclrtHostRegister(address, 64, kind, &mut mapped)), 0);
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(device, 4, address, 4, KIND, stream)), 0);
        // SAFETY: in bounds; the copy has not begun, since the stream is held.
        unsafe { address.cast::<f32>().write(5.0) };
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(downloaded(device, 1), [5.0]);
        assert_eq!(acl!(runtime.aclrtHostUnregister(address)), 0);
        assert_eq!(acl!(runtime.aclrtHostUnregister(address)), 107_000);
    }
}

contract! {
    fn fills_write_the_low_byte_and_only_into_acls_memory() {
        start();
        let device = uploaded(&[1.0, 1.0]);
        assert_eq!(acl!(runtime.aclrtMemset(device, 8, 0x1_00, 4)), 0);
        assert_eq!(downloaded(device, 2), [0.0, 1.0]);
        let stream = new_stream();
        assert_eq!(acl!(runtime.aclrtMemsetAsync(device, 8, 0, 8, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(downloaded(device, 2), [0.0, 0.0]);
        let mut host = [0u8; 8];
        assert_eq!(acl!(runtime.aclrtMemset(host.as_mut_ptr().cast(), 8, 0, 8)), 107_000);
    }
}

contract! {
    fn a_two_dimensional_copy_steps_by_the_pitches() {
        start();
        let from = uploaded(&[1.0, 2.0, 3.0, 4.0]);
        let to = uploaded(&[0.0; 6]);
        assert_eq!(acl!(runtime.aclrtMemcpy2d(to, 12, from, 8, 8, 2, KIND)), 0);
        assert_eq!(downloaded(to, 6), [1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
        assert_eq!(acl!(runtime.aclrtMemcpy2d(to, 4, from, 8, 8, 2, KIND)), 107_000);
    }
}

contract! {
    /// The code is our choice.
    fn another_devices_memory_needs_peer_access() {
        start();
        let here = uploaded(&[0.0]);
        assert_eq!(acl!(runtime.aclrtSetDevice(1)), 0);
        let there = uploaded(&[7.0]);
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtMemcpy(here, 4, there, 4, KIND)), 107_000);
        let mut possible = 0;
        assert_eq!(acl!(runtime.aclrtDeviceCanAccessPeer(&mut possible, 0, 1)), 0);
        assert_eq!(possible, 1);
        assert_eq!(acl!(runtime.aclrtDeviceEnablePeerAccess(1, 0)), 0);
        assert_eq!(acl!(runtime.aclrtMemcpy(here, 4, there, 4, KIND)), 0);
        assert_eq!(downloaded(here, 1), [7.0]);
    }
}

contract! {
    /// The code is our choice.
    fn memory_that_is_freed_before_its_copy_runs_is_a_late_fault() {
        start();
        let (stream, pinned, device) = (new_stream(), pinned_memory(4), device_memory(4));
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(pinned, 4, device, 4, KIND, stream)), 0);
        assert_eq!(acl!(runtime.aclrtFree(device)), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_013);
        assert!(recent().contains("freed before it ran"));
    }
}
