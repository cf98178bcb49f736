//! Limits, flags and names.

use core::ffi::CStr;

/// Dims of an [`aclmdlIODims`](crate::aclmdlIODims).
pub const ACL_MAX_DIM_CNT: usize = 128;
/// Bytes of a name in an [`aclmdlIODims`](crate::aclmdlIODims).
pub const ACL_MAX_TENSOR_NAME_LEN: usize = 128;
/// Sizes in an [`aclmdlBatch`](crate::aclmdlBatch).
pub const ACL_MAX_BATCH_NUM: usize = 128;
/// Sizes in an [`aclmdlHW`](crate::aclmdlHW).
pub const ACL_MAX_HW_NUM: usize = 128;
/// The number of dims where even the rank is unknown.
pub const ACL_UNKNOWN_RANK: u64 = 0xFFFF_FFFF_FFFF_FFFE;

/// The input by which a model with several batch sizes or dims is told which one applies.
pub const ACL_DYNAMIC_TENSOR_NAME: &CStr = c"ascend_mbatch_shape_data";
/// The input of a model's image preprocessing.
pub const ACL_DYNAMIC_AIPP_NAME: &CStr = c"ascend_dynamic_aipp_data";

/// Bytes of device memory that `aclrtGetOverflowStatus` writes.
pub const OVERFLOW_STATUS_BYTES: usize = 64;

/// Flags of `aclrtCreateEventWithFlag` and `aclrtCreateEventExWithFlag`.
pub mod event_flag {
    /// For streams to wait on.
    pub const ACL_EVENT_SYNC: u32 = 0x1;
    /// For asking how far a stream is.
    pub const ACL_EVENT_CAPTURE_STREAM_PROGRESS: u32 = 0x2;
    /// Keeps time, which `aclrtEventElapsedTime` needs.
    pub const ACL_EVENT_TIME_LINE: u32 = 0x8;
    /// The host never waits on it. CANN 9.x.
    pub const ACL_EVENT_DEVICE_USE_ONLY: u32 = 0x10;
    /// For waits across captured graphs.
    pub const ACL_EVENT_EXTERNAL: u32 = 0x20;
    /// For another process; of `aclrtCreateEventExWithFlag` alone. CANN 9.x.
    pub const ACL_EVENT_IPC: u32 = 0x40;
}

/// Flags of `aclrtCreateStreamWithConfig`.
pub mod stream_flag {
    /// Spends memory ahead for faster launches.
    pub const ACL_STREAM_FAST_LAUNCH: u32 = 0x1;
    /// The host waits by polling.
    pub const ACL_STREAM_FAST_SYNC: u32 = 0x2;
    /// Its tasks stay after they ran.
    pub const ACL_STREAM_PERSISTENT: u32 = 0x4;
    /// Holds more tasks.
    pub const ACL_STREAM_HUGE: u32 = 0x8;
    /// Scheduled by the device's CPUs.
    pub const ACL_STREAM_CPU_SCHEDULE: u32 = 0x10;
    /// Used by the device alone.
    pub const ACL_STREAM_DEVICE_USE_ONLY: u32 = 0x20;
}

/// Modes of `aclrtSetStreamFailureMode`.
pub mod failure_mode {
    /// Tasks after a failed one still run; what a stream does unless told.
    pub const ACL_CONTINUE_ON_FAILURE: u64 = 0;
    /// Tasks after a failed one do not run, in all streams of the context.
    pub const ACL_STOP_ON_FAILURE: u64 = 1;
}

/// Values of `aclmdlConfigAttr::LOAD_TYPE_SIZET`: where a model comes from, and who brings memory and queues.
pub mod load_type {
    /// A file.
    pub const ACL_MDL_LOAD_FROM_FILE: usize = 1;
    /// A file, into the caller's memory.
    pub const ACL_MDL_LOAD_FROM_FILE_WITH_MEM: usize = 2;
    /// Bytes.
    pub const ACL_MDL_LOAD_FROM_MEM: usize = 3;
    /// Bytes, into the caller's memory.
    pub const ACL_MDL_LOAD_FROM_MEM_WITH_MEM: usize = 4;
    /// A file, fed by queues.
    pub const ACL_MDL_LOAD_FROM_FILE_WITH_Q: usize = 5;
    /// Bytes, fed by queues.
    pub const ACL_MDL_LOAD_FROM_MEM_WITH_Q: usize = 6;
}

/// Values of the operators' `cube_math_type`: what the matrix units may do to f32.
pub mod cube_math_type {
    /// Computes in the inputs' dtype.
    pub const KEEP_DTYPE: i8 = 0;
    /// f32 may be lowered, to HF32 on Atlas A2.
    pub const ALLOW_FP32_DOWN_PRECISION: i8 = 1;
    /// f32 is lowered to f16.
    pub const USE_FP16: i8 = 2;
    /// f32 is lowered to HF32.
    pub const USE_HF32: i8 = 3;
    /// f32, long sums in groups. CANN 9.x.
    pub const USE_FP32_ADD: i8 = 4;
}
