// One row per sequence, a thread per column of it, tokens in ascending position.

#include "warp.cuh"

#define THREADS 256

enum Pooling { MEAN, MAX };

// Packed where `ends` is given, else padded to `length` with a mask of truth values.
#define POOL_KERNEL(suffix, T)                                                                                       \
    KERNEL(THREADS)                                                                                                  \
    pool_##suffix(u32 kind, const T* x, const i64* ends, const u8* mask, T* out, i64 count, i64 length, i64 width,   \
                  i64 tokens) {                                                                                      \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        i64 sequence = at / width, column = at % width;                                                              \
        i64 from = ends ? (sequence > 0 ? ends[sequence - 1] : 0) : sequence * length;                               \
        i64 to = ends ? ends[sequence] : from + length;                                                              \
        /* Wrong ends were reported; they must not lead outside. */                                                  \
        if (ends && (from < 0 || to > tokens)) return;                                                               \
        float value = kind == MAX ? -from_bits(0x7f800000) : 0.0f;                                                   \
        i64 kept = 0;                                                                                                \
        for (i64 token = from; token < to; ++token) {                                                                \
            if (mask && !mask[token]) continue;                                                                      \
            float element = load(x[token * width + column]);                                                         \
            value = kind == MAX ? larger(value, element) : value + element;                                          \
            ++kept;                                                                                                  \
        }                                                                                                            \
        if (kind == MEAN) value = kept ? value / float(kept) : 0.0f;                                                 \
        out[at] = store<T>(value);                                                                                   \
    }                                                                                                                \
    EMULATED(pool_##suffix)

POOL_KERNEL(f32, float)
POOL_KERNEL(f16, f16)
POOL_KERNEL(bf16, bf16)
