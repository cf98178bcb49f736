//! Captured graphs: what a stream is given between begin and end is recorded, and runs later as a whole.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{
    aclError, aclmdlRI, aclmdlRICaptureMode, aclmdlRICaptureStatus, aclrtStream, aclrtTaskGrp, functions,
};
use core::ffi::c_char;

functions! {
    /// The functions of capture and replay.
    Capture;

    /// Not on the default stream (107031). Nothing runs until the end, and nothing may be waited for.
    [AscendCl AclRt] fn aclmdlRICaptureBegin(stream: aclrtStream, mode: aclmdlRICaptureMode) -> aclError;
    [AscendCl AclRt] fn aclmdlRICaptureGetInfo(
        stream: aclrtStream, status: *mut aclmdlRICaptureStatus, model_ri: *mut aclmdlRI,
    ) -> aclError;
    /// Gives the graph. Buffers that it uses must live until it is destroyed.
    [AscendCl AclRt] fn aclmdlRICaptureEnd(stream: aclrtStream, model_ri: *mut aclmdlRI) -> aclError;
    /// Swaps the calling thread's mode with `mode`.
    [AscendCl AclRt] fn aclmdlRICaptureThreadExchangeMode(mode: *mut aclmdlRICaptureMode) -> aclError;
    [AscendCl AclRt] fn aclmdlRIExecuteAsync(model_ri: aclmdlRI, stream: aclrtStream) -> aclError;
    [AclRt] fn aclmdlRIExecute(model_ri: aclmdlRI, timeout: i32) -> aclError;
    [AscendCl AclRt] fn aclmdlRIDestroy(model_ri: aclmdlRI) -> aclError;
    /// Deprecated in CANN 9.x.
    [AscendCl AclRt] fn aclmdlRIDebugPrint(model_ri: aclmdlRI) -> aclError;
    [AclRt] fn aclmdlRIDebugJsonPrint(model_ri: aclmdlRI, path: *const c_char, flags: u32) -> aclError;
    [AscendCl AclRt] fn aclmdlRICaptureTaskGrpBegin(stream: aclrtStream) -> aclError;
    [AscendCl AclRt] fn aclmdlRICaptureTaskGrpEnd(stream: aclrtStream, handle: *mut aclrtTaskGrp) -> aclError;
    [AscendCl AclRt] fn aclmdlRICaptureTaskUpdateBegin(stream: aclrtStream, handle: aclrtTaskGrp) -> aclError;
    [AscendCl AclRt] fn aclmdlRICaptureTaskUpdateEnd(stream: aclrtStream) -> aclError;
}
