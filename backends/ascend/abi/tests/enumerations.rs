//! Values that C code passes, and what becomes of values that are newer than this crate.

use lockstep_ascend_abi::*;

#[test]
fn values_are_those_of_c() {
    assert_eq!([aclDataType::FLOAT, aclDataType::FLOAT16, aclDataType::BF16].map(|t| t.0), [0, 1, 27]);
    assert_eq!([aclDataType::INT8, aclDataType::INT32, aclDataType::INT64].map(|t| t.0), [2, 3, 9]);
    assert_eq!([aclDataType::DOUBLE, aclDataType::BOOL, aclDataType::UNDEFINED].map(|t| t.0), [11, 12, -1]);
    assert_eq!([aclFormat::UNDEFINED, aclFormat::ND, aclFormat::FRACTAL_NZ].map(|f| f.0), [-1, 2, 29]);
    assert_eq!([aclrtMemcpyKind::HOST_TO_DEVICE, aclrtMemcpyKind::DEVICE_TO_HOST].map(|k| k.0), [1, 2]);
    assert_eq!(aclrtMemcpyKind::DEVICE_TO_DEVICE.0, 3);
    assert_eq!(
        [aclrtMemMallocPolicy::MALLOC_HUGE_FIRST, aclrtMemMallocPolicy::MALLOC_NORMAL_ONLY].map(|p| p.0),
        [0, 2]
    );
    assert_eq!(aclrtMemMallocPolicy::ACCESS_USER_SPACE_READONLY.0, 0x10_0000);
    assert_eq!([aclrtMemAttr::DDR_MEM, aclrtMemAttr::HBM_MEM].map(|a| a.0), [0, 1]);
    assert_eq!([aclrtRunMode::DEVICE, aclrtRunMode::HOST].map(|m| m.0), [0, 1]);
    assert_eq!(aclSysParamOpt::DETERMINISTIC.0, 0);
    assert_eq!(aclmdlRICaptureMode::RELAXED.0, 2);
    // The two ways to ask after an event disagree on what 0 means.
    assert_eq!(aclrtEventStatus::COMPLETE.0, 0);
    assert_eq!(aclrtEventRecordedStatus::COMPLETE.0, 1);
}

#[test]
fn a_value_prints_as_its_name_in_c() {
    assert_eq!(format!("{:?}", aclDataType::BF16), "ACL_BF16");
    assert_eq!(aclFormat::FRACTAL_Z_3D.name(), Some("ACL_FRACTAL_Z_3D"));
}

#[test]
fn a_value_that_is_newer_prints_as_its_number() {
    assert_eq!(aclDataType(99).name(), None);
    assert_eq!(format!("{:?}", aclDataType(99)), "aclDataType(99)");
}
