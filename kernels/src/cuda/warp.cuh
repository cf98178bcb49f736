// Sums and extremes over the lanes of a warp, by exchange between lanes 16, 8, 4, 2 and 1 apart: a fixed tree, and every
// lane ends with the same bits, since addition commutes.
#pragma once

#include "types.cuh"

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int apart = WARP / 2; apart > 0; apart /= 2) x = x + __shfl_xor_sync(ALL_LANES, x, apart);
    return x;
}

// NaN where either is.
__device__ __forceinline__ float larger(float a, float b) { return (a > b) | (a != a) ? a : b; }
__device__ __forceinline__ float smaller(float a, float b) { return (a < b) | (a != a) ? a : b; }

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int apart = WARP / 2; apart > 0; apart /= 2) x = larger(x, __shfl_xor_sync(ALL_LANES, x, apart));
    return x;
}

__device__ __forceinline__ float warp_min(float x) {
#pragma unroll
    for (int apart = WARP / 2; apart > 0; apart /= 2) x = smaller(x, __shfl_xor_sync(ALL_LANES, x, apart));
    return x;
}
