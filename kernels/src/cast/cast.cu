// Between number types, a thread per element, with one rounding: what a narrower float cannot hold is rounded to odd on the
// way, which keeps the information that it was inexact.

#include "types.cuh"

#define THREADS 256

// Numbers of dtypes, as the host gives them.
enum Type { F64, F32, F16, BF16, I64, I32, I8, U8, BOOL };

__device__ __forceinline__ float to_f32_odd(double value) {
    float nearest = float(value);
    double back = double(nearest);
    if (back == value || value != value || (bits_of(nearest) & 1)) return nearest;
    return from_bits(fabs(back) > fabs(value) ? bits_of(nearest) - 1 : bits_of(nearest) + 1);
}

// An f64 that rounds to every narrower float as `value` does.
__device__ __forceinline__ double to_f64_odd(i64 value) {
    u64 magnitude = value < 0 ? 0 - u64(value) : u64(value);
    if (magnitude >> 53 == 0) return double(value);
    i64 dropped = value & 0x7ff;
    return double((value - dropped) | (i64(dropped != 0) << 11));
}

// Toward zero; the nearest value outside the range; NaN gives 0.
__device__ __forceinline__ i64 to_i64(double value) {
    if (value != value) return 0;
    if (value >= 9223372036854775808.0) return 0x7fffffffffffffffll;
    if (value <= -9223372036854775808.0) return i64(1ull << 63);
    return i64(value);
}

// The same within a narrower range.
__device__ __forceinline__ i64 clamped(double value, i64 smallest, i64 largest) {
    i64 whole = to_i64(value);
    return whole < smallest ? smallest : whole > largest ? largest : whole;
}

KERNEL(THREADS)
cast(u32 from, u32 to, const void* x, void* out, i64 count) {
    i64 at = thread_number();
    if (at >= count) return;
    bool from_float = from <= BF16;
    double number = 0;
    i64 whole = 0;
    switch (from) {
        case F64: number = static_cast<const double*>(x)[at]; break;
        case F32: number = static_cast<const float*>(x)[at]; break;
        case F16: number = load(static_cast<const f16*>(x)[at]); break;
        case BF16: number = load(static_cast<const bf16*>(x)[at]); break;
        case I64: whole = static_cast<const i64*>(x)[at]; break;
        case I32: whole = static_cast<const i32*>(x)[at]; break;
        case I8: whole = static_cast<const signed char*>(x)[at]; break;
        case U8: whole = static_cast<const u8*>(x)[at]; break;
        default: whole = static_cast<const u8*>(x)[at] != 0;
    }
    double odd = from_float ? number : to_f64_odd(whole);
    switch (to) {
        case F64: static_cast<double*>(out)[at] = from_float ? number : double(whole); break;
        case F32: static_cast<float*>(out)[at] = from_float ? float(number) : float(whole); break;
        case F16: static_cast<f16*>(out)[at] = store<f16>(to_f32_odd(odd)); break;
        case BF16: static_cast<bf16*>(out)[at] = store<bf16>(to_f32_odd(odd)); break;
        case I64: static_cast<i64*>(out)[at] = from_float ? to_i64(number) : whole; break;
        case I32: static_cast<i32*>(out)[at] = i32(from_float ? clamped(number, -2147483648ll, 2147483647ll) : whole); break;
        case I8: static_cast<signed char*>(out)[at] = static_cast<signed char>(from_float ? clamped(number, -128, 127) : whole); break;
        case U8: static_cast<u8*>(out)[at] = u8(from_float ? clamped(number, 0, 255) : whole); break;
        default: static_cast<u8*>(out)[at] = from_float ? number != 0 : whole != 0;
    }
}
EMULATED(cast)
