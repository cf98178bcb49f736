// Softmax over the last axis, a warp per row.

#include "math.cuh"
#include "warp.cuh"

#define ROWS 8

#define SOFTMAX_KERNEL(suffix, T)                                                                                    \
    KERNEL(WARP * ROWS)                                                                                              \
    softmax_##suffix(const T* x, T* out, i64 rows, i64 width) {                                                      \
        i64 row = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;                                                       \
        if (row >= rows) return;                                                                                     \
        u32 lane = threadIdx.x % WARP;                                                                               \
        x += row * width;                                                                                            \
        out += row * width;                                                                                          \
        float largest = -infinity();                                                                                 \
        for (i64 at = lane; at < width; at += WARP) largest = larger(largest, load(x[at]));                          \
        largest = warp_max(largest);                                                                                 \
        /* A row that is masked whole gives zeros. */                                                                \
        bool empty = largest == -infinity();                                                                         \
        float sum = 0.0f;                                                                                            \
        for (i64 at = lane; at < width; at += WARP) sum = sum + exp_of(load(x[at]) - largest);                       \
        float factor = 1.0f / warp_sum(sum);                                                                         \
        for (i64 at = lane; at < width; at += WARP) {                                                                \
            out[at] = store<T>(empty ? 0.0f : exp_of(load(x[at]) - largest) * factor);                               \
        }                                                                                                            \
    }                                                                                                                \
    EMULATED(softmax_##suffix)

SOFTMAX_KERNEL(f32, float)
SOFTMAX_KERNEL(f16, f16)
SOFTMAX_KERNEL(bf16, bf16)
