//! Capture: nothing runs, nothing may be waited for, and the whole runs later.

use crate::blocked::Held;
use crate::harness::{
    Add, KIND, acl, contract, downloaded, new_stream, pinned_memory, recent, reported, start, uploaded,
};
use lockstep_ascend_abi::{
    aclmdlRI, aclmdlRICaptureMode, aclmdlRICaptureStatus, aclrtEvent, aclrtStream, aclrtStreamStatus,
};
use std::ptr::{null_mut, with_exposed_provenance_mut};

const GLOBAL: aclmdlRICaptureMode = aclmdlRICaptureMode::GLOBAL;

fn begin(stream: aclrtStream, mode: aclmdlRICaptureMode) {
    assert_eq!(acl!(capture.aclmdlRICaptureBegin(stream, mode)), 0, "{}", recent());
}

fn end(stream: aclrtStream) -> (i32, aclmdlRI) {
    let mut model = null_mut();
    (acl!(capture.aclmdlRICaptureEnd(stream, &mut model)), model)
}

fn status(stream: aclrtStream) -> aclmdlRICaptureStatus {
    let (mut status, mut model) = (aclmdlRICaptureStatus(9), null_mut());
    assert_eq!(acl!(capture.aclmdlRICaptureGetInfo(stream, &mut status, &mut model)), 0);
    status
}

fn new_event() -> aclrtEvent {
    let mut event = null_mut();
    assert_eq!(acl!(runtime.aclrtCreateEvent(&mut event)), 0);
    event
}

contract! {
    fn what_is_captured_runs_when_the_model_is_executed_and_in_order() {
        start();
        let (a, out, stream) = (uploaded(&[1.0]), uploaded(&[0.0]), new_stream());
        let pinned = pinned_memory(4);
        assert_eq!(status(stream), aclmdlRICaptureStatus::NONE);
        begin(stream, GLOBAL);
        assert_eq!(status(stream), aclmdlRICaptureStatus::ACTIVE);
        assert_eq!(acl!(runtime.aclrtMemsetAsync(out, 4, 0, 4, stream)), 0);
        for _ in 0..3 {
            Add::of(a, out, out, 1).launch(stream);
        }
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(pinned, 4, out, 4, KIND, stream)), 0);
        let (code, model) = end(stream);
        assert_eq!(code, 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!((reported("launches.aclnnAdd"), reported("captures")), (0, 1));
        // SAFETY: pinned memory of 4 bytes.
        unsafe { pinned.cast::<f32>().write(9.0) };
        let other = new_stream();
        for replays in 1..=2 {
            assert_eq!(acl!(capture.aclmdlRIExecuteAsync(model, other)), 0, "{}", recent());
            assert_eq!(acl!(runtime.aclrtSynchronizeStream(other)), 0);
            assert_eq!((reported("launches.aclnnAdd"), reported("replays")), (3 * replays, replays));
            // SAFETY: the copy is done.
            assert_eq!(unsafe { pinned.cast::<f32>().read() }, 3.0);
        }
        assert_eq!(acl!(capture.aclmdlRIDestroy(model)), 0);
        assert_eq!(acl!(capture.aclmdlRIExecuteAsync(model, other)), 107_000);
    }
}

contract! {
    fn the_default_stream_gets_107031() {
        start();
        assert_eq!(acl!(capture.aclmdlRICaptureBegin(null_mut(), GLOBAL)), 107_031);
    }
}

