// The activations of a Linear, by the number that a launch gives.
#pragma once

#include "math.cuh"

enum Activation { NONE, GELU_ERF, GELU_TANH, TANH };

__device__ __forceinline__ float activated(float x, u32 activation) {
    switch (activation) {
        case GELU_ERF: return gelu_erf_of(x);
        case GELU_TANH: return gelu_tanh_of(x);
        case TANH: return tanh_of(x);
        default: return x;
    }
}
