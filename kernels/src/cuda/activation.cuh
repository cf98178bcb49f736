// The activations of a Linear, by the number that a launch gives.
#pragma once

#include "math.cuh"

enum Activation { NONE, GELU_ERF, GELU_TANH, TANH };

template <int COUNT, class Function> __device__ __forceinline__ void each(float (&values)[COUNT], Function function) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) values[i] = function(values[i]);
}

// Of several values at once, so that the choice is made once and their arithmetic overlaps.
template <int COUNT> __device__ __forceinline__ void activate(float (&values)[COUNT], u32 activation) {
    switch (activation) {
        case GELU_ERF: return each(values, [](float x) { return gelu_erf_of(x); });
        case GELU_TANH: return each(values, [](float x) { return gelu_tanh_of(x); });
        case TANH: return each(values, [](float x) { return tanh_of(x); });
        default: return;
    }
}
