//! Events: order between streams, and time.

use crate::blocked::Held;
use crate::harness::{Add, acl, contract, downloaded, new_stream, recent, start, uploaded};
use lockstep_ascend_abi::{aclrtEvent, aclrtEventRecordedStatus, event_flag};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

fn new_event() -> aclrtEvent {
    let mut event = null_mut();
    assert_eq!(acl!(runtime.aclrtCreateEvent(&mut event)), 0, "{}", recent());
    event
}

fn recorded(event: aclrtEvent) -> aclrtEventRecordedStatus {
    let mut status = aclrtEventRecordedStatus(-1);
    assert_eq!(acl!(runtime.aclrtQueryEventStatus(event, &mut status)), 0, "{}", recent());
    status
}

contract! {
    fn a_stream_waits_for_an_event_of_another() {
        start();
        let (first, second) = (new_stream(), new_stream());
        let (a, middle, out) = (uploaded(&[1.0]), uploaded(&[0.0]), uploaded(&[0.0]));
        let event = new_event();
        let held = Held::new(first);
        Add::of(a, a, middle, 1).launch(first);
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, first)), 0);
        assert_eq!(acl!(runtime.aclrtStreamWaitEvent(second, event)), 0);
        Add::of(middle, a, out, 1).launch(second);
        assert_eq!(recorded(event), aclrtEventRecordedStatus::NOT_READY);
        assert_eq!(acl!(runtime.aclrtSynchronizeStreamWithTimeout(second, 20)), 507_046);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(second)), 0);
        assert_eq!(recorded(event), aclrtEventRecordedStatus::COMPLETE);
        assert_eq!(downloaded(out, 1), [3.0]);
    }
}

contract! {
    fn a_wait_for_an_event_that_takes_too_long_ends_with_507047() {
        start();
        let (stream, event) = (new_stream(), new_event());
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeEventWithTimeout(event, 20)), 507_047);
        held.release();
        assert_eq!(acl!(runtime.aclrtSynchronizeEvent(event)), 0);
    }
}

contract! {
    fn elapsed_time_is_that_of_a_clock_in_milliseconds() {
        start();
        let (stream, begin, end) = (new_stream(), new_event(), new_event());
        let clock = Instant::now();
        let held = Held::new(stream);
        held.release();
        assert_eq!(acl!(runtime.aclrtRecordEvent(begin, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeEvent(begin)), 0);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(acl!(runtime.aclrtRecordEvent(end, stream)), 0);
        let mut elapsed = -1.0;
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(acl!(runtime.aclrtEventElapsedTime(&mut elapsed, begin, end)), 0);
        let whole = clock.elapsed().as_secs_f32() * 1e3;
        assert!((30.0..=whole).contains(&elapsed), "{elapsed} of {whole}");
        assert_eq!(acl!(runtime.aclrtEventElapsedTime(&mut elapsed, end, begin)), 107_007);
    }
}

contract! {
    /// Which code each case has is our choice.
    fn elapsed_time_needs_two_recorded_events_that_keep_time() {
        start();
        let (stream, begin, end) = (new_stream(), new_event(), new_event());
        let mut elapsed = 0.0;
        assert_eq!(acl!(runtime.aclrtRecordEvent(begin, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(acl!(runtime.aclrtEventElapsedTime(&mut elapsed, begin, end)), 107_006);
        let mut untimed = null_mut();
        let flag = event_flag::ACL_EVENT_SYNC;
        assert_eq!(acl!(runtime.aclrtCreateEventWithFlag(&mut untimed, flag)), 0);
        assert_eq!(acl!(runtime.aclrtRecordEvent(untimed, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(acl!(runtime.aclrtEventElapsedTime(&mut elapsed, begin, untimed)), 107_006);
        let held = Held::new(stream);
        assert_eq!(acl!(runtime.aclrtRecordEvent(end, stream)), 0);
        assert_eq!(acl!(runtime.aclrtEventElapsedTime(&mut elapsed, begin, end)), 507_006);
        held.release();
    }
}

contract! {
    fn a_reset_event_is_not_recorded_and_may_be_recorded_again() {
        start();
        let (stream, event) = (new_stream(), new_event());
        assert_eq!(recorded(event), aclrtEventRecordedStatus::NOT_READY);
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, stream)), 0);
        assert_eq!(acl!(runtime.aclrtResetEvent(event, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(recorded(event), aclrtEventRecordedStatus::NOT_READY);
        assert_eq!(acl!(runtime.aclrtRecordEvent(event, stream)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 0);
        assert_eq!(recorded(event), aclrtEventRecordedStatus::COMPLETE);
    }
}

contract! {
    /// The codes are our choice.
    fn what_is_no_event_is_refused() {
        start();
        let event = new_event();
        assert_eq!(acl!(runtime.aclrtDestroyEvent(event)), 0);
        assert_eq!(acl!(runtime.aclrtDestroyEvent(event)), 107_017);
        assert_eq!(acl!(runtime.aclrtSynchronizeEvent(null_mut())), 100_000);
        let mut made = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateEventWithFlag(&mut made, 0x100)), 107_000);
    }
}
