//! For the codes that users meet: where they usually come from and what to try. Sorted, as a test holds.

pub(super) const HINTS: &[(i32, &str)] = &[
    (100_000, "an argument is null or a size is 0; the message names it"),
    (100_001, "aclInit was not called in this process, or aclFinalize already was"),
    (100_002, "aclInit was called before, perhaps by another library in this process; this may be ignored"),
    (100_037, "aclFinalize was called twice, perhaps by another library in this process"),
    (107_000, "an argument has a value that the runtime does not take; the message names it"),
    (
        107_001,
        "there is no device of this number; ASCEND_RT_VISIBLE_DEVICES numbers the devices it lists from 0 \
         (see npu-smi info)",
    ),
    (
        107_002,
        "no device is set on this thread; each thread must call aclrtSetDevice or aclrtSetCurrentContext",
    ),
    (107_003, "the stream belongs to another context than the one that is current on this thread"),
    (107_004, "the model was loaded in another context than the one that is current on this thread"),
    (107_030, "a synchronous copy or fill is not allowed while a stream is being captured"),
    (107_031, "the default stream cannot be captured; use a stream of your own"),
    (
        148_049,
        "ASCEND_OPP_PATH is unset or does not hold the operator package; source CANN's set_env.sh, and \
         install the ops package",
    ),
    (161_001, "a required tensor, scalar or list of the operator is null; the message names it"),
    (
        161_002,
        "the operator does not take these dtypes, shapes, formats or attributes; the message names the \
         argument and what is allowed",
    ),
    (
        207_000,
        "this device or CANN release does not support the call; an asynchronous copy from host to host \
         answers this, too",
    ),
    (207_001, "device memory is used up: see npu-smi info for who holds it, or take smaller batches"),
    (207_018, "the device ran out of memory: see npu-smi info for who holds it, or take smaller batches"),
    (361_001, "a runtime call inside the operator failed; the message holds the runtime's own code"),
    (
        507_014,
        "a kernel ran too long and was stopped; it was submitted earlier than the call that tells so (wait \
         after each operator to find it)",
    ),
    (
        507_015,
        "a kernel failed on a matrix core, often by an address out of range; it was submitted earlier than \
         the call that tells so (wait after each operator to find it)",
    ),
    (
        507_018,
        "an operator failed on the device's own CPUs; it was submitted earlier than the call that tells so",
    ),
    (
        507_033,
        "the device could not be opened: another process may hold it, or the driver does not answer (see \
         npu-smi info)",
    ),
    (
        507_034,
        "a vector kernel ran too long and was stopped; it was submitted earlier than the call that tells so \
         (wait after each operator to find it)",
    ),
    (
        507_035,
        "a kernel failed on a vector core, often by an address out of range or not aligned to 32 bytes; it \
         was submitted earlier than the call that tells so (wait after each operator to find it)",
    ),
    (507_046, "the stream was not done within the time given"),
    (507_047, "the event did not happen within the time given"),
    (507_053, "device memory has an error that could not be corrected; reset the device (see npu-smi info)"),
    (
        561_002,
        "the vendor's library could not plan the operator for these shapes on this device; check shapes, \
         and that CANN is of this device",
    ),
    (
        561_003,
        "no kernel for this operator, dtype and device is installed; install the ops package (opp_kernel) \
         of this CANN release and device",
    ),
    (561_107, "ASCEND_OPP_PATH is unset; source CANN's set_env.sh before starting"),
    (
        561_112,
        "the package with the operators' kernels was not found; install the ops package (opp_kernel) of \
         this CANN release and device",
    ),
];
