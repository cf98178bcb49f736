//! Streams, events, capture.

use super::enumeration;

enumeration! {
    /// Whether a stream is done.
    aclrtStreamStatus;
    COMPLETE = 0, "ACL_STREAM_STATUS_COMPLETE";
    NOT_READY = 1, "ACL_STREAM_STATUS_NOT_READY";
    RESERVED = 65535, "ACL_STREAM_STATUS_RESERVED";
}

enumeration! {
    /// Options of a new stream.
    aclrtStreamConfigAttr;
    STREAM_WORK_ADDR_PTR = 0, "ACL_RT_STREAM_WORK_ADDR_PTR";
    STREAM_WORK_SIZE = 1, "ACL_RT_STREAM_WORK_SIZE";
    STREAM_FLAG = 2, "ACL_RT_STREAM_FLAG";
    STREAM_PRIORITY = 3, "ACL_RT_STREAM_PRIORITY";
}

enumeration! {
    /// Whether an event has happened, of `aclrtQueryEvent`.
    aclrtEventStatus;
    COMPLETE = 0, "ACL_EVENT_STATUS_COMPLETE";
    NOT_READY = 1, "ACL_EVENT_STATUS_NOT_READY";
    RESERVED = 2, "ACL_EVENT_STATUS_RESERVED";
}

enumeration! {
    /// Whether an event's record has run. Its values are the other way round than `aclrtEventStatus`'s.
    aclrtEventRecordedStatus;
    NOT_READY = 0, "ACL_EVENT_RECORDED_STATUS_NOT_READY";
    COMPLETE = 1, "ACL_EVENT_RECORDED_STATUS_COMPLETE";
}

enumeration! {
    /// Whether waits for an event are over.
    aclrtEventWaitStatus;
    COMPLETE = 0, "ACL_EVENT_WAIT_STATUS_COMPLETE";
    NOT_READY = 1, "ACL_EVENT_WAIT_STATUS_NOT_READY";
    RESERVED = 65535, "ACL_EVENT_WAIT_STATUS_RESERVED";
}

enumeration! {
    /// Whether a stream waits for its callback.
    aclrtCallbackBlockType;
    CALLBACK_NO_BLOCK = 0, "ACL_CALLBACK_NO_BLOCK";
    CALLBACK_BLOCK = 1, "ACL_CALLBACK_BLOCK";
}

enumeration! {
    /// Which calls of other streams and threads a capture forbids.
    aclmdlRICaptureMode;
    GLOBAL = 0, "ACL_MODEL_RI_CAPTURE_MODE_GLOBAL";
    THREAD_LOCAL = 1, "ACL_MODEL_RI_CAPTURE_MODE_THREAD_LOCAL";
    RELAXED = 2, "ACL_MODEL_RI_CAPTURE_MODE_RELAXED";
}

enumeration! {
    /// Whether a stream is being captured.
    aclmdlRICaptureStatus;
    NONE = 0, "ACL_MODEL_RI_CAPTURE_STATUS_NONE";
    ACTIVE = 1, "ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE";
    INVALIDATED = 2, "ACL_MODEL_RI_CAPTURE_STATUS_INVALIDATED";
}
