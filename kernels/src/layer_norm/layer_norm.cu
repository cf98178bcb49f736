// LayerNorm, with a residual or without, a warp per row and several rows per block, in two passes.
//
// A row of up to PIECES * 32 vectors stays in registers, so that the second pass costs no memory: `layer_norm_row`. Wider or
// odd rows are read again: `layer_norm_any`. Which one runs depends on the width alone.

#include "warp.cuh"

#define ROWS 4

// Sixteen bytes, the widest load there is.
template <class T> struct __align__(16) Vector {
    T values[16 / sizeof(T)];
};

struct Moments {
    float mean, rest, scale;
};

// From the sums of the deviations from the rounded mean, and of their squares: so the mean's rounding cancels.
__device__ __forceinline__ Moments moments(float mean, float deviations, float squares, float n, float epsilon) {
    float rest = deviations / n;
    float variance = (squares - deviations * rest) / n;
    // Not a maximum, which would turn NaN into 0.
    variance = variance < 0.0f ? 0.0f : variance;
    return Moments{mean, rest, 1.0f / sqrtf(variance + epsilon)};
}

__device__ __forceinline__ float normalized(float x, const Moments& row, float gamma, float beta) {
    return fmaf(((x - row.mean) - row.rest) * row.scale, gamma, beta);
}

template <class T, int PIECES>
__device__ __forceinline__ void
layer_norm_row(const T* x, const T* residual, const float* gamma, const float* beta, T* out, float epsilon) {
    constexpr int WIDTH = 16 / sizeof(T);
    constexpr float N = float(PIECES * WARP * WIDTH);
    u32 lane = threadIdx.x % WARP;
    float values[PIECES][WIDTH];
    float sum = 0.0f;
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
        u32 at = piece * WARP + lane;
        Vector<T> loaded = reinterpret_cast<const Vector<T>*>(x)[at];
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) values[piece][i] = load(loaded.values[i]);
        if (residual) {
            loaded = reinterpret_cast<const Vector<T>*>(residual)[at];
#pragma unroll
            for (int i = 0; i < WIDTH; ++i) values[piece][i] = values[piece][i] + load(loaded.values[i]);
        }
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) sum = sum + values[piece][i];
    }
    float mean = warp_sum(sum) / N, deviations = 0.0f, squares = 0.0f;
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) {
            float deviation = values[piece][i] - mean;
            deviations = deviations + deviation;
            squares = fmaf(deviation, deviation, squares);
        }
    }
    Moments row = moments(mean, warp_sum(deviations), warp_sum(squares), N, epsilon);
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
        u32 at = piece * WARP + lane;
        Vector<T> stored;
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) {
            u32 column = at * WIDTH + i;
            stored.values[i] = store<T>(normalized(values[piece][i], row, gamma[column], beta[column]));
        }
        reinterpret_cast<Vector<T>*>(out)[at] = stored;
    }
}

template <class T>
__device__ __forceinline__ void layer_norm_any(
    const T* x, const T* residual, const float* gamma, const float* beta, T* out, i64 width, float epsilon) {
    u32 lane = threadIdx.x % WARP;
    auto value = [&](i64 at) { return residual ? load(x[at]) + load(residual[at]) : load(x[at]); };
    float sum = 0.0f;
    for (i64 at = lane; at < width; at += WARP) sum = sum + value(at);
    float mean = warp_sum(sum) / float(width), deviations = 0.0f, squares = 0.0f;
    for (i64 at = lane; at < width; at += WARP) {
        float deviation = value(at) - mean;
        deviations = deviations + deviation;
        squares = fmaf(deviation, deviation, squares);
    }
    Moments row = moments(mean, warp_sum(deviations), warp_sum(squares), float(width), epsilon);
    for (i64 at = lane; at < width; at += WARP) {
        out[at] = store<T>(normalized(value(at), row, gamma[at], beta[at]));
    }
}

// `pieces` is the row's width in vectors of 16 bytes over 32, or 0 where it is no whole number up to 4.
#define LAYER_NORM_KERNEL(suffix, T)                                                                                 \
    KERNEL(WARP * ROWS)                                                                                              \
    layer_norm_##suffix(const T* x, const T* residual, const float* gamma, const float* beta, T* out, i64 rows,      \
                        i64 width, u32 pieces, float epsilon) {                                                      \
        i64 row = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;                                                       \
        if (row >= rows) return;                                                                                     \
        x += row * width;                                                                                            \
        out += row * width;                                                                                          \
        if (residual) residual += row * width;                                                                       \
        switch (pieces) {                                                                                            \
            case 1: layer_norm_row<T, 1>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 2: layer_norm_row<T, 2>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 3: layer_norm_row<T, 3>(x, residual, gamma, beta, out, epsilon); break;                             \
            case 4: layer_norm_row<T, 4>(x, residual, gamma, beta, out, epsilon); break;                             \
            default: layer_norm_any<T>(x, residual, gamma, beta, out, width, epsilon);                               \
        }                                                                                                            \
    }                                                                                                                \
    EMULATED(layer_norm_##suffix)

LAYER_NORM_KERNEL(f32, float)
LAYER_NORM_KERNEL(f16, f16)
LAYER_NORM_KERNEL(bf16, bf16)
