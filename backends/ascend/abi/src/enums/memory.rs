//! Memory: where, of which kind, copied how.

use super::enumeration;

enumeration! {
    /// From where to where a copy goes.
    aclrtMemcpyKind;
    HOST_TO_HOST = 0, "ACL_MEMCPY_HOST_TO_HOST";
    HOST_TO_DEVICE = 1, "ACL_MEMCPY_HOST_TO_DEVICE";
    DEVICE_TO_HOST = 2, "ACL_MEMCPY_DEVICE_TO_HOST";
    DEVICE_TO_DEVICE = 3, "ACL_MEMCPY_DEVICE_TO_DEVICE";
    DEFAULT = 4, "ACL_MEMCPY_DEFAULT";
    HOST_TO_BUF_TO_DEVICE = 5, "ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE";
    INNER_DEVICE_TO_DEVICE = 6, "ACL_MEMCPY_INNER_DEVICE_TO_DEVICE";
    INTER_DEVICE_TO_DEVICE = 7, "ACL_MEMCPY_INTER_DEVICE_TO_DEVICE";
}

enumeration! {
    /// Page sizes of an allocation; from `TYPE_LOW_BAND_WIDTH` on, bits to add.
    aclrtMemMallocPolicy;
    MALLOC_HUGE_FIRST = 0, "ACL_MEM_MALLOC_HUGE_FIRST";
    MALLOC_HUGE_ONLY = 1, "ACL_MEM_MALLOC_HUGE_ONLY";
    MALLOC_NORMAL_ONLY = 2, "ACL_MEM_MALLOC_NORMAL_ONLY";
    MALLOC_HUGE_FIRST_P2P = 3, "ACL_MEM_MALLOC_HUGE_FIRST_P2P";
    MALLOC_HUGE_ONLY_P2P = 4, "ACL_MEM_MALLOC_HUGE_ONLY_P2P";
    MALLOC_NORMAL_ONLY_P2P = 5, "ACL_MEM_MALLOC_NORMAL_ONLY_P2P";
    MALLOC_HUGE1G_ONLY = 6, "ACL_MEM_MALLOC_HUGE1G_ONLY";
    MALLOC_HUGE1G_ONLY_P2P = 7, "ACL_MEM_MALLOC_HUGE1G_ONLY_P2P";
    TYPE_LOW_BAND_WIDTH = 0x100, "ACL_MEM_TYPE_LOW_BAND_WIDTH";
    TYPE_HIGH_BAND_WIDTH = 0x1000, "ACL_MEM_TYPE_HIGH_BAND_WIDTH";
    ACCESS_USER_SPACE_READONLY = 0x100000, "ACL_MEM_ACCESS_USER_SPACE_READONLY";
}

enumeration! {
    /// Which memory is meant.
    aclrtMemAttr;
    DDR_MEM = 0, "ACL_DDR_MEM";
    /// What the memory of Atlas A2 is asked for by.
    HBM_MEM = 1, "ACL_HBM_MEM";
    DDR_MEM_HUGE = 2, "ACL_DDR_MEM_HUGE";
    DDR_MEM_NORMAL = 3, "ACL_DDR_MEM_NORMAL";
    HBM_MEM_HUGE = 4, "ACL_HBM_MEM_HUGE";
    HBM_MEM_NORMAL = 5, "ACL_HBM_MEM_NORMAL";
    DDR_MEM_P2P_HUGE = 6, "ACL_DDR_MEM_P2P_HUGE";
    DDR_MEM_P2P_NORMAL = 7, "ACL_DDR_MEM_P2P_NORMAL";
    HBM_MEM_P2P_HUGE = 8, "ACL_HBM_MEM_P2P_HUGE";
    HBM_MEM_P2P_NORMAL = 9, "ACL_HBM_MEM_P2P_NORMAL";
    HBM_MEM_HUGE1G = 10, "ACL_HBM_MEM_HUGE1G";
    HBM_MEM_P2P_HUGE1G = 11, "ACL_HBM_MEM_P2P_HUGE1G";
    /// CANN 9.x.
    MEM_NORMAL = 12, "ACL_MEM_NORMAL";
    /// CANN 9.x.
    MEM_HUGE = 13, "ACL_MEM_HUGE";
    /// CANN 9.x.
    MEM_HUGE1G = 14, "ACL_MEM_HUGE1G";
    /// CANN 9.x.
    MEM_P2P_NORMAL = 15, "ACL_MEM_P2P_NORMAL";
    /// CANN 9.x.
    MEM_P2P_HUGE = 16, "ACL_MEM_P2P_HUGE";
    /// CANN 9.x.
    MEM_P2P_HUGE1G = 17, "ACL_MEM_P2P_HUGE1G";
}

enumeration! {
    /// How host memory is registered.
    aclrtHostRegisterType;
    MAPPED = 0, "ACL_HOST_REGISTER_MAPPED";
    /// CANN 9.x.
    IOMEMORY = 4, "ACL_HOST_REGISTER_IOMEMORY";
    /// CANN 9.x.
    READONLY = 8, "ACL_HOST_REGISTER_READONLY";
}

enumeration! {
    /// Host or device.
    aclrtMemLocationType;
    HOST = 0, "ACL_MEM_LOCATION_TYPE_HOST";
    DEVICE = 1, "ACL_MEM_LOCATION_TYPE_DEVICE";
    /// CANN 9.x.
    UNREGISTERED = 2, "ACL_MEM_LOCATION_TYPE_UNREGISTERED";
    /// CANN 9.x.
    HOST_NUMA = 4, "ACL_MEM_LOCATION_TYPE_HOST_NUMA";
}

enumeration! {
    /// How physical memory is shared.
    aclrtMemHandleType;
    NONE = 0, "ACL_MEM_HANDLE_TYPE_NONE";
    /// CANN 9.x.
    POSIX = 2, "ACL_MEM_HANDLE_TYPE_POSIX";
}

enumeration! {
    /// How physical memory is allocated.
    aclrtMemAllocationType;
    PINNED = 0, "ACL_MEM_ALLOCATION_TYPE_PINNED";
}

enumeration! {
    /// Which granularity is asked for.
    aclrtMemGranularityOptions;
    MINIMUM = 0, "ACL_RT_MEM_ALLOC_GRANULARITY_MINIMUM";
    RECOMMENDED = 1, "ACL_RT_MEM_ALLOC_GRANULARITY_RECOMMENDED";
    UNDEF = 65535, "ACL_RT_MEM_ALLOC_GRANULARITY_UNDEF";
}

enumeration! {
    /// Options of `aclrtMallocWithCfg`.
    aclrtMallocAttrType;
    RSV = 0, "ACL_RT_MEM_ATTR_RSV";
    MODULE_ID = 1, "ACL_RT_MEM_ATTR_MODULE_ID";
    DEVICE_ID = 2, "ACL_RT_MEM_ATTR_DEVICE_ID";
    /// CANN 9.x.
    VA_FLAG = 3, "ACL_RT_MEM_ATTR_VA_FLAG";
}
