//! Copies, views, fills, and the reductions that select.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclIntArray, aclScalar, aclTensor, aclTensorList, operators};

operators! {
    /// The operators that move, fill or select.
    Layout;

    /// Converts the dtype; either may be strided.
    [OpApi OpApiMath] fn aclnnInplaceCopyGetWorkspaceSize(
        self_ref: *mut aclTensor, src: *const aclTensor,
    ) then aclnnInplaceCopy;
    [OpApi OpApiMath] fn aclnnPermuteGetWorkspaceSize(
        self_: *const aclTensor, dims: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnPermute;
    [OpApi OpApiMath] fn aclnnCatGetWorkspaceSize(
        tensors: *const aclTensorList, dim: i64, out: *mut aclTensor,
    ) then aclnnCat;
    [OpApi OpApiMath] fn aclnnExpandGetWorkspaceSize(
        self_: *const aclTensor, size: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnExpand;
    [OpApi OpApiMath] fn aclnnRepeatGetWorkspaceSize(
        self_: *const aclTensor, repeats: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnRepeat;
    [OpApi OpApiMath] fn aclnnSliceGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, start: i64, end: i64, step: i64, out: *mut aclTensor,
    ) then aclnnSlice;
    [OpApi OpApiMath] fn aclnnSliceV2GetWorkspaceSize(
        self_: *const aclTensor, starts: *const aclIntArray, ends: *const aclIntArray,
        axes: *const aclIntArray, steps: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnSliceV2;
    [OpApi OpApiMath] fn aclnnInplaceZeroGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceZero;
    [OpApi OpApiMath] fn aclnnInplaceOneGetWorkspaceSize(self_ref: *const aclTensor) then aclnnInplaceOne;
    [OpApi OpApiMath] fn aclnnInplaceFillScalarGetWorkspaceSize(
        self_ref: *mut aclTensor, value: *const aclScalar,
    ) then aclnnInplaceFillScalar;
    [OpApi OpApiMath] fn aclnnArangeGetWorkspaceSize(
        start: *const aclScalar, end: *const aclScalar, step: *const aclScalar, out: *mut aclTensor,
    ) then aclnnArange;
    /// `out`: i32 or i64.
    [OpApi OpApiMath] fn aclnnArgMaxGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, keepdim: bool, out: *mut aclTensor,
    ) then aclnnArgMax;
    [OpApi OpApiMath] fn aclnnAmaxGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, out: *mut aclTensor,
    ) then aclnnAmax;
    [OpApi OpApiMath] fn aclnnAminGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, out: *mut aclTensor,
    ) then aclnnAmin;
    [OpApi OpApiMath] fn aclnnMaxGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnMax;
    [OpApi OpApiNn] fn aclnnTopkGetWorkspaceSize(
        self_: *const aclTensor, k: i64, dim: i64, largest: bool, sorted: bool, values_out: *mut aclTensor,
        indices_out: *mut aclTensor,
    ) then aclnnTopk;
    /// Compares on the device.
    [OpApi OpApiMath] fn aclnnPrecisionCompareGetWorkspaceSize(
        golden: *const aclTensor, realdata: *const aclTensor, out: *mut aclTensor,
    ) then aclnnPrecisionCompare;
}
