//! Descriptions of tensors, sizes of types, half precision.

use crate::harness::{acl, contract};
use lockstep_ascend_abi::{aclDataType, aclFormat};
use std::ffi::CStr;
use std::ptr::{null, null_mut};

contract! {
    fn a_description_tells_what_it_was_told() {
        let dims = [2, 3, 4];
        let desc = acl!(model.aclCreateTensorDesc(aclDataType::FLOAT16, 3, dims.as_ptr(), aclFormat::ND));
        assert_eq!(acl!(model.aclGetTensorDescType(desc)), aclDataType::FLOAT16);
        assert_eq!(acl!(model.aclGetTensorDescFormat(desc)), aclFormat::ND);
        assert_eq!(acl!(model.aclGetTensorDescNumDims(desc)), 3);
        assert_eq!(acl!(model.aclGetTensorDescElementCount(desc)), 24);
        assert_eq!(acl!(model.aclGetTensorDescSize(desc)), 48);
        let mut dim = 0;
        assert_eq!(acl!(model.aclGetTensorDescDimV2(desc, 2, &mut dim)), 0);
        assert_eq!(dim, 4);
        assert_eq!(acl!(model.aclGetTensorDescDimV2(desc, 3, &mut dim)), 100_000);
        acl!(model.aclSetTensorDescName(desc, c"hidden".as_ptr()));
        let name = acl!(model.aclGetTensorDescName(desc));
        // SAFETY: a text that ends in NUL, as long as the description lives.
        assert_eq!(unsafe { CStr::from_ptr(name) }, c"hidden");
        acl!(model.aclDestroyTensorDesc(desc));
        assert_eq!(acl!(model.aclGetTensorDescSize(desc)), 0);
        assert!(acl!(model.aclGetTensorDescName(desc)).is_null());
    }
}

contract! {
    fn what_cannot_be_described_is_refused() {
        let dtype = aclDataType::FLOAT;
        assert!(acl!(model.aclCreateTensorDesc(dtype, -1, null(), aclFormat::ND)).is_null());
        assert!(acl!(model.aclCreateTensorDesc(dtype, 2, null(), aclFormat::ND)).is_null());
        let scalar = acl!(model.aclCreateTensorDesc(dtype, 0, null(), aclFormat::ND));
        assert_eq!(acl!(model.aclGetTensorDescSize(scalar)), 4);
        acl!(model.aclDestroyTensorDesc(null_mut()));
    }
}

contract! {
    fn types_have_sizes_and_halves_round_to_even() {
        for (dtype, size) in [
            (aclDataType::FLOAT, 4), (aclDataType::FLOAT16, 2), (aclDataType::BF16, 2), (aclDataType::BOOL, 1),
            (aclDataType::INT64, 8), (aclDataType::COMPLEX128, 16), (aclDataType::UNDEFINED, 0),
        ] {
            assert_eq!(acl!(model.aclDataTypeSize(dtype)), size, "{dtype:?}");
        }
        for (value, bits) in [(1.0, 0x3c00), (-65_504.0, 0xfbff), (1e9, 0x7c00), (1.0 + 2f32.powi(-11), 0x3c00)] {
            assert_eq!(acl!(model.aclFloatToFloat16(value)), bits, "{value}");
        }
        assert_eq!(acl!(model.aclFloat16ToFloat(0x3c01)), 1.0 + 2f32.powi(-10));
        assert!(acl!(model.aclFloat16ToFloat(0x7e00)).is_nan());
    }
}
