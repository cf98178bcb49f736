// Sum, Mean, Max and Min over any axes, a warp per element of the result: lanes take every 32nd element in row-major order,
// then the lanes are combined. The order depends on the shape and the axes alone.

#include "walk.cuh"
#include "warp.cuh"

#define ROWS 8

enum Reduction { SUM, MEAN, MAX, MIN };

__device__ __forceinline__ i64 warp_combine(u32 op, i64 x) {
    for (int apart = WARP / 2; apart > 0; apart /= 2) {
        i64 other = __shfl_xor_sync(ALL_LANES, x, apart);
        x = op == SUM ? i64(u64(x) + u64(other)) : (op == MAX) == (x > other) ? x : other;
    }
    return x;
}

// `kept` walks the kept axes, `reduced` the others: strides[0] of each are those of x.
#define REDUCE_KERNEL(suffix, T)                                                                                     \
    KERNEL(WARP * ROWS)                                                                                              \
    reduce_##suffix(u32 op, const T* x, T* out, i64 results, i64 elements, Walk kept, Walk reduced) {                \
        i64 row = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;                                                       \
        if (row >= results) return;                                                                                  \
        const T* first = x + places<1>(kept, row).at[0];                                                             \
        float value = op == MAX ? -from_bits(0x7f800000) : op == MIN ? from_bits(0x7f800000) : 0.0f;                 \
        for (i64 at = threadIdx.x % WARP; at < elements; at += WARP) {                                               \
            float element = load(first[places<1>(reduced, at).at[0]]);                                               \
            value = op == MAX ? larger(value, element) : op == MIN ? smaller(value, element) : value + element;      \
        }                                                                                                            \
        value = op == MAX ? warp_max(value) : op == MIN ? warp_min(value) : warp_sum(value);                         \
        if (op == MEAN) value = value / float(elements);                                                             \
        if (threadIdx.x % WARP == 0) out[row] = store<T>(value);                                                     \
    }                                                                                                                \
    EMULATED(reduce_##suffix)

REDUCE_KERNEL(f32, float)
REDUCE_KERNEL(f16, f16)
REDUCE_KERNEL(bf16, bf16)

KERNEL(WARP * ROWS)
reduce_i64(u32 op, const i64* x, i64* out, i64 results, i64 elements, Walk kept, Walk reduced) {
    i64 row = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;
    if (row >= results) return;
    const i64* first = x + places<1>(kept, row).at[0];
    const i64 largest = 0x7fffffffffffffffll;
    i64 value = op == MAX ? -largest - 1 : op == MIN ? largest : 0;
    for (i64 at = threadIdx.x % WARP; at < elements; at += WARP) {
        i64 element = first[places<1>(reduced, at).at[0]];
        value = op == SUM ? i64(u64(value) + u64(element)) : (op == MAX) == (value > element) ? value : element;
    }
    value = warp_combine(op, value);
    if (threadIdx.x % WARP == 0) out[row] = value;
}
EMULATED(reduce_i64)
