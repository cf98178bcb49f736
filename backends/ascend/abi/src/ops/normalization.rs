//! Normalisation, and the reductions that it is made of.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclDataType, aclIntArray, aclTensor, operators};
use core::ffi::c_char;

operators! {
    /// The normalisations and reductions.
    Normalization;

    /// High precision. `mean_out_optional` and `rstd_out_optional` may be null.
    [OpApi OpApiNn] fn aclnnLayerNormGetWorkspaceSize(
        input: *const aclTensor, normalized_shape: *const aclIntArray, weight_optional: *const aclTensor,
        bias_optional: *const aclTensor, eps: f64, out: *mut aclTensor, mean_out_optional: *mut aclTensor,
        rstd_out_optional: *mut aclTensor,
    ) then aclnnLayerNorm;
    /// `impl_mode`: 0 high precision, 1 high performance, 2 f16 throughout.
    [OpApi OpApiNn] fn aclnnLayerNormWithImplModeGetWorkspaceSize(
        input: *const aclTensor, normalized_shape: *const aclIntArray, weight_optional: *const aclTensor,
        bias_optional: *const aclTensor, eps: f64, out: *mut aclTensor, mean_out_optional: *mut aclTensor,
        rstd_out_optional: *mut aclTensor, impl_mode: i32,
    ) then aclnnLayerNormWithImplMode;
    [OpApiNn] fn aclnnFastLayerNormGetWorkspaceSize(
        input: *const aclTensor, normalized_shape: *const aclIntArray, weight_optional: *const aclTensor,
        bias_optional: *const aclTensor, eps: f64, out: *mut aclTensor, mean_out_optional: *mut aclTensor,
        rstd_out_optional: *mut aclTensor,
    ) then aclnnFastLayerNorm;
    /// `y = LayerNorm(x1 + x2 + bias)`; mean and rstd are f32.
    [OpApi AnyOpApi] fn aclnnAddLayerNormGetWorkspaceSize(
        x1: *const aclTensor, x2: *const aclTensor, gamma: *const aclTensor, beta: *const aclTensor,
        bias_optional: *const aclTensor, epsilon: f64, additional_output: bool, y_out: *const aclTensor,
        mean_out: *const aclTensor, rstd_out: *const aclTensor, x_out: *const aclTensor,
    ) then aclnnAddLayerNorm;
    [OpApiNn] fn aclnnAddLayerNormQuantGetWorkspaceSize(
        x1: *const aclTensor, x2: *const aclTensor, gamma: *const aclTensor, beta: *const aclTensor,
        bias_optional: *const aclTensor, scales1_optional: *const aclTensor,
        scales2_optional: *const aclTensor, zero_points1_optional: *const aclTensor,
        zero_points2_optional: *const aclTensor, quant_mode: *const c_char, epsilon: f64,
        additional_output: bool, div_mode: bool, y1_out: *mut aclTensor, y2_out: *mut aclTensor,
        x_out: *mut aclTensor, out_scales1_out: *mut aclTensor, out_scales2_out: *mut aclTensor,
    ) then aclnnAddLayerNormQuant;
    [OpApi AnyOpApi] fn aclnnDeepNormGetWorkspaceSize(
        x: *const aclTensor, gx: *const aclTensor, beta: *const aclTensor, gamma: *const aclTensor,
        alpha: f64, epsilon: f64, mean_out: *const aclTensor, rstd_out: *const aclTensor,
        y_out: *const aclTensor,
    ) then aclnnDeepNorm;
    [OpApi AnyOpApi] fn aclnnRmsNormGetWorkspaceSize(
        x: *const aclTensor, gamma: *const aclTensor, epsilon: f64, y_out: *const aclTensor,
        rstd_out: *const aclTensor,
    ) then aclnnRmsNorm;
    [OpApi OpApiNn] fn aclnnAddRmsNormGetWorkspaceSize(
        x1: *const aclTensor, x2: *const aclTensor, gamma: *const aclTensor, epsilon: f64,
        y_out: *const aclTensor, rstd_out: *const aclTensor, x_out: *const aclTensor,
    ) then aclnnAddRmsNorm;
    [OpApi OpApiMath] fn aclnnVarGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, unbiased: bool, keepdim: bool, out: *mut aclTensor,
    ) then aclnnVar;
    [OpApi OpApiMath] fn aclnnMeanGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, dtype: aclDataType,
        out: *mut aclTensor,
    ) then aclnnMean;
    [OpApi OpApiMath] fn aclnnReduceSumGetWorkspaceSize(
        self_: *const aclTensor, dims: *const aclIntArray, keep_dims: bool, dtype: aclDataType,
        out: *mut aclTensor,
    ) then aclnnReduceSum;
}
