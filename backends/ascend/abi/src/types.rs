//! Handles and callbacks. What C keeps opaque behind a struct is a type of its own here, so that a scalar
//! cannot be passed for a tensor; what C itself calls `void*` stays an alias.

#![allow(non_camel_case_types)]

use core::ffi::c_void;
use core::marker::{PhantomData, PhantomPinned};

/// What ACL's functions return: 0 is success, the rest is in [`errors`](crate::errors).
pub type aclError = i32;
/// What aclnn's functions return: 0 is success; the codes share one space with [`aclError`].
pub type aclnnStatus = i32;
/// The bits of an IEEE binary16.
pub type aclFloat16 = u16;

/// A queue of work on a device; null is the current context's default stream.
pub type aclrtStream = *mut c_void;
/// A mark in a stream.
pub type aclrtEvent = *mut c_void;
/// What owns streams and events; one is current per thread.
pub type aclrtContext = *mut c_void;
/// A captured graph.
pub type aclmdlRI = *mut c_void;
/// A group of tasks inside a captured graph, whose parameters may be updated.
pub type aclrtTaskGrp = *mut c_void;
/// Physical device memory that is not mapped yet.
pub type aclrtDrvMemHandle = *mut c_void;

/// Runs on a host thread when a stream reaches it.
pub type aclrtCallback = Option<unsafe extern "C" fn(user_data: *mut c_void)>;
/// Runs when a kernel has failed.
pub type aclrtExceptionInfoCallback = Option<unsafe extern "C" fn(info: *mut aclrtExceptionInfo)>;

/// Structs that C only ever handles by pointer. They cannot be made, moved or sent to another thread from
/// here.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            opaque: [u8; 0],
            not_send: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

opaque! {
    /// A view of device memory: dims, strides, offset, dtype, format.
    aclTensor;
    /// One value on the host, with its dtype.
    aclScalar;
    /// An array of `int64_t`.
    aclIntArray;
    /// An array of `float`.
    aclFloatArray;
    /// An array of `bool`.
    aclBoolArray;
    /// Tensors, which the list owns.
    aclTensorList;
    /// Scalars, which the list owns.
    aclScalarList;
    /// What phase 1 of an operator prepares and phase 2 consumes.
    aclOpExecutor;
    /// Inputs and outputs of a loaded model.
    aclmdlDesc;
    /// The buffers of one execution of a model.
    aclmdlDataset;
    /// Options for loading a model.
    aclmdlConfigHandle;
    /// Options for executing a model.
    aclmdlExecConfigHandle;
    /// An address and a size; it does not own the memory.
    aclDataBuffer;
    /// Dtype, format and dims of a model's tensor.
    aclTensorDesc;
    /// Options for creating a stream. CANN 8.1 shows its fields; use the functions.
    aclrtStreamConfigHandle;
    /// What a kernel's failure left behind.
    aclrtExceptionInfo;
    /// The vendor's extension of [`aclrtUtilizationInfo`](crate::aclrtUtilizationInfo), which nothing here
    /// reads.
    aclrtUtilizationExtendInfo;
}
