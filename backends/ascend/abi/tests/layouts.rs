//! Sizes and offsets as a C++ compiler has them on x86-64, in bytes.

use core::mem::{align_of, offset_of, size_of};
use lockstep_ascend_abi::*;

#[test]
fn dims_of_models() {
    assert_eq!((size_of::<aclmdlIODims>(), align_of::<aclmdlIODims>()), (1160, 8));
    assert_eq!(offset_of!(aclmdlIODims, name), 0);
    assert_eq!(offset_of!(aclmdlIODims, dim_count), 128);
    assert_eq!(offset_of!(aclmdlIODims, dims), 136);
    assert_eq!((size_of::<aclmdlIODimsRange>(), align_of::<aclmdlIODimsRange>()), (2056, 8));
    assert_eq!(offset_of!(aclmdlIODimsRange, range), 8);
    assert_eq!((size_of::<aclmdlBatch>(), align_of::<aclmdlBatch>()), (1032, 8));
    assert_eq!(offset_of!(aclmdlBatch, batch), 8);
    assert_eq!((size_of::<aclmdlHW>(), align_of::<aclmdlHW>()), (2056, 8));
    assert_eq!(offset_of!(aclmdlHW, hw), 8);
}

#[test]
fn memory_properties() {
    assert_eq!((size_of::<aclrtMemLocation>(), align_of::<aclrtMemLocation>()), (8, 4));
    assert_eq!(offset_of!(aclrtMemLocation, id), 0);
    assert_eq!(offset_of!(aclrtMemLocation, kind), 4);
    assert_eq!((size_of::<aclrtPhysicalMemProp>(), align_of::<aclrtPhysicalMemProp>()), (32, 8));
    assert_eq!(offset_of!(aclrtPhysicalMemProp, handle_type), 0);
    assert_eq!(offset_of!(aclrtPhysicalMemProp, allocation_type), 4);
    assert_eq!(offset_of!(aclrtPhysicalMemProp, mem_attr), 8);
    assert_eq!(offset_of!(aclrtPhysicalMemProp, location), 12);
    assert_eq!(offset_of!(aclrtPhysicalMemProp, reserve), 24);
    assert_eq!((size_of::<aclrtPtrAttributes>(), align_of::<aclrtPtrAttributes>()), (28, 4));
    assert_eq!(offset_of!(aclrtPtrAttributes, page_size), 8);
    assert_eq!(offset_of!(aclrtPtrAttributes, rsv), 12);
    assert_eq!((size_of::<aclrtMemUceInfo>(), align_of::<aclrtMemUceInfo>()), (128, 8));
    assert_eq!(offset_of!(aclrtMemUceInfo, len), 8);
    assert_eq!(offset_of!(aclrtMemUceInfo, reserved), 16);
}

#[test]
fn options_of_allocations() {
    assert_eq!((size_of::<aclrtMallocAttrValue>(), align_of::<aclrtMallocAttrValue>()), (8, 4));
    assert_eq!((size_of::<aclrtMallocAttribute>(), align_of::<aclrtMallocAttribute>()), (12, 4));
    assert_eq!(offset_of!(aclrtMallocAttribute, value), 4);
    assert_eq!((size_of::<aclrtMallocConfig>(), align_of::<aclrtMallocConfig>()), (16, 8));
    assert_eq!(offset_of!(aclrtMallocConfig, num_attrs), 8);
}

#[test]
fn versions_and_utilization() {
    assert_eq!((size_of::<aclCANNPackageVersion>(), align_of::<aclCANNPackageVersion>()), (512, 1));
    assert_eq!(offset_of!(aclCANNPackageVersion, major_version), 128);
    assert_eq!(offset_of!(aclCANNPackageVersion, minor_version), 192);
    assert_eq!(offset_of!(aclCANNPackageVersion, release_version), 256);
    assert_eq!(offset_of!(aclCANNPackageVersion, patch_version), 320);
    assert_eq!(offset_of!(aclCANNPackageVersion, reserved), 384);
    assert_eq!((size_of::<aclrtUtilizationInfo>(), align_of::<aclrtUtilizationInfo>()), (24, 8));
    assert_eq!(offset_of!(aclrtUtilizationInfo, vector_utilization), 4);
    assert_eq!(offset_of!(aclrtUtilizationInfo, aicpu_utilization), 8);
    assert_eq!(offset_of!(aclrtUtilizationInfo, memory_utilization), 12);
    assert_eq!(offset_of!(aclrtUtilizationInfo, utilization_extend), 16);
}

#[test]
fn an_enumeration_is_an_int() {
    assert_eq!((size_of::<aclDataType>(), align_of::<aclDataType>()), (4, 4));
    assert_eq!(size_of::<Option<runtime::aclInit>>(), size_of::<*const ()>());
    assert_eq!(size_of::<aclrtCallback>(), size_of::<*const ()>());
}
