// Attention over sequences, in f32 without tensor cores, for heads too long for `attention_f32.cu` and `attention_mma.cu`. A warp per
// query and head.
//
// Lanes share the keys for the scores, 32 at a time, and the columns for the values. The largest score is known before any
// weight is taken, so that sums run over the kept keys alone, in the order of `spec.md`: masked keys leave no trace, and the
// bits are the CPU's. The price is that scores are computed twice.

#include "math.cuh"
#include "sequences.cuh"
#include "warp.cuh"

#define QUERIES 4
// Columns of a head that a lane carries: heads of up to 256.
#define COLUMNS 8
#define KEYS_OF_A_SUM 16
#define KEYS_OF_A_BLOCK 256

template <class T> struct Rows {
    const T* first;
    i64 stride;
};

// The dot product of a query, scaled and in shared memory, with a key.
template <class T> __device__ __forceinline__ float score(const float* query, const T* key, u32 head_size) {
    float sum = 0.0f;
    for (u32 column = 0; column < head_size; ++column) sum = fmaf(query[column], load(key[column]), sum);
    return sum;
}

template <class T>
__device__ __forceinline__ void attend(const float* query, Rows<T> keys, Rows<T> values, const u8* mask, i64 count,
                                       u32 head_size, T* out) {
    u32 lane = threadIdx.x % WARP;
    float largest = -infinity();
    for (i64 at = lane; at < count; at += WARP) {
        if (!mask || mask[at]) largest = larger(largest, score(query, keys.first + at * keys.stride, head_size));
    }
    largest = warp_max(largest);

    float total[COLUMNS] = {}, block[COLUMNS] = {}, sum = 0.0f, part = 0.0f;
    u32 kept = 0;
    for (i64 start = 0; start < count; start += WARP) {
        i64 mine = start + lane;
        bool counts = mine < count && (!mask || mask[mine]);
        // Where every score is -inf, so is the largest, and the row is zeros.
        float weight = 0.0f;
        if (counts && largest != -infinity()) {
            weight = exp_of(score(query, keys.first + mine * keys.stride, head_size) - largest);
        }
        for (u32 from = 0; from < WARP && start + from < count; ++from) {
            bool taken = __shfl_sync(ALL_LANES, u32(counts), from);
            float shared = __shfl_sync(ALL_LANES, weight, from);
            if (!taken) continue;
            part = part + shared;
            const T* value = values.first + (start + from) * values.stride;
            for (u32 i = 0; i < COLUMNS && i * WARP + lane < head_size; ++i) {
                block[i] = fmaf(shared, load(value[i * WARP + lane]), block[i]);
            }
            ++kept;
            if (kept % KEYS_OF_A_SUM == 0) {
                sum = sum + part;
                part = 0.0f;
            }
            if (kept % KEYS_OF_A_BLOCK == 0) {
                for (u32 i = 0; i < COLUMNS; ++i) {
                    total[i] = total[i] + block[i];
                    block[i] = 0.0f;
                }
            }
        }
    }
    sum = sum + part;
    float factor = kept == 0 || largest == -infinity() ? 0.0f : 1.0f / sum;
    for (u32 i = 0; i < COLUMNS && i * WARP + lane < head_size; ++i) {
        float value = (total[i] + block[i]) * factor;
        out[i * WARP + lane] = store<T>(kept == 0 ? 0.0f : value);
    }
}

// Blocks along x are groups of queries, counted through all sequences, along y heads. Packed where `ends` is given: then a
// group is of one sequence, `batch` and `tokens` bound the groups, and what is beyond the last has nothing to do.
#define ATTENTION_KERNEL(suffix, T)                                                                                  \
    KERNEL(WARP * QUERIES)                                                                                           \
    attention_##suffix(const T* q, const T* k, const T* v, i64 q_stride, i64 k_stride, i64 v_stride,                 \
                       const i64* ends, const u8* mask, T* out, i64 batch, i64 query_len, i64 key_len, i64 tokens,   \
                       u32 head_size, float scale) {                                                                 \
        SHARED_MEMORY(float, queries);                                                                               \
        u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, head = blockIdx.y;                                 \
        Group group = group_of<QUERIES>(blockIdx.x, ends, batch, query_len, key_len, tokens);                        \
        if (warp >= group.queries) return;                                                                           \
        i64 query = group.query + warp, column = i64(head) * head_size;                                              \
        float* scaled = queries + warp * head_size;                                                                  \
        for (u32 at = lane; at < head_size; at += WARP) {                                                            \
            scaled[at] = load(q[query * q_stride + column + at]) * scale;                                            \
        }                                                                                                            \
        __syncwarp();                                                                                                \
        attend<T>(scaled, Rows<T>{k + group.key * k_stride + column, k_stride},                                      \
                  Rows<T>{v + group.key * v_stride + column, v_stride}, mask ? mask + group.key : nullptr,           \
                  group.keys, head_size, out + (query * gridDim.y + head) * head_size);                              \
    }                                                                                                                \
    EMULATED(attention_##suffix)

ATTENTION_KERNEL(f32, float)
ATTENTION_KERNEL(f16, f16)
ATTENTION_KERNEL(bf16, bf16)
