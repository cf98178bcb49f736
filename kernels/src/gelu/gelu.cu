// GELU in both forms, a thread per element.

#include "math.cuh"

#define THREADS 256

#define GELU_KERNEL(form, suffix, T)                                                                                 \
    KERNEL(THREADS) gelu_##form##_##suffix(const T* x, T* out, i64 count) {                                          \
        i64 at = thread_number();                                                                                    \
        if (at < count) out[at] = store<T>(gelu_##form##_of(load(x[at])));                                           \
    }                                                                                                                \
    EMULATED(gelu_##form##_##suffix)

GELU_KERNEL(erf, f32, float)
GELU_KERNEL(erf, f16, f16)
GELU_KERNEL(erf, bf16, bf16)
GELU_KERNEL(tanh, f32, float)
GELU_KERNEL(tanh, f16, f16)
GELU_KERNEL(tanh, bf16, bf16)
