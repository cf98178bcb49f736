//! Activations and softmax.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclTensor, operators};
use core::ffi::c_char;

operators! {
    /// The activations and softmaxes.
    Activation;

    /// The tanh form.
    [OpApi OpApiNn] fn aclnnGeluGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnGelu;
    /// `approximate`: 0 by erf, 1 by tanh.
    [OpApi OpApiNn] fn aclnnGeluV2GetWorkspaceSize(
        x: *const aclTensor, approximate: i64, y: *mut aclTensor,
    ) then aclnnGeluV2;
    /// `x * sigmoid(1.702 x)`.
    [OpApiNn] fn aclnnFastGeluGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnFastGelu;
    /// Of the experimental part of the vendor's operators.
    [AnyOpApi] fn aclnnFastGeluV2GetWorkspaceSize(
        x: *const aclTensor, out: *const aclTensor,
    ) then aclnnFastGeluV2;
    [OpApiNn] fn aclnnGeluQuantGetWorkspaceSize(
        self_: *const aclTensor, input_scale_optional: *const aclTensor,
        input_offset_optional: *const aclTensor, approximate: *const c_char, quant_mode: *const c_char,
        round_mode: *const c_char, dst_type: i64, y: *const aclTensor, out_scale_optional: *const aclTensor,
    ) then aclnnGeluQuant;
    [OpApi AnyOpApi] fn aclnnGeluMulGetWorkspaceSize(
        input: *const aclTensor, approximate_optional: *mut c_char, out: *const aclTensor,
    ) then aclnnGeluMul;
    [OpApi OpApiMath] fn aclnnTanhGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnTanh;
    [OpApi OpApiMath] fn aclnnInplaceTanhGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceTanh;
    [OpApi OpApiMath] fn aclnnErfGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnErf;
    [OpApi OpApiNn] fn aclnnReluGetWorkspaceSize(
        self_: *const aclTensor, out: *const aclTensor,
    ) then aclnnRelu;
    [OpApi OpApiNn] fn aclnnInplaceReluGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceRelu;
    [OpApi OpApiNn] fn aclnnSigmoidGetWorkspaceSize(
        self_: *const aclTensor, out: *mut aclTensor,
    ) then aclnnSigmoid;
    [OpApi OpApiNn] fn aclnnSiluGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnSilu;
    [OpApi OpApiNn] fn aclnnSoftmaxGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, out: *mut aclTensor,
    ) then aclnnSoftmax;
    [OpApi OpApiNn] fn aclnnLogSoftmaxGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, out: *mut aclTensor,
    ) then aclnnLogSoftmax;
    [OpApi OpApiNn] fn aclnnScaledMaskedSoftmaxGetWorkspaceSize(
        x: *const aclTensor, mask: *const aclTensor, scale: f64, fixed_triu_mask: bool, y: *mut aclTensor,
    ) then aclnnScaledMaskedSoftmax;
    [OpApi AnyOpApi] fn aclnnMaskedSoftmaxWithRelPosBiasGetWorkspaceSize(
        x: *const aclTensor, atten_mask_optional: *const aclTensor, relative_pos_bias: *const aclTensor,
        scale_value: f64, inner_precision_mode: i64, out: *const aclTensor,
    ) then aclnnMaskedSoftmaxWithRelPosBias;
}
