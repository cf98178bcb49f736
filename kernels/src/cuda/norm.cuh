// A row's LayerNorm by one warp, in two passes, from whatever gives the row's values.
//
// A row of up to 4 * 32 packets stays in registers, so that the second pass costs no memory: `normalize_row`. Wider or odd
// rows are asked for their values again: `normalize_any`. Which one runs depends on the width alone.
#pragma once

#include "warp.cuh"

// Values side by side; of 16 bytes, the widest load there is.
template <class T, int WIDTH> struct __align__(16) Packet {
    T values[WIDTH];
};

template <class T> struct PacketOf {
    static constexpr int WIDTH = 16 / sizeof(T);
    typedef Packet<T, WIDTH> Type;
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

// A lane's part of gamma or beta, which begins at a multiple of 16 bytes.
template <int PIECES, int WIDTH>
__device__ __forceinline__ void load_parameters(float (&to)[PIECES][WIDTH], const float* from) {
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
#pragma unroll
        for (int i = 0; i < WIDTH; i += 4) {
            u32 column = (piece * WARP + threadIdx.x % WARP) * WIDTH + i;
            Packet<float, 4> four = *reinterpret_cast<const Packet<float, 4>*>(from + column);
#pragma unroll
            for (int j = 0; j < 4; ++j) to[piece][i + j] = four.values[j];
        }
    }
}

// Lane l holds the packets l, l + 32, ..
template <class U, int PIECES, int WIDTH>
__device__ __forceinline__ void
normalize_row(const float (&values)[PIECES][WIDTH], const float* gamma, const float* beta, U* out, float epsilon) {
    constexpr float N = float(PIECES * WARP * WIDTH);
    u32 lane = threadIdx.x % WARP;
    // On their way while the sums wait for each other.
    float gammas[PIECES][WIDTH], betas[PIECES][WIDTH];
    load_parameters(gammas, gamma);
    load_parameters(betas, beta);
    float sum = 0.0f;
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
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
        Packet<U, WIDTH> stored;
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) {
            stored.values[i] = store<U>(normalized(values[piece][i], row, gammas[piece][i], betas[piece][i]));
        }
        reinterpret_cast<Packet<U, WIDTH>*>(out)[at] = stored;
    }
}

// `value(column)` gives the same value each time.
template <class U, class Value>
__device__ __forceinline__ void
normalize_any(Value value, i64 width, const float* gamma, const float* beta, U* out, float epsilon) {
    u32 lane = threadIdx.x % WARP;
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
        out[at] = store<U>(normalized(value(at), row, gamma[at], beta[at]));
    }
}
