// Elementwise ops, a thread per element. Which function is an argument: the same for all threads, so that the switch costs
// next to nothing, and one kernel stands where a dozen would.

#include "math.cuh"
#include "walk.cuh"

#define THREADS 256

__device__ __forceinline__ float unary_of(u32 op, float x) {
    switch (op) {
        case 0: return from_bits(bits_of(x) ^ 0x80000000);
        case 1: return fabsf(x);
        case 2: return exp_of(x);
        case 3: return log_of(x);
        case 4: return sqrtf(x);
        case 5: return 1.0f / x;
        case 6: return erf_of(x);
        case 7: return tanh_of(x);
        case 8: return sigmoid_of(x);
        default: return x > 0.0f || x != x ? x : (x == 0.0f ? x : 0.0f);
    }
}

// Through f64, as C's pow, rounded to f32.
__device__ __forceinline__ float power_of(float x, float y) { return float(pow(double(x), double(y))); }

__device__ __forceinline__ float binary_of(u32 op, float a, float b) {
    switch (op) {
        case 0: return a + b;
        case 1: return a - b;
        case 2: return a * b;
        case 3: return a / b;
        case 4: return a > b || a != a ? a : b;
        case 5: return a < b || a != a ? a : b;
        default: return power_of(a, b);
    }
}

// Wraps. Divisors of 0 and negative exponents were refused; here they give 0.
template <class I, class U> __device__ __forceinline__ I integer_of(u32 op, I a, I b) {
    switch (op) {
        case 0: return I(U(a) + U(b));
        case 1: return I(U(a) - U(b));
        case 2: return I(U(a) * U(b));
        case 3: return b == 0 ? 0 : (b == -1 ? I(U(0) - U(a)) : a / b);
        case 4: return a > b ? a : b;
        case 5: return a < b ? a : b;
        default: {
            U result = 1, base = U(a);
            for (u32 rest = u32(b); rest > 0; rest >>= 1, base *= base) {
                if (rest & 1) result *= base;
            }
            return I(result);
        }
    }
}

template <class V> __device__ __forceinline__ bool compare_of(u32 op, V a, V b) {
    switch (op) {
        case 0: return a == b;
        case 1: return a != b;
        case 2: return a < b;
        case 3: return a <= b;
        case 4: return a > b;
        default: return a >= b;
    }
}

#define FLOAT_KERNELS(suffix, T)                                                                                     \
    KERNEL(THREADS)                                                                                                  \
    unary_##suffix(u32 op, const T* x, T* out, i64 count) {                                                          \
        i64 at = thread_number();                                                                                    \
        if (at < count) out[at] = store<T>(unary_of(op, load(x[at])));                                               \
    }                                                                                                                \
    EMULATED(unary_##suffix)                                                                                  \
    KERNEL(THREADS)                                                                                                  \
    binary_##suffix(u32 op, const T* a, const T* b, T* out, i64 count, Walk walk) {                                  \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        Places place = places<2>(walk, at);                                                                          \
        out[at] = store<T>(binary_of(op, load(a[place.at[0]]), load(b[place.at[1]])));                               \
    }                                                                                                                \
    EMULATED(binary_##suffix)                                                                                 \
    KERNEL(THREADS)                                                                                                  \
    compare_##suffix(u32 op, const T* a, const T* b, u8* out, i64 count, Walk walk) {                                \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        Places place = places<2>(walk, at);                                                                          \
        out[at] = compare_of(op, load(a[place.at[0]]), load(b[place.at[1]]));                                        \
    }                                                                                                                \
    EMULATED(compare_##suffix)

FLOAT_KERNELS(f32, float)
FLOAT_KERNELS(f16, f16)
FLOAT_KERNELS(bf16, bf16)

#define INTEGER_KERNELS(suffix, I, U)                                                                                \
    KERNEL(THREADS)                                                                                                  \
    binary_##suffix(u32 op, const I* a, const I* b, I* out, i64 count, Walk walk) {                                  \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        Places place = places<2>(walk, at);                                                                          \
        out[at] = integer_of<I, U>(op, a[place.at[0]], b[place.at[1]]);                                              \
    }                                                                                                                \
    EMULATED(binary_##suffix)                                                                                 \
    KERNEL(THREADS)                                                                                                  \
    compare_##suffix(u32 op, const I* a, const I* b, u8* out, i64 count, Walk walk) {                                \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        Places place = places<2>(walk, at);                                                                          \
        out[at] = compare_of(op, a[place.at[0]], b[place.at[1]]);                                                    \
    }                                                                                                                \
    EMULATED(compare_##suffix)

INTEGER_KERNELS(i32, i32, u32)
INTEGER_KERNELS(i64, i64, u64)

// Truth values: 0 is false, all else is true.
KERNEL(THREADS) unary_bool(u32, const u8* x, u8* out, i64 count) {
    i64 at = thread_number();
    if (at < count) out[at] = x[at] == 0;
}
EMULATED(unary_bool)

// And (7), or (8).
KERNEL(THREADS)
binary_bool(u32 op, const u8* a, const u8* b, u8* out, i64 count, Walk walk) {
    i64 at = thread_number();
    if (at >= count) return;
    Places place = places<2>(walk, at);
    bool x = a[place.at[0]] != 0, y = b[place.at[1]] != 0;
    out[at] = op == 7 ? x && y : x || y;
}
EMULATED(binary_bool)

KERNEL(THREADS)
compare_bool(u32 op, const u8* a, const u8* b, u8* out, i64 count, Walk walk) {
    i64 at = thread_number();
    if (at >= count) return;
    Places place = places<2>(walk, at);
    out[at] = compare_of(op, u32(a[place.at[0]] != 0), u32(b[place.at[1]] != 0));
}
EMULATED(compare_bool)

// Copies bits: the branch not taken does not matter.
#define SELECT_KERNEL(bytes, T)                                                                                      \
    KERNEL(THREADS)                                                                                                  \
    select_##bytes(const u8* condition, const T* a, const T* b, T* out, i64 count, Walk walk) {                      \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        Places place = places<3>(walk, at);                                                                          \
        out[at] = condition[place.at[0]] ? a[place.at[1]] : b[place.at[2]];                                          \
    }                                                                                                                \
    EMULATED(select_##bytes)

SELECT_KERNEL(1, u8)
SELECT_KERNEL(2, u16)
SELECT_KERNEL(4, u32)
SELECT_KERNEL(8, u64)
