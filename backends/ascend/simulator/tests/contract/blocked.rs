//! A stream that waits until the test lets it go on: a blocking callback whose thread does not answer yet.

use crate::harness::{acl, recent};
use lockstep_ascend_abi::{aclrtCallbackBlockType, aclrtStream};
use std::ffi::c_void;
use std::ptr::null_mut;

// SAFETY: POSIX: takes nothing and always succeeds.
unsafe extern "C" {
    safe fn pthread_self() -> u64;
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

/// A held stream; what is submitted to it meanwhile waits.
pub(crate) struct Held(aclrtStream);

impl Held {
    /// Holds `stream`, on whose thread the test asks for reports.
    pub(crate) fn new(stream: aclrtStream) -> Self {
        assert_eq!(acl!(runtime.aclrtSubscribeReport(pthread_self(), stream)), 0, "{}", recent());
        let block = aclrtCallbackBlockType::CALLBACK_BLOCK;
        assert_eq!(acl!(runtime.aclrtLaunchCallback(Some(nothing), null_mut(), block, stream)), 0);
        Self(stream)
    }

    /// Lets it go on.
    pub(crate) fn release(self) {
        assert_eq!(acl!(runtime.aclrtProcessReport(10_000)), 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtUnSubscribeReport(pthread_self(), self.0)), 0);
    }
}
