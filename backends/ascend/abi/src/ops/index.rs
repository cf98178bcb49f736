//! Gather, scatter, index.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclScalar, aclTensor, aclTensorList, operators};

operators! {
    /// The operators that take indices.
    Index;

    /// `weight`: `[V, D]`; `indices`: i32 or i64.
    [OpApi OpApiNn] fn aclnnEmbeddingGetWorkspaceSize(
        weight: *const aclTensor, indices: *const aclTensor, out: *const aclTensor,
    ) then aclnnEmbedding;
    [OpApi OpApiNn] fn aclnnIndexSelectGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnIndexSelect;
    [OpApi OpApiNn] fn aclnnGatherGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGather;
    [OpApi OpApiNn] fn aclnnGatherV2GetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGatherV2;
    [OpApiNn] fn aclnnGatherV3GetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, batch_dims: i64, mode: i64,
        out: *mut aclTensor,
    ) then aclnnGatherV3;
    [OpApi OpApiNn] fn aclnnGatherNdGetWorkspaceSize(
        self_: *const aclTensor, indices: *const aclTensor, negative_index_support: bool, out: *mut aclTensor,
    ) then aclnnGatherNd;
    /// `out` may be the same tensor as `self_`. Not deterministic unless that is asked for.
    [OpApi OpApiNn] fn aclnnIndexAddGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, source: *const aclTensor,
        alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnIndexAdd;
    /// `mode` 0: high performance, which ignores `alpha` when not deterministic.
    [OpApiNn] fn aclnnIndexAddV2GetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, source: *const aclTensor,
        alpha: *const aclScalar, mode: i64, out: *mut aclTensor,
    ) then aclnnIndexAddV2;
    [OpApi OpApiNn] fn aclnnIndexCopyGetWorkspaceSize(
        self_ref: *mut aclTensor, dim: i64, index: *const aclTensor, source: *const aclTensor,
        out_ref: *mut aclTensor,
    ) then aclnnIndexCopy;
    [OpApi OpApiNn] fn aclnnInplaceIndexCopyGetWorkspaceSize(
        self_ref: *mut aclTensor, dim: i64, index: *const aclTensor, source: *const aclTensor,
    ) then aclnnInplaceIndexCopy;
    [OpApi OpApiNn] fn aclnnIndexPutImplGetWorkspaceSize(
        self_ref: *mut aclTensor, indices: *const aclTensorList, values: *const aclTensor, accumulate: bool,
        is_unsafe: bool,
    ) then aclnnIndexPutImpl;
    [OpApi OpApiNn] fn aclnnIndexGetWorkspaceSize(
        self_: *const aclTensor, indices: *const aclTensorList, out: *mut aclTensor,
    ) then aclnnIndex;
    [OpApi OpApiNn] fn aclnnScatterGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, src: *const aclTensor, reduce: i64,
        out: *mut aclTensor,
    ) then aclnnScatter;
    [OpApi OpApiNn] fn aclnnInplaceScatterGetWorkspaceSize(
        self_ref: *mut aclTensor, dim: i64, index: *const aclTensor, src: *const aclTensor, reduce: i64,
    ) then aclnnInplaceScatter;
    /// An index per element, as in PyTorch, not per row.
    [OpApi OpApiNn] fn aclnnScatterAddGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, src: *const aclTensor,
        out: *mut aclTensor,
    ) then aclnnScatterAdd;
    [OpApi OpApiNn] fn aclnnScatterNdGetWorkspaceSize(
        data: *const aclTensor, indices: *const aclTensor, updates: *const aclTensor, out: *mut aclTensor,
    ) then aclnnScatterNd;
    [OpApi OpApiNn] fn aclnnScatterNdUpdateGetWorkspaceSize(
        var_ref: *mut aclTensor, indices: *const aclTensor, updates: *const aclTensor,
    ) then aclnnScatterNdUpdate;
    [OpApi OpApiNn] fn aclnnInplaceScatterUpdateGetWorkspaceSize(
        data: *mut aclTensor, indices: *const aclTensor, updates: *const aclTensor, axis: i64,
    ) then aclnnInplaceScatterUpdate;
}
