//! Devices and contexts, by thread.

use crate::harness::{POLICY, acl, contract, new_stream, start};
use lockstep_ascend_abi::{aclSysParamOpt, aclrtFloatOverflowMode, aclrtMemAttr};
use std::ptr::{null, null_mut};

contract! {
    fn a_thread_without_a_context_gets_107002() {
        start();
        let code = std::thread::spawn(|| {
            let mut address = null_mut();
            let (mut free, mut total) = (0, 0);
            let info = aclrtMemAttr::HBM_MEM;
            [
                acl!(runtime.aclrtMalloc(&mut address, 64, POLICY)),
                acl!(runtime.aclrtGetMemInfo(info, &mut free, &mut total)),
                acl!(runtime.aclrtSynchronizeDevice()),
                acl!(runtime.aclrtSynchronizeStream(null_mut())),
                acl!(runtime.aclrtGetDevice(&mut 0)),
            ]
        });
        assert_eq!(code.join().expect("no panic"), [107_002; 5]);
    }
}

contract! {
    fn a_device_that_is_not_there_gets_107001() {
        assert_eq!(acl!(runtime.aclInit(null())), 0);
        for device in [-1, 2] {
            assert_eq!(acl!(runtime.aclrtSetDevice(device)), 107_001);
            let mut context = null_mut();
            assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, device)), 107_001);
        }
    }
}

contract! {
    fn threads_of_a_device_share_its_default_context() {
        start();
        let current = || {
            let mut context = null_mut();
            assert_eq!(acl!(runtime.aclrtGetCurrentContext(&mut context)), 0);
            context.addr()
        };
        let other = std::thread::spawn(move || {
            assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
            current()
        });
        assert_eq!(other.join().expect("no panic"), current());
        assert_eq!(acl!(runtime.aclrtSetDevice(1)), 0);
        let mut device = -1;
        assert_eq!(acl!(runtime.aclrtGetDevice(&mut device)), 0);
        assert_eq!(device, 1);
    }
}

contract! {
    fn a_device_is_counted_until_its_last_reset() {
        start();
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtResetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 0);
        assert_eq!(acl!(runtime.aclrtResetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 107_002);
    }
}

contract! {
    /// That it errors is documented, the code is our choice.
    fn a_forced_reset_ignores_the_count_and_fails_once_it_is_done() {
        start();
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtResetDeviceForce(0)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 107_002);
        assert_eq!(acl!(runtime.aclrtResetDeviceForce(0)), 107_001);
    }
}

contract! {
    fn a_created_context_becomes_current_and_switching_contexts_switches_devices() {
        start();
        let (mut first, mut second, mut device) = (null_mut(), null_mut(), -1);
        assert_eq!(acl!(runtime.aclrtGetCurrentContext(&mut first)), 0);
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut second, 1)), 0);
        assert_eq!(acl!(runtime.aclrtGetDevice(&mut device)), 0);
        assert_eq!(device, 1);
        assert_eq!(acl!(runtime.aclrtSetCurrentContext(first)), 0);
        assert_eq!(acl!(runtime.aclrtGetDevice(&mut device)), 0);
        assert_eq!(device, 0);
        assert_eq!(acl!(runtime.aclrtSetCurrentContext(null_mut())), 100_000);
    }
}

contract! {
    fn a_stream_of_another_context_gets_107003() {
        start();
        let stream = new_stream();
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, 0)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 107_003);
        assert_eq!(acl!(runtime.aclrtDestroyStream(stream)), 107_003);
    }
}

contract! {
    fn a_destroyed_context_is_current_nowhere() {
        start();
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtCreateContext(&mut context, 0)), 0);
        let stream = new_stream();
        assert_eq!(acl!(runtime.aclrtDestroyContext(context)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeDevice()), 107_002);
        // Our choice: what a destroyed context was is told as a bad parameter.
        assert_eq!(acl!(runtime.aclrtSetCurrentContext(context)), 107_000);
        assert_eq!(acl!(runtime.aclrtSetDevice(0)), 0);
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(stream)), 107_017);
    }
}

contract! {
    /// Our choice of 107000: a default context ends with its device.
    fn the_default_context_cannot_be_destroyed() {
        start();
        let mut context = null_mut();
        assert_eq!(acl!(runtime.aclrtGetCurrentContext(&mut context)), 0);
        assert_eq!(acl!(runtime.aclrtDestroyContext(context)), 107_000);
    }
}

contract! {
    fn options_are_of_the_process_or_of_a_context() {
        start();
        let option = aclSysParamOpt::DETERMINISTIC;
        let mut value = -1;
        assert_eq!(acl!(runtime.aclrtGetSysParamOpt(option, &mut value)), 107_021);
        assert_eq!(acl!(runtime.aclrtSetSysParamOpt(option, 1)), 0);
        assert_eq!(acl!(runtime.aclrtGetSysParamOpt(option, &mut value)), 0);
        assert_eq!(value, 1);
        assert_eq!(acl!(runtime.aclrtCtxGetSysParamOpt(option, &mut value)), 107_021);
        assert_eq!(acl!(runtime.aclrtCtxSetSysParamOpt(option, 0)), 0);
        assert_eq!(acl!(runtime.aclrtCtxGetSysParamOpt(option, &mut value)), 0);
        assert_eq!(value, 0);
        assert_eq!(acl!(runtime.aclrtSetSysParamOpt(option, 9)), 107_000);
    }
}

contract! {
    fn overflow_gives_infinities_unless_told() {
        start();
        let mut mode = aclrtFloatOverflowMode::UNDEF;
        assert_eq!(acl!(runtime.aclrtGetDeviceSatMode(&mut mode)), 0);
        assert_eq!(mode, aclrtFloatOverflowMode::INFNAN);
        assert_eq!(acl!(runtime.aclrtSetDeviceSatMode(aclrtFloatOverflowMode::SATURATION)), 0);
        assert_eq!(acl!(runtime.aclrtGetDeviceSatMode(&mut mode)), 0);
        assert_eq!(mode, aclrtFloatOverflowMode::SATURATION);
        assert_eq!(acl!(runtime.aclrtSetDeviceSatMode(aclrtFloatOverflowMode::UNDEF)), 107_000);
    }
}
