// LayerNorm, with a residual or without, a warp per row and several rows per block.

#include "norm.cuh"

#define ROWS 4

template <class T, int PIECES>
__device__ __forceinline__ void
layer_norm_row(const T* x, const T* residual, const float* gamma, const float* beta, T* out, float epsilon) {
    constexpr int WIDTH = PacketOf<T>::WIDTH;
    typedef typename PacketOf<T>::Type Loaded;
    u32 lane = threadIdx.x % WARP;
    float values[PIECES][WIDTH];
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
        u32 at = piece * WARP + lane;
        Loaded loaded = reinterpret_cast<const Loaded*>(x)[at];
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) values[piece][i] = load(loaded.values[i]);
        if (residual) {
            loaded = reinterpret_cast<const Loaded*>(residual)[at];
#pragma unroll
            for (int i = 0; i < WIDTH; ++i) values[piece][i] = values[piece][i] + load(loaded.values[i]);
        }
    }
    normalize_row(values, gamma, beta, out, epsilon);
}

// `pieces` is the row's width in packets over 32, or 0 where it is no whole number up to 4.
#define LAYER_NORM_KERNEL(suffix, T)                                                                                 \
    KERNEL(WARP * ROWS)                                                                                              \
    layer_norm_##suffix(const T* x, const T* residual, const float* gamma, const float* beta, T* out, i64 rows,      \
                        i64 width, u32 pieces, float epsilon) {                                                      \
        i64 row = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;                                                       \
        if (row >= rows) return;                                                                                     \
        x += row * width;                                                                                            \
        out += row * width;                                                                                          \
        if (residual) residual += row * width;                                                                       \
        auto value = [&](i64 at) { return residual ? load(x[at]) + load(residual[at]) : load(x[at]); };              \
        switch (pieces) {                                                                                            \
            case 1: layer_norm_row<T, 1>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 2: layer_norm_row<T, 2>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 3: layer_norm_row<T, 3>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 4: layer_norm_row<T, 4>(x, residual, gamma, beta, out, epsilon); break;                             \
            default: normalize_any(value, width, gamma, beta, out, epsilon);                                         \
        }                                                                                                            \
    }                                                                                                                \
    EMULATED(layer_norm_##suffix)

LAYER_NORM_KERNEL(f32, float)
LAYER_NORM_KERNEL(f16, f16)
LAYER_NORM_KERNEL(bf16, bf16)
