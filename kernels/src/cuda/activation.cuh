// The activations of a Linear, by the number that a launch gives.
#pragma once

#include "math.cuh"

enum Activation { NONE, GELU_ERF, GELU_TANH, TANH };

// Calls `use` with the function, so that the choice is made once for all that it does.
template <class Use> __device__ __forceinline__ void with_activation(u32 activation, Use use) {
    switch (activation) {
        case GELU_ERF: return use([](float x) { return gelu_erf_of(x); });
        case GELU_TANH: return use([](float x) { return gelu_tanh_of(x); });
        case TANH: return use([](float x) { return tanh_of(x); });
        default: return use([](float x) { return x; });
    }
}

template <int COUNT> struct OfEach {
    float (&values)[COUNT];

    template <class Function> __device__ __forceinline__ void operator()(Function function) const {
#pragma unroll
        for (int i = 0; i < COUNT; ++i) values[i] = function(values[i]);
    }
};

// Of several values at once, so that their arithmetic overlaps.
template <int COUNT> __device__ __forceinline__ void activate(float (&values)[COUNT], u32 activation) {
    with_activation(activation, OfEach<COUNT>{values});
}
