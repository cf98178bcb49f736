//! Devices, versions, options of the process.

use super::enumeration;

enumeration! {
    /// Whether this process runs on a host or on the device's own CPUs.
    aclrtRunMode;
    DEVICE = 0, "ACL_DEVICE";
    HOST = 1, "ACL_HOST";
}

enumeration! {
    /// Options of a process or context, by `aclrtSetSysParamOpt` and `aclrtCtxSetSysParamOpt`.
    aclSysParamOpt;
    /// 0 off, 1 on; CANN 9.x also 2 strong consistency and 3 batch consistency.
    DETERMINISTIC = 0, "ACL_OPT_DETERMINISTIC";
    ENABLE_DEBUG_KERNEL = 1, "ACL_OPT_ENABLE_DEBUG_KERNEL";
    /// CANN 9.x.
    STRONG_CONSISTENCY = 2, "ACL_OPT_STRONG_CONSISTENCY";
}

enumeration! {
    /// What becomes of half-precision results that are too large.
    aclrtFloatOverflowMode;
    /// Infinity becomes the largest finite value, NaN becomes 0.
    SATURATION = 0, "ACL_RT_OVERFLOW_MODE_SATURATION";
    /// IEEE's; the default on Atlas A2.
    INFNAN = 1, "ACL_RT_OVERFLOW_MODE_INFNAN";
    UNDEF = 2, "ACL_RT_OVERFLOW_MODE_UNDEF";
}

enumeration! {
    /// Whether a device is well.
    aclrtDeviceStatus;
    NORMAL = 0, "ACL_RT_DEVICE_STATUS_NORMAL";
    ABNORMAL = 1, "ACL_RT_DEVICE_STATUS_ABNORMAL";
    END = 65535, "ACL_RT_DEVICE_STATUS_END";
}

enumeration! {
    /// Whose last error is meant.
    aclrtLastErrLevel;
    THREAD_LEVEL = 0, "ACL_RT_THREAD_LEVEL";
}

enumeration! {
    /// Features of the installed CANN.
    aclCannAttr;
    UNDEFINED = -1, "ACL_CANN_ATTR_UNDEFINED";
    INF_NAN = 0, "ACL_CANN_ATTR_INF_NAN";
    BF16 = 1, "ACL_CANN_ATTR_BF16";
    JIT_COMPILE = 2, "ACL_CANN_ATTR_JIT_COMPILE";
}

enumeration! {
    /// What `aclGetDeviceCapability` knows.
    aclDeviceInfo;
    UNDEFINED = -1, "ACL_DEVICE_INFO_UNDEFINED";
    AI_CORE_NUM = 0, "ACL_DEVICE_INFO_AI_CORE_NUM";
    VECTOR_CORE_NUM = 1, "ACL_DEVICE_INFO_VECTOR_CORE_NUM";
    L2_SIZE = 2, "ACL_DEVICE_INFO_L2_SIZE";
}

enumeration! {
    /// What `aclrtGetDeviceInfo` knows.
    aclrtDevAttr;
    AICPU_CORE_NUM = 1, "ACL_DEV_ATTR_AICPU_CORE_NUM";
    AICORE_CORE_NUM = 101, "ACL_DEV_ATTR_AICORE_CORE_NUM";
    CUBE_CORE_NUM = 102, "ACL_DEV_ATTR_CUBE_CORE_NUM";
    VECTOR_CORE_NUM = 201, "ACL_DEV_ATTR_VECTOR_CORE_NUM";
    WARP_SIZE = 202, "ACL_DEV_ATTR_WARP_SIZE";
    MAX_THREAD_PER_VECTOR_CORE = 203, "ACL_DEV_ATTR_MAX_THREAD_PER_VECTOR_CORE";
    LOCAL_MEM_PER_VECTOR_CORE = 204, "ACL_DEV_ATTR_LOCAL_MEM_PER_VECTOR_CORE";
    UBUF_PER_VECTOR_CORE = 204, "ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE";
    MAX_GRID_DIM_X = 205, "ACL_DEV_ATTR_MAX_GRID_DIM_X";
    MAX_GRID_DIM_Y = 206, "ACL_DEV_ATTR_MAX_GRID_DIM_Y";
    MAX_GRID_DIM_Z = 207, "ACL_DEV_ATTR_MAX_GRID_DIM_Z";
    MAX_BLOCK_PER_GRID = 208, "ACL_DEV_ATTR_MAX_BLOCK_PER_GRID";
    MAX_THREADS_PER_BLOCK = 209, "ACL_DEV_ATTR_MAX_THREADS_PER_BLOCK";
    MAX_BLOCK_DIM_X = 210, "ACL_DEV_ATTR_MAX_BLOCK_DIM_X";
    MAX_BLOCK_DIM_Y = 211, "ACL_DEV_ATTR_MAX_BLOCK_DIM_Y";
    MAX_BLOCK_DIM_Z = 212, "ACL_DEV_ATTR_MAX_BLOCK_DIM_Z";
    TOTAL_GLOBAL_MEM_SIZE = 301, "ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE";
    L2_CACHE_SIZE = 302, "ACL_DEV_ATTR_L2_CACHE_SIZE";
    SMP_ID = 401, "ACL_DEV_ATTR_SMP_ID";
    PHY_CHIP_ID = 402, "ACL_DEV_ATTR_PHY_CHIP_ID";
    SUPER_POD_DEVIDE_ID = 403, "ACL_DEV_ATTR_SUPER_POD_DEVIDE_ID";
    SUPER_POD_DEVICE_ID = 403, "ACL_DEV_ATTR_SUPER_POD_DEVICE_ID";
    SUPER_POD_SERVER_ID = 404, "ACL_DEV_ATTR_SUPER_POD_SERVER_ID";
    SUPER_POD_ID = 405, "ACL_DEV_ATTR_SUPER_POD_ID";
    CUST_OP_PRIVILEGE = 406, "ACL_DEV_ATTR_CUST_OP_PRIVILEGE";
    MAINBOARD_ID = 407, "ACL_DEV_ATTR_MAINBOARD_ID";
    HD_CONNECT_TYPE = 408, "ACL_DEV_ATTR_HD_CONNECT_TYPE";
    IS_VIRTUAL = 501, "ACL_DEV_ATTR_IS_VIRTUAL";
    NPU_ARCH = 601, "ACL_DEV_ATTR_NPU_ARCH";
}

enumeration! {
    /// Packages of CANN.
    aclCANNPackageName;
    CANN = 0, "ACL_PKG_NAME_CANN";
    RUNTIME = 1, "ACL_PKG_NAME_RUNTIME";
    COMPILER = 2, "ACL_PKG_NAME_COMPILER";
    HCCL = 3, "ACL_PKG_NAME_HCCL";
    TOOLKIT = 4, "ACL_PKG_NAME_TOOLKIT";
    OPP = 5, "ACL_PKG_NAME_OPP";
    OPP_KERNEL = 6, "ACL_PKG_NAME_OPP_KERNEL";
    DRIVER = 7, "ACL_PKG_NAME_DRIVER";
}
