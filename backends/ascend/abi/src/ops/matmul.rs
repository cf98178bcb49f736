//! Matrix products.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclScalar, aclTensor, operators};
use core::ffi::c_char;

operators! {
    /// The matrix products.
    MatMul;

    /// `out = self_ @ mat2`, two axes.
    [OpApi OpApiNn] fn aclnnMmGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnMm;
    /// 1 to 6 axes, with broadcasting; only `mat2` may be FRACTAL_NZ.
    [OpApi OpApiNn] fn aclnnMatmulGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnMatmul;
    /// Three axes.
    [OpApi OpApiNn] fn aclnnBatchMatMulGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnBatchMatMul;
    /// `out = beta * self_ + alpha * (mat1 @ mat2)`.
    [OpApi OpApiNn] fn aclnnAddmmGetWorkspaceSize(
        self_: *const aclTensor, mat1: *const aclTensor, mat2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnAddmm;
    [OpApi OpApiNn] fn aclnnInplaceAddmmGetWorkspaceSize(
        self_ref: *const aclTensor, mat1: *const aclTensor, mat2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, cube_math_type: i8,
    ) then aclnnInplaceAddmm;
    [OpApi OpApiNn] fn aclnnBaddbmmGetWorkspaceSize(
        self_: *const aclTensor, batch1: *const aclTensor, batch2: *const aclTensor, beta: *const aclScalar,
        alpha: *const aclScalar, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnBaddbmm;
    /// `trans_a`, `trans_b`: 0 or 1.
    [OpApi OpApiNn] fn aclnnGemmGetWorkspaceSize(
        a: *const aclTensor, b: *const aclTensor, c: *const aclTensor, alpha: f32, beta: f32, trans_a: i64,
        trans_b: i64, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnGemm;
    [OpApiNn] fn aclnnMatmulWeightNzGetWorkspaceSize(
        self_: *const aclTensor, mat2: *const aclTensor, out: *mut aclTensor, cube_math_type: i8,
    ) then aclnnMatmulWeightNz;
    [OpApiNn] fn aclnnFusedMatmulGetWorkspaceSize(
        x1: *const aclTensor, x2: *const aclTensor, bias: *const aclTensor, x3: *const aclTensor,
        fused_op_type: *const c_char, cube_math_type: i8, y: *const aclTensor,
    ) then aclnnFusedMatmul;
    /// Of the experimental part of the vendor's operators.
    [AnyOpApi] fn aclnnFusedMatmulGeluGetWorkspaceSize(
        x: *const aclTensor, weight: *const aclTensor, bias: *const aclTensor, approximate: i64,
        y: *mut aclTensor,
    ) then aclnnFusedMatmulGelu;
    [OpApi OpApiMath] fn aclnnTransMatmulWeightGetWorkspaceSize(
        mm_weight_ref: *mut aclTensor,
    ) then aclnnTransMatmulWeight;
}
