//! The runtime: devices, contexts, streams, events, memory, and what went wrong.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{
    aclCANNPackageName, aclCANNPackageVersion, aclCannAttr, aclDeviceInfo, aclError, aclSysParamOpt,
    aclrtCallback, aclrtCallbackBlockType, aclrtContext, aclrtDevAttr, aclrtDeviceStatus, aclrtEvent,
    aclrtEventRecordedStatus, aclrtEventStatus, aclrtEventWaitStatus, aclrtExceptionInfo,
    aclrtExceptionInfoCallback, aclrtFloatOverflowMode, aclrtHostRegisterType, aclrtLastErrLevel,
    aclrtMallocConfig, aclrtMemAttr, aclrtMemMallocPolicy, aclrtMemUceInfo, aclrtMemcpyKind,
    aclrtPtrAttributes, aclrtRunMode, aclrtStream, aclrtStreamConfigAttr, aclrtStreamConfigHandle,
    aclrtStreamStatus, aclrtUtilizationInfo, functions,
};
use core::ffi::{c_char, c_void};

functions! {
    /// The runtime's functions.
    Runtime;

    // Start, versions, errors.
    /// `config_path` may be null. A second call returns 100002, which may be ignored.
    [AscendCl AclRt] fn aclInit(config_path: *const c_char) -> aclError;
    /// Ends it however often `aclInit` was called; a second call returns 100037.
    [AscendCl AclRt] fn aclFinalize() -> aclError;
    /// Undoes one `aclInit` and tells how many are left.
    [AclRt] fn aclFinalizeReference(ref_count: *mut u64) -> aclError;
    /// The version of ACL's interface, not of CANN. Deprecated in CANN 9.1.
    [AscendCl AclRt] fn aclrtGetVersion(
        major_version: *mut i32, minor_version: *mut i32, patch_version: *mut i32,
    ) -> aclError;
    [AscendCl AclRt] fn aclsysGetCANNVersion(
        name: aclCANNPackageName, version: *mut aclCANNPackageVersion,
    ) -> aclError;
    [AclRt] fn aclsysGetVersionStr(pkg_name: *mut c_char, version_str: *mut c_char) -> aclError;
    /// Major * 10^7 + minor * 10^5 + patch * 10^3.
    [AclRt] fn aclsysGetVersionNum(pkg_name: *mut c_char, version_num: *mut i32) -> aclError;
    /// Takes the calling thread's messages, newest first, and clears them; null if there are none. The text
    /// lives until the next call.
    [AscendCl AclRt] fn aclGetRecentErrMsg() -> *const c_char;
    /// Such as `Ascend910B3`; null on failure.
    [AscendCl AclRt] fn aclrtGetSocName() -> *const c_char;
    /// The calling thread's last error.
    [AscendCl AclRt] fn aclrtPeekAtLastError(level: aclrtLastErrLevel) -> aclError;
    /// The same, and forgets it.
    [AscendCl AclRt] fn aclrtGetLastError(level: aclrtLastErrLevel) -> aclError;
    [AscendCl AclRt] fn aclGetCannAttributeList(
        cann_attr_list: *mut *const aclCannAttr, num: *mut usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclGetCannAttribute(cann_attr: aclCannAttr, value: *mut i32) -> aclError;
    [AscendCl AclRt] fn aclGetDeviceCapability(
        device_id: u32, device_info: aclDeviceInfo, value: *mut i64,
    ) -> aclError;

    // Devices.
    /// For the calling thread. Makes a default context and stream that all threads of the device share.
    /// Counted.
    [AscendCl AclRt] fn aclrtSetDevice(device_id: i32) -> aclError;
    /// Undoes one `aclrtSetDevice`; the last one frees what the device holds.
    [AscendCl AclRt] fn aclrtResetDevice(device_id: i32) -> aclError;
    /// Frees what the device holds, whatever the count.
    [AscendCl AclRt] fn aclrtResetDeviceForce(device_id: i32) -> aclError;
    [AscendCl AclRt] fn aclrtGetDevice(device_id: *mut i32) -> aclError;
    [AscendCl AclRt] fn aclrtGetDeviceCount(count: *mut u32) -> aclError;
    [AscendCl AclRt] fn aclrtGetRunMode(run_mode: *mut aclrtRunMode) -> aclError;
    [AscendCl AclRt] fn aclrtSynchronizeDevice() -> aclError;
    /// `timeout` in milliseconds, -1 without end.
    [AscendCl AclRt] fn aclrtSynchronizeDeviceWithTimeout(timeout: i32) -> aclError;
    [AscendCl AclRt] fn aclrtQueryDeviceStatus(
        device_id: i32, device_status: *mut aclrtDeviceStatus,
    ) -> aclError;
    [AclRt] fn aclrtGetDeviceInfo(device_id: u32, attr: aclrtDevAttr, value: *mut i64) -> aclError;
    [AscendCl AclRt] fn aclrtGetDeviceUtilizationRate(
        device_id: i32, utilization_info: *mut aclrtUtilizationInfo,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtDeviceCanAccessPeer(
        can_access_peer: *mut i32, device_id: i32, peer_device_id: i32,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtDeviceEnablePeerAccess(peer_device_id: i32, flags: u32) -> aclError;
    [AscendCl AclRt] fn aclrtDeviceDisablePeerAccess(peer_device_id: i32) -> aclError;
    /// Of streams that are created afterwards.
    [AscendCl AclRt] fn aclrtSetDeviceSatMode(mode: aclrtFloatOverflowMode) -> aclError;
    [AscendCl AclRt] fn aclrtGetDeviceSatMode(mode: *mut aclrtFloatOverflowMode) -> aclError;
    /// Asynchronous; `output_addr` is device memory of 64 bytes.
    [AscendCl AclRt] fn aclrtGetOverflowStatus(
        output_addr: *mut c_void, output_size: usize, stream: aclrtStream,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtResetOverflowStatus(stream: aclrtStream) -> aclError;
    /// For the process.
    [AscendCl AclRt] fn aclrtSetSysParamOpt(opt: aclSysParamOpt, value: i64) -> aclError;
    [AscendCl AclRt] fn aclrtGetSysParamOpt(opt: aclSysParamOpt, value: *mut i64) -> aclError;
    /// For the current context.
    [AscendCl AclRt] fn aclrtCtxSetSysParamOpt(opt: aclSysParamOpt, value: i64) -> aclError;
    [AscendCl AclRt] fn aclrtCtxGetSysParamOpt(opt: aclSysParamOpt, value: *mut i64) -> aclError;

    // Contexts.
    /// Makes it current on the calling thread, too.
    [AscendCl AclRt] fn aclrtCreateContext(context: *mut aclrtContext, device_id: i32) -> aclError;
    [AscendCl AclRt] fn aclrtDestroyContext(context: aclrtContext) -> aclError;
    [AscendCl AclRt] fn aclrtSetCurrentContext(context: aclrtContext) -> aclError;
    [AscendCl AclRt] fn aclrtGetCurrentContext(context: *mut aclrtContext) -> aclError;

    // Streams.
    /// In the current context.
    [AscendCl AclRt] fn aclrtCreateStream(stream: *mut aclrtStream) -> aclError;
    /// `flag`: [`stream_flag`](crate::stream_flag); `priority` is reserved.
    [AscendCl AclRt] fn aclrtCreateStreamWithConfig(
        stream: *mut aclrtStream, priority: u32, flag: u32,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtCreateStreamV2(
        stream: *mut aclrtStream, handle: *const aclrtStreamConfigHandle,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtCreateStreamConfigHandle() -> *mut aclrtStreamConfigHandle;
    [AscendCl AclRt] fn aclrtSetStreamConfigOpt(
        handle: *mut aclrtStreamConfigHandle, attr: aclrtStreamConfigAttr, attr_value: *const c_void,
        value_size: usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtDestroyStreamConfigHandle(handle: *mut aclrtStreamConfigHandle) -> aclError;
    /// Waits for its tasks. Another context than the current one: 107003.
    [AscendCl AclRt] fn aclrtDestroyStream(stream: aclrtStream) -> aclError;
    [AscendCl AclRt] fn aclrtDestroyStreamForce(stream: aclrtStream) -> aclError;
    /// What failed on the device is told here.
    [AscendCl AclRt] fn aclrtSynchronizeStream(stream: aclrtStream) -> aclError;
    /// `timeout` in milliseconds, -1 without end; past it 507046.
    [AscendCl AclRt] fn aclrtSynchronizeStreamWithTimeout(stream: aclrtStream, timeout: i32) -> aclError;
    [AscendCl AclRt] fn aclrtStreamQuery(stream: aclrtStream, status: *mut aclrtStreamStatus) -> aclError;
    [AscendCl AclRt] fn aclrtStreamWaitEvent(stream: aclrtStream, event: aclrtEvent) -> aclError;
    /// `mode`: [`failure_mode`](crate::failure_mode). Once per stream, and for its whole context.
    [AscendCl AclRt] fn aclrtSetStreamFailureMode(stream: aclrtStream, mode: u64) -> aclError;
    [AscendCl AclRt] fn aclrtSetStreamOverflowSwitch(stream: aclrtStream, flag: u32) -> aclError;
    [AscendCl AclRt] fn aclrtGetStreamOverflowSwitch(stream: aclrtStream, flag: *mut u32) -> aclError;
    [AscendCl AclRt] fn aclrtStreamGetId(stream: aclrtStream, stream_id: *mut i32) -> aclError;
    [AscendCl AclRt] fn aclrtStreamAbort(stream: aclrtStream) -> aclError;
    [AscendCl AclRt] fn aclrtSetOpExecuteTimeOut(timeout: u32) -> aclError;
    [AscendCl AclRt] fn aclrtSetOpWaitTimeout(timeout: u32) -> aclError;
    [AscendCl AclRt] fn aclrtLaunchCallback(
        function: aclrtCallback, user_data: *mut c_void, block_type: aclrtCallbackBlockType,
        stream: aclrtStream,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtSubscribeReport(thread_id: u64, stream: aclrtStream) -> aclError;
    [AscendCl AclRt] fn aclrtProcessReport(timeout: i32) -> aclError;
    [AscendCl AclRt] fn aclrtUnSubscribeReport(thread_id: u64, stream: aclrtStream) -> aclError;

    // Events.
    /// Keeps time. The hardware gives an event when it is recorded, not here.
    [AscendCl AclRt] fn aclrtCreateEvent(event: *mut aclrtEvent) -> aclError;
    /// `flag`: [`event_flag`](crate::event_flag).
    [AscendCl AclRt] fn aclrtCreateEventWithFlag(event: *mut aclrtEvent, flag: u32) -> aclError;
    [AscendCl AclRt] fn aclrtCreateEventExWithFlag(event: *mut aclrtEvent, flag: u32) -> aclError;
    [AscendCl AclRt] fn aclrtDestroyEvent(event: aclrtEvent) -> aclError;
    [AscendCl AclRt] fn aclrtRecordEvent(event: aclrtEvent, stream: aclrtStream) -> aclError;
    [AscendCl AclRt] fn aclrtResetEvent(event: aclrtEvent, stream: aclrtStream) -> aclError;
    /// Deprecated: `aclrtQueryEventStatus`.
    [AscendCl AclRt] fn aclrtQueryEvent(event: aclrtEvent, status: *mut aclrtEventStatus) -> aclError;
    [AscendCl AclRt] fn aclrtQueryEventStatus(
        event: aclrtEvent, status: *mut aclrtEventRecordedStatus,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtQueryEventWaitStatus(
        event: aclrtEvent, status: *mut aclrtEventWaitStatus,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtSynchronizeEvent(event: aclrtEvent) -> aclError;
    /// `timeout` in milliseconds, -1 without end; past it 507047.
    [AscendCl AclRt] fn aclrtSynchronizeEventWithTimeout(event: aclrtEvent, timeout: i32) -> aclError;
    /// `ms` in milliseconds; both events recorded in one stream and waited for.
    [AscendCl AclRt] fn aclrtEventElapsedTime(
        ms: *mut f32, start_event: aclrtEvent, end_event: aclrtEvent,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtEventGetTimestamp(event: aclrtEvent, timestamp: *mut u64) -> aclError;

    // Memory.
    /// Base aligned to 64 bytes; 32 bytes more than `size`, rounded up to 32, on Atlas A2. `size` is not 0.
    /// Not zeroed.
    [AscendCl AclRt] fn aclrtMalloc(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy,
    ) -> aclError;
    /// The same without the 32 bytes more.
    [AscendCl AclRt] fn aclrtMallocAlign32(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMallocCached(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMallocWithCfg(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy, cfg: *mut aclrtMallocConfig,
    ) -> aclError;
    /// At once, without waiting for streams that still use it.
    [AscendCl AclRt] fn aclrtFree(dev_ptr: *mut c_void) -> aclError;
    /// Waits for the device first.
    [AclRt] fn aclrtFreeWithDevSync(dev_ptr: *mut c_void) -> aclError;
    /// Pinned, aligned to 64 bytes; `size` is not 0.
    [AscendCl AclRt] fn aclrtMallocHost(host_ptr: *mut *mut c_void, size: usize) -> aclError;
    [AscendCl AclRt] fn aclrtMallocHostWithCfg(
        ptr: *mut *mut c_void, size: u64, cfg: *mut aclrtMallocConfig,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtFreeHost(host_ptr: *mut c_void) -> aclError;
    [AscendCl AclRt] fn aclrtHostRegister(
        ptr: *mut c_void, size: u64, kind: aclrtHostRegisterType, dev_ptr: *mut *mut c_void,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtHostUnregister(ptr: *mut c_void) -> aclError;
    /// `count` bytes; the direction follows from the pointers.
    [AscendCl AclRt] fn aclrtMemcpy(
        dst: *mut c_void, dest_max: usize, src: *const c_void, count: usize, kind: aclrtMemcpyKind,
    ) -> aclError;
    /// Asynchronous only if the host memory is pinned. Host to host: 207000.
    [AscendCl AclRt] fn aclrtMemcpyAsync(
        dst: *mut c_void, dest_max: usize, src: *const c_void, count: usize, kind: aclrtMemcpyKind,
        stream: aclrtStream,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMemcpy2d(
        dst: *mut c_void, dpitch: usize, src: *const c_void, spitch: usize, width: usize, height: usize,
        kind: aclrtMemcpyKind,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMemcpy2dAsync(
        dst: *mut c_void, dpitch: usize, src: *const c_void, spitch: usize, width: usize, height: usize,
        kind: aclrtMemcpyKind, stream: aclrtStream,
    ) -> aclError;
    /// Each byte to the low one of `value`; host memory only if ACL gave it.
    [AscendCl AclRt] fn aclrtMemset(
        dev_ptr: *mut c_void, max_count: usize, value: i32, count: usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMemsetAsync(
        dev_ptr: *mut c_void, max_count: usize, value: i32, count: usize, stream: aclrtStream,
    ) -> aclError;
    [AclRt] fn aclrtMemsetD32(ptr: *mut c_void, mem_size: usize, value: u32, n: usize) -> aclError;
    /// Free and total bytes on the current device; zeroes if it has no memory of the kind that `attr` names.
    [AscendCl AclRt] fn aclrtGetMemInfo(attr: aclrtMemAttr, free: *mut usize, total: *mut usize) -> aclError;
    [AscendCl AclRt] fn aclrtPointerGetAttributes(
        ptr: *const c_void, attributes: *mut aclrtPtrAttributes,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMemFlush(dev_ptr: *mut c_void, size: usize) -> aclError;
    [AscendCl AclRt] fn aclrtMemInvalidate(dev_ptr: *mut c_void, size: usize) -> aclError;

    // Faults and time limits.
    [AscendCl AclRt] fn aclrtSetExceptionInfoCallback(callback: aclrtExceptionInfoCallback) -> aclError;
    [AscendCl AclRt] fn aclrtGetTaskIdFromExceptionInfo(info: *const aclrtExceptionInfo) -> u32;
    [AscendCl AclRt] fn aclrtGetStreamIdFromExceptionInfo(info: *const aclrtExceptionInfo) -> u32;
    [AscendCl AclRt] fn aclrtGetThreadIdFromExceptionInfo(info: *const aclrtExceptionInfo) -> u32;
    [AscendCl AclRt] fn aclrtGetDeviceIdFromExceptionInfo(info: *const aclrtExceptionInfo) -> u32;
    [AscendCl AclRt] fn aclrtGetErrorCodeFromExceptionInfo(info: *const aclrtExceptionInfo) -> u32;
    [AscendCl AclRt] fn aclrtSetOpExecuteTimeOutWithMs(timeout: u32) -> aclError;
    [AscendCl AclRt] fn aclrtGetMemUceInfo(
        device_id: i32, mem_uce_info_array: *mut aclrtMemUceInfo, array_size: usize, ret_size: *mut usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtMemUceRepair(
        device_id: i32, mem_uce_info_array: *mut aclrtMemUceInfo, array_size: usize,
    ) -> aclError;
    [AscendCl AclRt] fn aclrtDeviceTaskAbort(device_id: i32, timeout: u32) -> aclError;
}
