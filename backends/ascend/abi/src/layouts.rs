//! Structs whose fields C shows. Sizes and offsets were measured with a C++ compiler on x86-64;
//! `tests/layouts.rs` holds them.

#![allow(non_camel_case_types)]

use crate::types::aclrtUtilizationExtendInfo;
use crate::{ACL_MAX_BATCH_NUM, ACL_MAX_DIM_CNT, ACL_MAX_HW_NUM, ACL_MAX_TENSOR_NAME_LEN};
use crate::{
    aclrtMallocAttrType, aclrtMemAllocationType, aclrtMemAttr, aclrtMemHandleType, aclrtMemLocationType,
};
use core::ffi::{c_char, c_void};

/// The dims of a model's input or output, with its name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclmdlIODims {
    /// NUL-terminated.
    pub name: [c_char; ACL_MAX_TENSOR_NAME_LEN],
    /// How many of `dims` count.
    pub dim_count: usize,
    /// Extents; -1 where they are dynamic.
    pub dims: [i64; ACL_MAX_DIM_CNT],
}

/// Lower and upper limits of dynamic dims.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclmdlIODimsRange {
    /// How many of `range` count.
    pub range_count: usize,
    /// Smallest and largest extent per dim.
    pub range: [[i64; 2]; ACL_MAX_DIM_CNT],
}

/// The batch sizes that a model was built for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclmdlBatch {
    /// How many of `batch` count.
    pub batch_count: usize,
    /// The sizes.
    pub batch: [u64; ACL_MAX_BATCH_NUM],
}

/// The image sizes that a model was built for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclmdlHW {
    /// How many of `hw` count.
    pub hw_count: usize,
    /// Height and width.
    pub hw: [[u64; 2]; ACL_MAX_HW_NUM],
}

/// Where memory is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct aclrtMemLocation {
    /// The device's number, where `kind` is a device.
    pub id: u32,
    /// Host or device; C's `type`.
    pub kind: aclrtMemLocationType,
}

/// Which physical memory to take.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct aclrtPhysicalMemProp {
    /// Whether it can be shared with another process.
    pub handle_type: aclrtMemHandleType,
    /// Pinned is all there is.
    pub allocation_type: aclrtMemAllocationType,
    /// Kind of memory and page size.
    pub mem_attr: aclrtMemAttr,
    /// Device.
    pub location: aclrtMemLocation,
    /// Zero.
    pub reserve: u64,
}

/// What is known of a pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct aclrtPtrAttributes {
    /// Host or device.
    pub location: aclrtMemLocation,
    /// Bytes.
    pub page_size: u32,
    /// Reserved.
    pub rsv: [u32; 4],
}

/// A value of [`aclrtMallocAttribute`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union aclrtMallocAttrValue {
    /// With `aclrtMallocAttrType::MODULE_ID`.
    pub module_id: u16,
    /// With `aclrtMallocAttrType::DEVICE_ID`.
    pub device_id: u32,
    /// The whole.
    pub rsv: [u8; 8],
}

/// One option of an allocation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct aclrtMallocAttribute {
    /// Which option.
    pub attr: aclrtMallocAttrType,
    /// Its value.
    pub value: aclrtMallocAttrValue,
}

/// Options of an allocation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclrtMallocConfig {
    /// `num_attrs` options.
    pub attrs: *mut aclrtMallocAttribute,
    /// How many.
    pub num_attrs: usize,
}

/// How busy a device is, in percent.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclrtUtilizationInfo {
    /// Matrix units.
    pub cube_utilization: i32,
    /// Vector units.
    pub vector_utilization: i32,
    /// The device's CPUs.
    pub aicpu_utilization: i32,
    /// Memory.
    pub memory_utilization: i32,
    /// The vendor's extension; null.
    pub utilization_extend: *mut aclrtUtilizationExtendInfo,
}

/// A package's version, each part NUL-terminated text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclCANNPackageVersion {
    /// The whole, such as `8.1.RC1`.
    pub version: [c_char; 128],
    /// Its major part.
    pub major_version: [c_char; 64],
    /// Its minor part.
    pub minor_version: [c_char; 64],
    /// Its release part.
    pub release_version: [c_char; 64],
    /// Its patch part.
    pub patch_version: [c_char; 64],
    /// Reserved.
    pub reserved: [c_char; 128],
}

/// A range of device memory with uncorrectable errors.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct aclrtMemUceInfo {
    /// Where it starts.
    pub addr: *mut c_void,
    /// Bytes.
    pub len: usize,
    /// Reserved.
    pub reserved: [usize; 14],
}