contract! {
    /// Which codes is our choice; that all of them are illegal is documented.
    fn waiting_and_asking_are_illegal_and_invalidate() {
        start();
        type Wrong = fn(aclrtStream) -> i32;
        let cases: [(&str, Wrong, i32); 4] = [
            ("stream", |stream| acl!(runtime.aclrtSynchronizeStream(stream)), 107_027),
            ("device", |_| acl!(runtime.aclrtSynchronizeDevice()), 107_027),
            (
                "query",
                |stream| {
                    let mut status = aclrtStreamStatus::RESERVED;
                    acl!(runtime.aclrtStreamQuery(stream, &mut status))
                },
                107_027,
            ),
            (
                "event",
                |stream| {
                    let event = new_event();
                    assert_eq!(acl!(runtime.aclrtRecordEvent(event, stream)), 0);
                    acl!(runtime.aclrtSynchronizeEvent(event))
                },
                107_028,
            ),
        ];
        for (name, wrong, expected) in cases {
            let stream = new_stream();
            begin(stream, GLOBAL);
            assert_eq!(wrong(stream), expected, "{name}");
            assert_eq!(status(stream), aclmdlRICaptureStatus::INVALIDATED, "{name}");
            assert_eq!(end(stream), (507_903, null_mut()), "{name}");
            assert_eq!(status(stream), aclmdlRICaptureStatus::NONE, "{name}");
            assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0, "{name}");
        }
    }
}

contract! {
    fn synchronous_copies_get_107030_in_global_mode_from_any_thread() {
        start();
        let (stream, device) = (new_stream(), uploaded(&[0.0]));
        begin(stream, GLOBAL);
        let address = device.expose_provenance();
        let elsewhere = std::thread::spawn(move || {
            assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
            acl!(runtime.aclrtMemset(with_exposed_provenance_mut(address), 4, 0, 4))
        });
        assert_eq!(elsewhere.join().expect("no panic"), 107_030);
        let host = 0f32;
        let from = (&raw const host).cast();
        assert_eq!(acl!(runtime.aclrtMemcpy(device, 4, from, 4, KIND)), 107_030);
        assert_eq!(end(stream).0, 507_903);
    }
}

contract! {
    fn other_threads_and_relaxed_ones_may_copy() {
        start();
        let (stream, device) = (new_stream(), uploaded(&[0.0]));
        begin(stream, aclmdlRICaptureMode::THREAD_LOCAL);
        let address = device.expose_provenance();
        let elsewhere = std::thread::spawn(move || {
            assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
            acl!(runtime.aclrtMemset(with_exposed_provenance_mut(address), 4, 0, 4))
        });
        assert_eq!(elsewhere.join().expect("no panic"), 0);
        let mut mode = aclmdlRICaptureMode::RELAXED;
        assert_eq!(acl!(capture.aclmdlRICaptureThreadExchangeMode(&mut mode)), 0);
        assert_eq!(mode, GLOBAL);
        assert_eq!(acl!(runtime.aclrtMemset(device, 4, 0, 4)), 0);
        assert_eq!(acl!(capture.aclmdlRICaptureThreadExchangeMode(&mut mode)), 0);
        assert_eq!(mode, aclmdlRICaptureMode::RELAXED);
        assert_eq!(end(stream).0, 0);
        begin(stream, aclmdlRICaptureMode::RELAXED);
        assert_eq!(acl!(runtime.aclrtMemset(device, 4, 0, 4)), 0);
        assert_eq!(end(stream).0, 0);
    }
}

contract! {
    /// The code is our choice; that only pinned memory may be captured is documented.
    fn a_copy_of_pageable_memory_cannot_be_captured() {
        start();
        let (stream, device, host) = (new_stream(), uploaded(&[0.0]), 1f32);
        begin(stream, aclmdlRICaptureMode::RELAXED);
        let from = (&raw const host).cast();
        assert_eq!(acl!(runtime.aclrtMemcpyAsync(device, 4, from, 4, KIND, stream)), 107_030);
        assert_eq!(end(stream).0, 507_903);
    }
}

