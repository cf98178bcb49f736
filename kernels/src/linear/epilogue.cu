// What follows a product: bias, activation, residual and the one rounding, from sums that are still f32.
//
// cuBLASLt could fuse a GELU, but its form is the tanh one; BERT's is erf.

#include "activation.cuh"

#define THREADS 256

// `bias` and `residual` may be null.
#define EPILOGUE_KERNEL(suffix, T)                                                                                   \
    KERNEL(THREADS)                                                                                                  \
    linear_epilogue_##suffix(const float* sums, const float* bias, const T* residual, T* out, i64 count, i64 width,  \
                             u32 activation) {                                                                       \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        float value = sums[at];                                                                                      \
        if (bias) value = value + bias[at % width];                                                                  \
        value = activated(value, activation);                                                                        \
        if (residual) value = value + load(residual[at]);                                                            \
        out[at] = store<T>(value);                                                                                   \
    }                                                                                                                \
    EMULATED(linear_epilogue_##suffix)

EPILOGUE_KERNEL(f32, float)
EPILOGUE_KERNEL(f16, f16)
EPILOGUE_KERNEL(bf16, bf16)
