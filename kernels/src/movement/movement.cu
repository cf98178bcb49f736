// Bits from one place to another, a thread per element.

#include "walk.cuh"

#define THREADS 256

#define MOVEMENT_KERNELS(bytes, T)                                                                                   \
    /* Transpose, expand, slice: out is dense, x is walked. */                                                       \
    KERNEL(THREADS)                                                                                                  \
    gather_strided_##bytes(const T* x, i64 start, T* out, i64 count, Walk walk) {                                    \
        i64 at = thread_number();                                                                                    \
        if (at < count) out[at] = x[start + places<1>(walk, at).at[0]];                                              \
    }                                                                                                                \
    EMULATED(gather_strided_##bytes)                                                                          \
    /* One part of a concatenation: rows of `width`, to rows `pitch` apart. */                                       \
    KERNEL(THREADS)                                                                                                  \
    copy_rows_##bytes(const T* x, T* out, i64 count, i64 width, i64 pitch) {                                         \
        i64 at = thread_number();                                                                                    \
        if (at < count) out[at / width * pitch + at % width] = x[at];                                                \
    }                                                                                                                \
    EMULATED(copy_rows_##bytes)                                                                               \
    KERNEL(THREADS) fill_##bytes(u64 bits, T* out, i64 count) {                                                      \
        i64 at = thread_number();                                                                                    \
        if (at < count) out[at] = T(bits);                                                                           \
    }                                                                                                                \
    EMULATED(fill_##bytes)

MOVEMENT_KERNELS(1, u8)
MOVEMENT_KERNELS(2, u16)
MOVEMENT_KERNELS(4, u32)
MOVEMENT_KERNELS(8, u64)

KERNEL(THREADS) iota(i64* out, i64 count) {
    i64 at = thread_number();
    if (at < count) out[at] = at;
}
EMULATED(iota)
