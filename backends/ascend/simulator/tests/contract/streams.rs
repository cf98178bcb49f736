//! Streams: real asynchrony, waiting, failure modes, callbacks.

use crate::blocked::{Held, this_thread};
use crate::harness::{Add, acl, contract, downloaded, new_stream, recent, start, uploaded};
use lockstep_ascend_abi::{aclrtCallbackBlockType, aclrtStreamStatus, failure_mode};
use std::ffi::c_void;
use std::ptr::null_mut;

fn status(stream: *mut c_void) -> aclrtStreamStatus {
    let mut status = aclrtStreamStatus::RESERVED;
    assert_eq!(acl!(runtime.aclrtStreamQuery(stream, &mut status)), 0, "{}", recent());
    status
}

contract! {
    fn a_launch_returns_before_it_ran() {
        start();
        let (a, b, out) = (uploaded(&[1.0, 2.0]), uploaded(&[10.0, 20.0]), uploaded(&[0.0, 0.0]));
        let stream = new_stream();
        let held = Held::new(stream);
        Add::of(a, b, out, 2).launch(stream);
        assert_eq!(status(stream), aclrtStreamStatus::NOT_READY);
        assert_eq!(downloaded(out, 2), [0.0, 0.0]);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(status(stream), aclrtStreamStatus::COMPLETE);
        assert_eq!(downloaded(out, 2), [11.0, 22.0]);
    }
}

contract! {
    fn null_is_the_contexts_default_stream() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        Add::of(a, a, out, 1).launch(null_mut());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0);
        assert_eq!(downloaded(out, 1), [2.0]);
    }
}

contract! {
    fn a_wait_that_takes_too_long_ends_with_507046() {
        start();
        let stream = new_stream();
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtSynchronizeStreamWithTimeout(stream, 20)), 507_046);
        assert_eq!(acl!(runtime.aclrtSynchronizeDeviceWithTimeout(20)), 507_046);
        // Our choice of code: only -1 is without end.
        assert_eq!(acl!(runtime.aclrtSynchronizeStreamWithTimeout(stream, -2)), 107_000);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStreamWithTimeout(stream, -1)), 0);
    }
}

contract! {
    fn destroying_a_stream_waits_for_its_tasks() {
        start();
        let (a, out) = (uploaded(&[3.0]), uploaded(&[0.0]));
        let stream = new_stream();
        for _ in 0..50 {
            Add::of(a, out, out, 1).launch(stream);
        }
        assert_eq!(acl!(runtime.aclrtDestroyStream(stream)), 0);
        assert_eq!(downloaded(out, 1), [150.0]);
        // Our choice of code: it is no stream any more.
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 107_017);
    }
}

contract! {
    fn null_and_default_streams_cannot_be_destroyed() {
        start();
        assert_eq!(acl!(runtime.aclrtDestroyStream(null_mut())), 100_000);
        assert_eq!(acl!(runtime.aclrtCreateStream(null_mut())), 100_000);
    }
}

contract! {
    fn a_device_has_1984_streams() {
        start();
        let mut last = null_mut();
        let codes: Vec<i32> = (0..1984).map(|_| acl!(runtime.aclrtCreateStream(&mut last))).collect();
        // One of them is the default stream.
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1983);
        assert_eq!(codes.last(), Some(&207_008));
    }
}

contract! {
    fn after_a_fault_streams_go_on_by_default() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let stream = new_stream();
        Add::of(a, null_mut(), out, 1).launch(stream);
        Add::of(a, a, out, 1).launch(stream);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
        assert_eq!(downloaded(out, 1), [2.0]);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
    }
}

contract! {
    fn stop_on_failure_stops_every_stream_of_the_context() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let (stream, other) = (new_stream(), new_stream());
        let stop = failure_mode::ACL_STOP_ON_FAILURE;
        assert_eq!(acl!(runtime.aclrtSetStreamFailureMode(stream, stop)), 0);
        // Once per stream.
        assert_eq!(acl!(runtime.aclrtSetStreamFailureMode(stream, stop)), 107_000);
        Add::of(a, null_mut(), out, 1).launch(stream);
        Add::of(a, a, out, 1).launch(stream);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
        Add::of(a, a, out, 1).launch(other);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(other)), 507_015);
        assert_eq!(downloaded(out, 1), [0.0]);
    }
}

unsafe extern "C" fn count(data: *mut c_void) {
    // SAFETY: the test passes a counter that lives longer.
    unsafe { *data.cast::<u32>() += 1 };
}

contract! {
    fn a_callback_runs_on_the_subscribed_thread_when_it_asks() {
        start();
        let stream = new_stream();
        let mut called = 0u32;
        let data = (&raw mut called).cast();
        let block = aclrtCallbackBlockType::CALLBACK_NO_BLOCK;
        assert_eq!(acl!(runtime.aclrtLaunchCallback(Some(count), data, block, stream)), 107_015);
        // Our choices of code: nobody subscribed, nothing came.
        assert_eq!(acl!(runtime.aclrtProcessReport(5)), 100_035);
        assert_eq!(acl!(runtime.aclrtSubscribeReport(this_thread(), stream)), 0);
        assert_eq!(acl!(runtime.aclrtSubscribeReport(this_thread(), stream)), 100_033);
        assert_eq!(acl!(runtime.aclrtLaunchCallback(None, data, block, stream)), 100_000);
        assert_eq!(acl!(runtime.aclrtLaunchCallback(Some(count), data, block, stream)), 0);
        // It does not hold up the stream.
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(called, 0);
        assert_eq!(acl!(runtime.aclrtProcessReport(10_000)), 0);
        assert_eq!(called, 1);
        assert_eq!(acl!(runtime.aclrtProcessReport(5)), 100_036);
        assert_eq!(acl!(runtime.aclrtUnSubscribeReport(this_thread(), stream)), 0);
        assert_eq!(acl!(runtime.aclrtUnSubscribeReport(this_thread(), stream)), 100_034);
    }
}

contract! {
    fn aborting_drops_what_has_not_begun() {
        start();
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let stream = new_stream();
        let held = Held::new(stream);
        Add::of(a, a, out, 1).launch(stream);
        assert_eq!(acl!(runtime.aclrtStreamAbort(stream)), 0);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(downloaded(out, 1), [0.0]);
    }
}
