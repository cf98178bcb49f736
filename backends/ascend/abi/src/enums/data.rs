//! What elements are and how they lie in memory.

use super::enumeration;

enumeration! {
    /// Element types.
    aclDataType;
    UNDEFINED = -1, "ACL_DT_UNDEFINED";
    FLOAT = 0, "ACL_FLOAT";
    FLOAT16 = 1, "ACL_FLOAT16";
    INT8 = 2, "ACL_INT8";
    INT32 = 3, "ACL_INT32";
    UINT8 = 4, "ACL_UINT8";
    INT16 = 6, "ACL_INT16";
    UINT16 = 7, "ACL_UINT16";
    UINT32 = 8, "ACL_UINT32";
    INT64 = 9, "ACL_INT64";
    UINT64 = 10, "ACL_UINT64";
    DOUBLE = 11, "ACL_DOUBLE";
    BOOL = 12, "ACL_BOOL";
    STRING = 13, "ACL_STRING";
    COMPLEX64 = 16, "ACL_COMPLEX64";
    COMPLEX128 = 17, "ACL_COMPLEX128";
    BF16 = 27, "ACL_BF16";
    INT4 = 29, "ACL_INT4";
    UINT1 = 30, "ACL_UINT1";
    COMPLEX32 = 33, "ACL_COMPLEX32";
    /// CANN 9.x.
    HIFLOAT8 = 34, "ACL_HIFLOAT8";
    /// CANN 9.x.
    FLOAT8_E5M2 = 35, "ACL_FLOAT8_E5M2";
    /// CANN 9.x.
    FLOAT8_E4M3FN = 36, "ACL_FLOAT8_E4M3FN";
    /// CANN 9.x.
    FLOAT8_E8M0 = 37, "ACL_FLOAT8_E8M0";
    /// CANN 9.x.
    FLOAT6_E3M2 = 38, "ACL_FLOAT6_E3M2";
    /// CANN 9.x.
    FLOAT6_E2M3 = 39, "ACL_FLOAT6_E2M3";
    /// CANN 9.x.
    FLOAT4_E2M1 = 40, "ACL_FLOAT4_E2M1";
    /// CANN 9.x.
    FLOAT4_E1M2 = 41, "ACL_FLOAT4_E1M2";
}

enumeration! {
    /// How axes lie in memory.
    aclFormat;
    UNDEFINED = -1, "ACL_FORMAT_UNDEFINED";
    NCHW = 0, "ACL_FORMAT_NCHW";
    NHWC = 1, "ACL_FORMAT_NHWC";
    /// Any number of axes, in order.
    ND = 2, "ACL_FORMAT_ND";
    NC1HWC0 = 3, "ACL_FORMAT_NC1HWC0";
    FRACTAL_Z = 4, "ACL_FORMAT_FRACTAL_Z";
    NC1HWC0_C04 = 12, "ACL_FORMAT_NC1HWC0_C04";
    HWCN = 16, "ACL_FORMAT_HWCN";
    NDHWC = 27, "ACL_FORMAT_NDHWC";
    /// Tiles of 16 x 16, as the matrix units read them.
    FRACTAL_NZ = 29, "ACL_FORMAT_FRACTAL_NZ";
    NCDHW = 30, "ACL_FORMAT_NCDHW";
    NDC1HWC0 = 32, "ACL_FORMAT_NDC1HWC0";
    FRACTAL_Z_3D = 33, "ACL_FRACTAL_Z_3D";
    NC = 35, "ACL_FORMAT_NC";
    NCL = 47, "ACL_FORMAT_NCL";
    /// CANN 9.x.
    FRACTAL_NZ_C0_16 = 50, "ACL_FORMAT_FRACTAL_NZ_C0_16";
    /// CANN 9.x.
    FRACTAL_NZ_C0_32 = 51, "ACL_FORMAT_FRACTAL_NZ_C0_32";
    /// CANN 9.x.
    FRACTAL_NZ_C0_2 = 52, "ACL_FORMAT_FRACTAL_NZ_C0_2";
    /// CANN 9.x.
    FRACTAL_NZ_C0_4 = 53, "ACL_FORMAT_FRACTAL_NZ_C0_4";
    /// CANN 9.x.
    FRACTAL_NZ_C0_8 = 54, "ACL_FORMAT_FRACTAL_NZ_C0_8";
}
