//! Arithmetic element by element, and casts.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclDataType, aclScalar, aclTensor, operators};
use core::ffi::c_int;

operators! {
    /// The elementwise operators.
    Elementwise;

    /// `out = self_ + alpha * other`.
    [OpApi OpApiMath] fn aclnnAddGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnAdd;
    [OpApi OpApiMath] fn aclnnAddsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnAdds;
    [OpApi OpApiMath] fn aclnnInplaceAddGetWorkspaceSize(
        self_ref: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar,
    ) then aclnnInplaceAdd;
    [OpApi OpApiMath] fn aclnnInplaceAddsGetWorkspaceSize(
        self_ref: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar,
    ) then aclnnInplaceAdds;
    [OpApi OpApiMath] fn aclnnSubGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnSub;
    [OpApi OpApiMath] fn aclnnSubsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnSubs;
    [OpApi OpApiMath] fn aclnnMulGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMul;
    [OpApi OpApiMath] fn aclnnMulsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnMuls;
    [OpApi OpApiMath] fn aclnnInplaceMulGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclTensor,
    ) then aclnnInplaceMul;
    [OpApi OpApiMath] fn aclnnInplaceMulsGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclScalar,
    ) then aclnnInplaceMuls;
    [OpApi OpApiMath] fn aclnnDivGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnDiv;
    [OpApi OpApiMath] fn aclnnDivsGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnDivs;
    [OpApi OpApiMath] fn aclnnInplaceDivsGetWorkspaceSize(
        self_ref: *mut aclTensor, other: *const aclScalar,
    ) then aclnnInplaceDivs;
    /// `mode`: 0 true division; 1 and 2 round, and which of them truncates is not known.
    [OpApi OpApiMath] fn aclnnDivModGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, mode: c_int, out: *mut aclTensor,
    ) then aclnnDivMod;
    [OpApi OpApiMath] fn aclnnPowTensorScalarGetWorkspaceSize(
        self_: *const aclTensor, exponent: *const aclScalar, out: *const aclTensor,
    ) then aclnnPowTensorScalar;
    [OpApi OpApiMath] fn aclnnExpGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnExp;
    [OpApi OpApiMath] fn aclnnSqrtGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnSqrt;
    [OpApi OpApiMath] fn aclnnRsqrtGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnRsqrt;
    /// `out = self_ ^ exponent`.
    [OpApi OpApiMath] fn aclnnPowTensorTensorGetWorkspaceSize(
        self_: *const aclTensor, exponent: *const aclTensor, out: *mut aclTensor,
    ) then aclnnPowTensorTensor;
    /// The natural logarithm.
    [OpApi OpApiMath] fn aclnnLogGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLog;
    /// `-self_`.
    [OpApi OpApiMath] fn aclnnNegGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnNeg;
    /// `|self_|`.
    [OpApi OpApiMath] fn aclnnAbsGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnAbs;
    /// `1 / self_`.
    [OpApi OpApiMath] fn aclnnReciprocalGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnReciprocal;
    /// The larger of two.
    [OpApi OpApiMath] fn aclnnMaximumGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMaximum;
    /// The smaller of two.
    [OpApi OpApiMath] fn aclnnMinimumGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnMinimum;
    /// Truth values; any dtype is taken, not 0 being true.
    [OpApi OpApiMath] fn aclnnLogicalNotGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalNot;
    /// As `aclnnLogicalNot`.
    [OpApi OpApiMath] fn aclnnLogicalAndGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalAnd;
    /// As `aclnnLogicalNot`.
    [OpApi OpApiMath] fn aclnnLogicalOrGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLogicalOr;
    /// `self_ == other`, truth values.
    [OpApi OpApiMath] fn aclnnEqTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnEqTensor;
    /// `self_ != other`, truth values.
    [OpApi OpApiMath] fn aclnnNeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnNeTensor;
    /// `self_ < other`, truth values.
    [OpApi OpApiMath] fn aclnnLtTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLtTensor;
    /// `self_ <= other`, truth values.
    [OpApi OpApiMath] fn aclnnLeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnLeTensor;
    /// `self_ > other`, truth values.
    [OpApi OpApiMath] fn aclnnGtTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGtTensor;
    /// `self_ >= other`, truth values.
    [OpApi OpApiMath] fn aclnnGeTensorGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGeTensor;
    [OpApi OpApiMath] fn aclnnSWhereGetWorkspaceSize(
        condition: *const aclTensor, self_: *const aclTensor, other: *const aclTensor, out: *mut aclTensor,
    ) then aclnnSWhere;
    [OpApi OpApiMath] fn aclnnInplaceMaskedFillScalarGetWorkspaceSize(
        self_ref: *mut aclTensor, mask: *const aclTensor, value: *const aclScalar,
    ) then aclnnInplaceMaskedFillScalar;
    [OpApi OpApiMath] fn aclnnEqScalarGetWorkspaceSize(
        self_: *const aclTensor, other: *const aclScalar, out: *mut aclTensor,
    ) then aclnnEqScalar;
    [OpApi OpApiMath] fn aclnnCastGetWorkspaceSize(
        self_: *const aclTensor, dtype: aclDataType, out: *mut aclTensor,
    ) then aclnnCast;
}
