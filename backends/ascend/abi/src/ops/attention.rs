//! Attention as one operator. `input_layout` names the axes' order, such as `BSH` or `TND`.

#![allow(non_camel_case_types, non_snake_case)]

use crate::{aclIntArray, aclTensor, aclTensorList, operators};
use core::ffi::c_char;

operators! {
    /// The attention operators.
    Attention;

    [OpApi OpApiTransformer] fn aclnnFlashAttentionScoreGetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor,
        real_shift_optional: *const aclTensor, drop_mask_optional: *const aclTensor,
        padding_mask_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        prefix_optional: *const aclIntArray, scale_value: f64, keep_prob: f64, pre_tokens: i64,
        next_tokens: i64, head_num: i64, input_layout: *mut c_char, inner_precise: i64, sparse_mode: i64,
        softmax_max_out: *const aclTensor, softmax_sum_out: *const aclTensor,
        softmax_out_out: *const aclTensor, attention_out_out: *const aclTensor,
    ) then aclnnFlashAttentionScore;
    [OpApi OpApiTransformer] fn aclnnFlashAttentionScoreV2GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor,
        real_shift_optional: *const aclTensor, drop_mask_optional: *const aclTensor,
        padding_mask_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        prefix_optional: *const aclIntArray, q_start_idx_optional: *const aclIntArray,
        kv_start_idx_optional: *const aclIntArray, scale_value: f64, keep_prob: f64, pre_tokens: i64,
        next_tokens: i64, head_num: i64, input_layout: *mut c_char, inner_precise: i64, sparse_mode: i64,
        pse_type: i64, softmax_max_out: *const aclTensor, softmax_sum_out: *const aclTensor,
        softmax_out_out: *const aclTensor, attention_out_out: *const aclTensor,
    ) then aclnnFlashAttentionScoreV2;
    [OpApi OpApiTransformer] fn aclnnFlashAttentionVarLenScoreGetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor,
        real_shift_optional: *const aclTensor, drop_mask_optional: *const aclTensor,
        padding_mask_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        prefix_optional: *const aclIntArray, actual_seq_q_len_optional: *const aclIntArray,
        actual_seq_kv_len_optional: *const aclIntArray, scale_value: f64, keep_prob: f64, pre_tokens: i64,
        next_tokens: i64, head_num: i64, input_layout: *mut c_char, inner_precise: i64, sparse_mode: i64,
        softmax_max_out: *const aclTensor, softmax_sum_out: *const aclTensor,
        softmax_out_out: *const aclTensor, attention_out_out: *const aclTensor,
    ) then aclnnFlashAttentionVarLenScore;
    [OpApi OpApiTransformer] fn aclnnPromptFlashAttentionGetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor, pse_shift: *const aclTensor,
        atten_mask: *const aclTensor, actual_seq_lengths: *const aclIntArray, num_heads: i64,
        scale_value: f64, pre_tokens: i64, next_tokens: i64, input_layout: *mut c_char,
        num_key_value_heads: i64, attention_out: *const aclTensor,
    ) then aclnnPromptFlashAttention;
    [OpApi OpApiTransformer] fn aclnnPromptFlashAttentionV2GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor, pse_shift: *const aclTensor,
        atten_mask: *const aclTensor, actual_seq_lengths: *const aclIntArray,
        actual_seq_lengths_kv: *const aclIntArray, deq_scale1: *const aclTensor,
        quant_scale1: *const aclTensor, deq_scale2: *const aclTensor, quant_scale2: *const aclTensor,
        quant_offset2: *const aclTensor, num_heads: i64, scale_value: f64, pre_tokens: i64, next_tokens: i64,
        input_layout: *mut c_char, num_key_value_heads: i64, sparse_mode: i64,
        attention_out: *const aclTensor,
    ) then aclnnPromptFlashAttentionV2;
    [OpApi OpApiTransformer] fn aclnnPromptFlashAttentionV3GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensor, value: *const aclTensor, pse_shift: *const aclTensor,
        atten_mask: *const aclTensor, actual_seq_lengths: *const aclIntArray,
        actual_seq_lengths_kv: *const aclIntArray, deq_scale1: *const aclTensor,
        quant_scale1: *const aclTensor, deq_scale2: *const aclTensor, quant_scale2: *const aclTensor,
        quant_offset2: *const aclTensor, num_heads: i64, scale_value: f64, pre_tokens: i64, next_tokens: i64,
        input_layout: *mut c_char, num_key_value_heads: i64, sparse_mode: i64, inner_precise: i64,
        attention_out: *const aclTensor,
    ) then aclnnPromptFlashAttentionV3;
    [OpApi OpApiTransformer] fn aclnnIncreFlashAttentionV4GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensorList, value: *const aclTensorList,
        pse_shift: *const aclTensor, atten_mask: *const aclTensor, actual_seq_lengths: *const aclIntArray,
        dequant_scale1: *const aclTensor, quant_scale1: *const aclTensor, dequant_scale2: *const aclTensor,
        quant_scale2: *const aclTensor, quant_offset2: *const aclTensor, antiquant_scale: *const aclTensor,
        antiquant_offset: *const aclTensor, blocktable: *const aclTensor, kv_padding_size: *const aclTensor,
        num_heads: i64, scale_value: f64, input_layout: *mut c_char, num_key_value_heads: i64,
        block_size: i64, inner_precise: i64, attention_out: *const aclTensor,
    ) then aclnnIncreFlashAttentionV4;
    [OpApi OpApiTransformer] fn aclnnFusedInferAttentionScoreGetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensorList, value: *const aclTensorList,
        pse_shift: *const aclTensor, atten_mask: *const aclTensor, actual_seq_lengths: *const aclIntArray,
        actual_seq_lengths_kv: *const aclIntArray, deq_scale1: *const aclTensor,
        quant_scale1: *const aclTensor, deq_scale2: *const aclTensor, quant_scale2: *const aclTensor,
        quant_offset2: *const aclTensor, antiquant_scale: *const aclTensor,
        antiquant_offset: *const aclTensor, block_table: *const aclTensor,
        query_padding_size: *const aclTensor, kv_padding_size: *const aclTensor, num_heads: i64,
        scale_value: f64, pre_tokens: i64, next_tokens: i64, input_layout: *mut c_char,
        num_key_value_heads: i64, sparse_mode: i64, inner_precise: i64, block_size: i64, antiquant_mode: i64,
        softmax_lse_flag: bool, attention_out: *const aclTensor, softmax_lse: *const aclTensor,
    ) then aclnnFusedInferAttentionScore;
    [OpApi OpApiTransformer] fn aclnnFusedInferAttentionScoreV2GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensorList, value: *const aclTensorList,
        pse_shift_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        actual_seq_lengths_optional: *const aclIntArray, actual_seq_lengths_kv_optional: *const aclIntArray,
        deq_scale1_optional: *const aclTensor, quant_scale1_optional: *const aclTensor,
        deq_scale2_optional: *const aclTensor, quant_scale2_optional: *const aclTensor,
        quant_offset2_optional: *const aclTensor, antiquant_scale_optional: *const aclTensor,
        antiquant_offset_optional: *const aclTensor, block_table_optional: *const aclTensor,
        query_padding_size_optional: *const aclTensor, kv_padding_size_optional: *const aclTensor,
        key_antiquant_scale_optional: *const aclTensor, key_antiquant_offset_optional: *const aclTensor,
        value_antiquant_scale_optional: *const aclTensor, value_antiquant_offset_optional: *const aclTensor,
        key_shared_prefix_optional: *const aclTensor, value_shared_prefix_optional: *const aclTensor,
        actual_shared_prefix_len_optional: *const aclIntArray, num_heads: i64, scale_value: f64,
        pre_tokens: i64, next_tokens: i64, input_layout: *mut c_char, num_key_value_heads: i64,
        sparse_mode: i64, inner_precise: i64, block_size: i64, antiquant_mode: i64, softmax_lse_flag: bool,
        key_antiquant_mode: i64, value_antiquant_mode: i64, attention_out: *const aclTensor,
        softmax_lse: *const aclTensor,
    ) then aclnnFusedInferAttentionScoreV2;
    [OpApi OpApiTransformer] fn aclnnFusedInferAttentionScoreV3GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensorList, value: *const aclTensorList,
        pse_shift_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        actual_seq_lengths_optional: *const aclIntArray, actual_seq_lengths_kv_optional: *const aclIntArray,
        deq_scale1_optional: *const aclTensor, quant_scale1_optional: *const aclTensor,
        deq_scale2_optional: *const aclTensor, quant_scale2_optional: *const aclTensor,
        quant_offset2_optional: *const aclTensor, antiquant_scale_optional: *const aclTensor,
        antiquant_offset_optional: *const aclTensor, block_table_optional: *const aclTensor,
        query_padding_size_optional: *const aclTensor, kv_padding_size_optional: *const aclTensor,
        key_antiquant_scale_optional: *const aclTensor, key_antiquant_offset_optional: *const aclTensor,
        value_antiquant_scale_optional: *const aclTensor, value_antiquant_offset_optional: *const aclTensor,
        key_shared_prefix_optional: *const aclTensor, value_shared_prefix_optional: *const aclTensor,
        actual_shared_prefix_len_optional: *const aclIntArray, query_rope_optional: *const aclTensor,
        key_rope_optional: *const aclTensor, key_rope_antiquant_scale_optional: *const aclTensor,
        num_heads: i64, scale_value: f64, pre_tokens: i64, next_tokens: i64, input_layout: *mut c_char,
        num_key_value_heads: i64, sparse_mode: i64, inner_precise: i64, block_size: i64, antiquant_mode: i64,
        softmax_lse_flag: bool, key_antiquant_mode: i64, value_antiquant_mode: i64,
        attention_out: *const aclTensor, softmax_lse: *const aclTensor,
    ) then aclnnFusedInferAttentionScoreV3;
    [OpApiTransformer] fn aclnnFusedInferAttentionScoreV4GetWorkspaceSize(
        query: *const aclTensor, key: *const aclTensorList, value: *const aclTensorList,
        pse_shift_optional: *const aclTensor, atten_mask_optional: *const aclTensor,
        actual_seq_lengths_optional: *const aclIntArray, actual_seq_lengths_kv_optional: *const aclIntArray,
        deq_scale1_optional: *const aclTensor, quant_scale1_optional: *const aclTensor,
        deq_scale2_optional: *const aclTensor, quant_scale2_optional: *const aclTensor,
        quant_offset2_optional: *const aclTensor, antiquant_scale_optional: *const aclTensor,
        antiquant_offset_optional: *const aclTensor, block_table_optional: *const aclTensor,
        query_padding_size_optional: *const aclTensor, kv_padding_size_optional: *const aclTensor,
        key_antiquant_scale_optional: *const aclTensor, key_antiquant_offset_optional: *const aclTensor,
        value_antiquant_scale_optional: *const aclTensor, value_antiquant_offset_optional: *const aclTensor,
        key_shared_prefix_optional: *const aclTensor, value_shared_prefix_optional: *const aclTensor,
        actual_shared_prefix_len_optional: *const aclIntArray, query_rope_optional: *const aclTensor,
        key_rope_optional: *const aclTensor, key_rope_antiquant_scale_optional: *const aclTensor,
        dequant_scale_query_optional: *const aclTensor, learnable_sink_optional: *const aclTensor,
        num_heads: i64, scale_value: f64, pre_tokens: i64, next_tokens: i64, input_layout: *mut c_char,
        num_key_value_heads: i64, sparse_mode: i64, inner_precise: i64, block_size: i64, antiquant_mode: i64,
        softmax_lse_flag: bool, key_antiquant_mode: i64, value_antiquant_mode: i64, query_quant_mode: i64,
        attention_out: *const aclTensor, softmax_lse: *const aclTensor,
    ) then aclnnFusedInferAttentionScoreV4;
    [OpApi OpApiTransformer] fn aclnnApplyRotaryPosEmbGetWorkspaceSize(
        query_ref: *mut aclTensor, key_ref: *mut aclTensor, cos: *const aclTensor, sin: *const aclTensor,
        layout: i64,
    ) then aclnnApplyRotaryPosEmb;
}
