//! What it says it is.

use crate::harness::{acl, contract, library, start};
use lockstep_ascend_abi::{
    aclCANNPackageName, aclCANNPackageVersion, aclCannAttr, aclDeviceInfo, aclrtRunMode,
};
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    // SAFETY: not null: a text that ends in NUL.
    unsafe { CStr::from_ptr(pointer) }.to_str().expect("ASCII").to_owned()
}

#[test]
fn the_marker_says_that_it_is_a_simulator() {
    type Marker = unsafe extern "C" fn() -> *const c_char;
    // SAFETY: the documented signature.
    let version = unsafe { library().library.get::<Marker>(b"lockstep_ascend_simulator\0") };
    // SAFETY: as above.
    let version = text(unsafe { version.expect("exported")() });
    assert!(version.contains("simulator"), "{version}");
}

contract! {
    fn the_soc_name_is_never_a_devices() {
        assert_eq!(text(acl!(runtime.aclrtGetSocName())), "Ascend910B3-SIM");
    }
}

contract! {
    fn the_soc_name_may_be_chosen() with ["LOCKSTEP_ASCEND_SIM_SOC" = "Ascend910B1-SIM"] {
        assert_eq!(text(acl!(runtime.aclrtGetSocName())), "Ascend910B1-SIM");
    }
}

fn interface_version() -> (i32, i32, i32) {
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    assert_eq!(acl!(runtime.aclrtGetVersion(&mut major, &mut minor, &mut patch)), 0);
    (major, minor, patch)
}

fn package_version() -> String {
    let mut version = MaybeUninit::<aclCANNPackageVersion>::zeroed();
    let name = aclCANNPackageName::CANN;
    assert_eq!(acl!(runtime.aclsysGetCANNVersion(name, version.as_mut_ptr())), 0);
    // SAFETY: written, and zero is a value of each field anyhow.
    text(unsafe { version.assume_init() }.version.as_ptr())
}

contract! {
    fn layout_8_tells_the_versions_of_8() with ["LOCKSTEP_ASCEND_SIM_LAYOUT" = "8"] {
        assert_eq!(interface_version(), (1, 13, 0));
        assert_eq!(package_version(), "8.1.RC1");
    }
}

contract! {
    fn layout_9_tells_the_versions_of_9() with ["LOCKSTEP_ASCEND_SIM_LAYOUT" = "9"] {
        assert_eq!(interface_version(), (1, 14, 0));
        assert_eq!(package_version(), "9.1.0");
        let mut number = 0;
        let name = c"runtime".as_ptr().cast_mut();
        assert_eq!(acl!(runtime.aclsysGetVersionNum(name, &mut number)), 0);
        assert_eq!(number, 90_100_000);
    }
}

contract! {
    fn there_are_two_devices() {
        let mut count = 0;
        assert_eq!(acl!(runtime.aclrtGetDeviceCount(&mut count)), 0);
        assert_eq!(count, 2);
    }
}

contract! {
    fn visible_devices_are_counted_from_zero()
    with ["LOCKSTEP_ASCEND_SIM_DEVICES" = "8", "ASCEND_RT_VISIBLE_DEVICES" = "2,5,6"] {
        start();
        let mut count = 0;
        assert_eq!(acl!(runtime.aclrtGetDeviceCount(&mut count)), 0);
        assert_eq!(count, 3);
        assert_eq!(acl!(runtime.aclrtSetDevice(2)), 0);
        assert_eq!(acl!(runtime.aclrtSetDevice(5)), 107_001);
    }
}

contract! {
    fn the_chip_has_the_published_sizes() {
        let mut value = 0;
        let expected = [
            (aclDeviceInfo::AI_CORE_NUM, 20),
            (aclDeviceInfo::VECTOR_CORE_NUM, 40),
            (aclDeviceInfo::L2_SIZE, 201_326_592),
        ];
        for (info, expected) in expected {
            assert_eq!(acl!(runtime.aclGetDeviceCapability(0, info, &mut value)), 0);
            assert_eq!(value, expected, "{info:?}");
        }
        assert_eq!(acl!(runtime.aclGetDeviceCapability(9, aclDeviceInfo::L2_SIZE, &mut value)), 107_001);
    }
}

contract! {
    fn it_knows_infinities_and_bf16_and_runs_on_a_host() {
        for attribute in [aclCannAttr::INF_NAN, aclCannAttr::BF16] {
            let mut value = 0;
            assert_eq!(acl!(runtime.aclGetCannAttribute(attribute, &mut value)), 0);
            assert_eq!(value, 1);
        }
        let mut mode = aclrtRunMode::DEVICE;
        assert_eq!(acl!(runtime.aclrtGetRunMode(&mut mode)), 0);
        assert_eq!(mode, aclrtRunMode::HOST);
    }
}
