//! Addresses apart from memory: a range is reserved once, and physical memory is mapped into it as it grows.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclError, aclrtDrvMemHandle, aclrtMemGranularityOptions, aclrtPhysicalMemProp, functions};
use core::ffi::c_void;

functions! {
    /// The functions on reserved addresses and physical memory.
    VirtualMemory;

    /// `alignment` and `flags` are 0.
    [AscendCl AclRt] fn aclrtReserveMemAddress(
        vir_ptr: *mut *mut c_void, size: usize, alignment: usize, expect_ptr: *mut c_void, flags: u64,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtReleaseMemAddress(vir_ptr: *mut c_void) -> aclError;
    /// `size` is a multiple of the granularity; `flags` is 0.
    [AscendCl AclRt] fn aclrtMallocPhysical(
        handle: *mut aclrtDrvMemHandle, size: usize, prop: *const aclrtPhysicalMemProp, flags: u64,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtFreePhysical(handle: aclrtDrvMemHandle) -> aclError;
    /// `offset` and `flags` are 0; `size` is the physical memory's.
    [AscendCl AclRt] fn aclrtMapMem(
        vir_ptr: *mut c_void, size: usize, offset: usize, handle: aclrtDrvMemHandle, flags: u64,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtUnmapMem(vir_ptr: *mut c_void) -> aclError;
    [AscendCl AclRt] fn aclrtMemGetAllocationGranularity(
        prop: *mut aclrtPhysicalMemProp, option: aclrtMemGranularityOptions, granularity: *mut usize,
    ) -> aclError;
}