contract! {
    fn the_end_belongs_to_the_beginnings_thread() {
        start();
        let stream = new_stream();
        begin(stream, GLOBAL);
        let (handle, mut context) = (stream.expose_provenance(), null_mut());
        assert_eq!(acl!(runtime.aclrtGetCurrentContext(&mut context)), 0);
        let context = context.expose_provenance();
        let elsewhere = std::thread::spawn(move || {
            assert_eq!(acl!(runtime.aclrtSetCurrentContext(with_exposed_provenance_mut(context))), 0);
            end(with_exposed_provenance_mut(handle)).0
        });
        assert_eq!(elsewhere.join().expect("no panic"), 107_038);
        assert_eq!(end(stream).0, 0);
        // Our choices: begun twice, ended without a beginning.
        begin(stream, GLOBAL);
        assert_eq!(acl!(capture.aclmdlRICaptureBegin(stream, GLOBAL)), 107_027);
        assert_eq!(end(stream).0, 0);
        assert_eq!(end(stream).0, 107_029);
    }
}

contract! {
    fn a_model_of_another_context_gets_107004() {
        start();
        let stream = new_stream();
        begin(stream, GLOBAL);
        let (_, model) = end(stream);
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, 0)), 0);
        assert_eq!(acl!(capture.aclmdlRIExecuteAsync(model, new_stream())), 107_004);
        assert_eq!(acl!(capture.aclmdlRIDestroy(model)), 107_004);
    }
}

contract! {
    fn a_stream_joins_by_an_event_and_must_be_joined_again() {
        start();
        let (first, second) = (new_stream(), new_stream());
        let (a, out) = (uploaded(&[1.0]), uploaded(&[0.0]));
        let capture_both = |joins_again: bool| {
            let (fork, join) = (new_event(), new_event());
            begin(first, GLOBAL);
            assert_eq!(acl!(runtime.aclrtRecordEvent(fork, first)), 0);
            assert_eq!(acl!(runtime.aclrtStreamWaitEvent(second, fork)), 0);
            assert_eq!(status(second), aclmdlRICaptureStatus::ACTIVE);
            Add::of(a, a, out, 1).launch(second);
            // The end belongs to the stream of the beginning.
            assert_eq!(end(second).0, 107_036);
            if joins_again {
                assert_eq!(acl!(runtime.aclrtRecordEvent(join, second)), 0);
                assert_eq!(acl!(runtime.aclrtStreamWaitEvent(first, join)), 0);
            }
            end(first)
        };
        assert_eq!(capture_both(false), (107_025, null_mut()));
        let (code, model) = capture_both(true);
        assert_eq!(code, 0, "{}", recent());
        assert_eq!(status(second), aclmdlRICaptureStatus::NONE);
        assert_eq!(acl!(capture.aclmdlRIExecute(model, 10_000)), 0);
        assert_eq!(downloaded(out, 1), [2.0]);
    }
}

contract! {
    /// The code is our choice.
    fn a_captured_stream_cannot_wait_for_what_is_outside() {
        start();
        let (stream, event) = (new_stream(), new_event());
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, null_mut())), 0);
        begin(stream, GLOBAL);
        assert_eq!(acl!(runtime.aclrtStreamWaitEvent(stream, event)), 107_024);
        assert_eq!(end(stream).0, 507_903);
    }
}

contract! {
    fn buffers_must_live_as_long_as_the_model() {
        start();
        let (a, out, stream) = (uploaded(&[1.0]), uploaded(&[0.0]), new_stream());
        begin(stream, GLOBAL);
        Add::of(a, a, out, 1).launch(stream);
        let (_, model) = end(stream);
        assert_eq!(acl!(runtime.aclrtFree(out)), 0);
        // Memory that comes to lie there is not the captured one.
        let fresh = uploaded(&[0.0]);
        assert_eq!(acl!(capture.aclmdlRIExecuteAsync(model, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 507_015);
        assert_eq!(downloaded(fresh, 1), [0.0]);
    }
}

contract! {
    /// Documented for 9.x alone.
    fn a_running_model_cannot_be_destroyed() {
        start();
        let stream = new_stream();
        begin(stream, GLOBAL);
        let (_, model) = end(stream);
        let held = Held::new(stream);
        assert_eq!(acl!(capture.aclmdlRIExecuteAsync(model, stream)), 0);
        assert_eq!(acl!(capture.aclmdlRIDestroy(model)), 107_037);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(acl!(capture.aclmdlRIDestroy(model)), 0);
    }
}
