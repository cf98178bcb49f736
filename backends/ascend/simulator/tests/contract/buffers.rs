//! Device and pinned memory.

use crate::harness::{POLICY, acl, contract, device_memory, downloaded, pinned_memory, recent, start};
use lockstep_ascend_abi::{
    aclrtMemAttr, aclrtMemLocation, aclrtMemLocationType, aclrtMemMallocPolicy, aclrtPtrAttributes,
};
use std::ffi::c_void;
use std::ptr::null_mut;

fn free_bytes() -> usize {
    let (mut free, mut total) = (0, 0);
    assert_eq!(acl!(runtime.aclrtGetMemInfo(aclrtMemAttr::HBM_MEM, &mut free, &mut total)), 0);
    assert!(free <= total);
    free
}

contract! {
    fn null_and_zero_are_refused_by_the_upper_layer() {
        start();
        let mut address = null_mut();
        assert_eq!(acl!(runtime.aclrtMalloc(null_mut(), 64, POLICY)), 100_000);
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 0, POLICY)), 100_000);
        assert_eq!(acl!(runtime.aclrtMallocAlign32(&mut address, 0, POLICY)), 100_000);
        assert_eq!(acl!(runtime.aclrtMallocHost(&mut address, 0)), 100_000);
        assert_eq!(acl!(runtime.aclrtFree(null_mut())), 100_000);
        let mut free = 0;
        assert_eq!(acl!(runtime.aclrtGetMemInfo(aclrtMemAttr::HBM_MEM, &mut free, null_mut())), 100_000);
        assert!(recent().contains("total"));
    }
}

contract! {
    fn a_policy_that_does_not_exist_is_refused_by_the_lower_layer() {
        start();
        let mut address = null_mut();
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 64, aclrtMemMallocPolicy(9))), 107_000);
        let wide = aclrtMemMallocPolicy(POLICY.0 | aclrtMemMallocPolicy::TYPE_HIGH_BAND_WIDTH.0);
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 64, wide)), 0);
    }
}

contract! {
    fn bases_are_aligned_to_64_bytes() {
        start();
        for bytes in [1, 31, 33, 4097] {
            assert!(device_memory(bytes).addr().is_multiple_of(64));
            assert!(pinned_memory(bytes).addr().is_multiple_of(64));
        }
    }
}

contract! {
    fn a_size_is_rounded_to_32_and_takes_32_more_unless_told() {
        start();
        let before = free_bytes();
        let padded = device_memory(33);
        assert_eq!(before - free_bytes(), 96);
        let mut plain = null_mut();
        assert_eq!(acl!(runtime.aclrtMallocAlign32(&mut plain, 33, POLICY)), 0);
        assert_eq!(before - free_bytes(), 96 + 64);
        assert_eq!(acl!(runtime.aclrtFree(padded)), 0);
        assert_eq!(acl!(runtime.aclrtFree(plain)), 0);
        assert_eq!(free_bytes(), before);
    }
}

contract! {
    fn fresh_memory_is_not_zero_but_nan() {
        start();
        let values = downloaded(device_memory(64), 16);
        assert!(values.iter().all(|value| value.is_nan()), "{values:?}");
        for value in values {
            let half = (value.to_bits() & 0xffff) as u16;
            assert_eq!(half & 0x7c00, 0x7c00, "as f16");
            assert_eq!(half & 0x7f80, 0x7f80, "as bf16");
        }
    }
}

contract! {
    fn a_device_that_is_full_gives_207001() with ["LOCKSTEP_ASCEND_SIM_MEMORY" = "1024"] {
        start();
        let mut address = null_mut();
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 1024, POLICY)), 207_001);
        assert!(recent().contains("1024"));
        let first = device_memory(512);
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, 512, POLICY)), 207_001);
        assert_eq!(acl!(runtime.aclrtSetDevice(1)), 0);
        let other = device_memory(512);
        assert_eq!(acl!(runtime.aclrtFree(first)), 0);
        assert_eq!(acl!(runtime.aclrtFree(other)), 0);
        assert_eq!(acl!(runtime.aclrtMalloc(&mut address, usize::MAX, POLICY)), 207_001);
    }
}

contract! {
    fn memory_is_64_gib_and_of_one_kind() {
        start();
        let (mut free, mut total) = (1, 1);
        assert_eq!(acl!(runtime.aclrtGetMemInfo(aclrtMemAttr::HBM_MEM, &mut free, &mut total)), 0);
        assert_eq!((free, total), (64 << 30, 64 << 30));
        assert_eq!(acl!(runtime.aclrtGetMemInfo(aclrtMemAttr::DDR_MEM, &mut free, &mut total)), 0);
        assert_eq!((free, total), (0, 0));
    }
}

contract! {
    /// NOT VERIFIED on a device: the code is our choice.
    fn freeing_twice_or_what_is_foreign_gets_107000_and_says_what_it_is() {
        start();
        let address = device_memory(64);
        assert_eq!(acl!(runtime.aclrtFree(address.wrapping_byte_add(8))), 107_000);
        assert!(recent().contains("inside"));
        assert_eq!(acl!(runtime.aclrtFree(address)), 0);
        assert_eq!(acl!(runtime.aclrtFree(address)), 107_000);
        assert!(recent().contains("was freed before"));
        let mut host = [0u8; 64];
        assert_eq!(acl!(runtime.aclrtFree(host.as_mut_ptr().cast())), 107_000);
        assert!(recent().contains("not allocated by ACL"));
        assert_eq!(acl!(runtime.aclrtFreeHost(device_memory(64))), 107_000);
        assert_eq!(acl!(runtime.aclrtFree(pinned_memory(64))), 107_000);
    }
}

fn location(address: *const c_void) -> Result<aclrtMemLocation, i32> {
    let location = aclrtMemLocation { id: 9, kind: aclrtMemLocationType(9) };
    let mut attributes = aclrtPtrAttributes { location, page_size: 0, rsv: [0; 4] };
    match acl!(runtime.aclrtPointerGetAttributes(address, &mut attributes)) {
        0 => Ok(attributes.location),
        code => Err(code),
    }
}

contract! {
    fn a_pointer_tells_where_it_points() {
        start();
        assert_eq!(acl!(runtime.aclrtSetDevice(1)), 0);
        let device = location(device_memory(64).wrapping_byte_add(63)).expect("known");
        assert_eq!(device, aclrtMemLocation { id: 1, kind: aclrtMemLocationType::DEVICE });
        assert_eq!(location(pinned_memory(64)).expect("known").kind, aclrtMemLocationType::HOST);
        assert_eq!(location((&raw const device).cast()).expect("known").kind, aclrtMemLocationType::HOST);
        let freed = device_memory(64);
        assert_eq!(acl!(runtime.aclrtFree(freed)), 0);
        assert_eq!(location(freed), Err(107_000));
    }
}

contract! {
    fn layout_9_knows_unregistered_memory() with ["LOCKSTEP_ASCEND_SIM_LAYOUT" = "9"] {
        start();
        let here = 0u64;
        let kind = location((&raw const here).cast()).expect("known").kind;
        assert_eq!(kind, aclrtMemLocationType::UNREGISTERED);
    }
}
