// The transcendental functions of the kernels: `lockstep_kernels::math` with the same coefficients in the same order, so
// that they give the bits of a CPU with FMA: emulated they do, and an H200 did for every 101st f32. Errors and origins stand there.
#pragma once

#include "types.cuh"

__device__ __forceinline__ float infinity() { return from_bits(0x7f800000); }
__device__ __forceinline__ float not_a_number() { return from_bits(0x7fc00000); }

// The second operand where either is NaN, as SSE's minimum: bounds come first, so that NaN passes.
__device__ __forceinline__ float bounded_by(float bound, float x) { return bound < x ? bound : x; }

__device__ __forceinline__ float with_sign_of(float magnitude, float sign) {
    return from_bits((bits_of(magnitude) & 0x7fffffff) | (bits_of(sign) & 0x80000000));
}

template <int N> __device__ __forceinline__ float horner(float x, const float (&coefficients)[N]) {
    float value = coefficients[0];
#pragma unroll
    for (int at = 1; at < N; ++at) value = fmaf(value, x, coefficients[at]);
    return value;
}

// 2^exponent for exponents in -126..=127.
__device__ __forceinline__ float power_of_two(i32 exponent) { return from_bits((u32(exponent) << 23) + 0x3f800000); }

// In two steps, so that exponents down to -252 round once, at the end.
__device__ __forceinline__ float scale_by_power_of_two(float x, i32 exponent) {
    i32 half = exponent >> 1;
    return x * power_of_two(half) * power_of_two(exponent - half);
}

// A NaN's exponent is any number, and its fraction NaN.
struct Scaled {
    float fraction;
    i32 exponent;
};

__device__ __forceinline__ Scaled exp_scaled(float x, float low) {
    const float tail[] = {0.0013818697f, 0.008368716f, 0.041668292f, 0.16666521f, 0.49999994f};
    // An addition that rounds to a whole number, ties to even, and leaves it in the lowest bits: conversions have fewer units.
    const float to_whole = 12582912.0f;
    float shifted = x * 1.44269504f + to_whole, exponent = shifted - to_whole;
    float rest = fmaf(-exponent, 355.0f / 512.0f, x);
    rest = fmaf(-exponent, -2.1219444e-4f, rest);
    rest = rest + low;
    float above_one = fmaf(rest * rest, horner(rest, tail), rest);
    return Scaled{above_one + 1.0f, i32(bits_of(shifted) - bits_of(to_whole))};
}

// What is special is chosen at the end, of values that are there: branches would keep one exponential from overlapping another.
__device__ __forceinline__ float exp_of(float x) {
    bool vanishes = x < -104.0f;
    Scaled scaled = exp_scaled(bounded_by(89.0f, vanishes ? 0.0f : x), 0.0f);
    float value = scale_by_power_of_two(scaled.fraction, scaled.exponent);
    return vanishes ? 0.0f : value;
}

__device__ __forceinline__ float log_of(float x) {
    const float coefficients[] = {6.749269e-2f,   -1.16700985e-1f, 1.1883549e-1f, -1.2406234e-1f, 1.4220358e-1f,
                                  -1.6667989e-1f, 2.0002072e-1f,   -2.500001e-1f, 3.3333313e-1f};
    bool subnormal = x < from_bits(0x00800000);
    u32 bits = bits_of(subnormal ? x * 8388608.0f : x);
    i32 whole = i32(bits - 0x3f3504f3) >> 23;
    float fraction = from_bits(bits - (u32(whole) << 23));
    float exponent = float(whole) + (subnormal ? -23.0f : 0.0f);
    float f = fraction - 1.0f, square = f * f;
    float tail = square * f * horner(f, coefficients);
    tail = fmaf(exponent, -2.1219444e-4f, tail);
    tail = fmaf(-0.5f, square, tail);
    float value = fmaf(exponent, 355.0f / 512.0f, f + tail);
    if (!(x < infinity())) value = x;
    if (x < 0.0f) value = not_a_number();
    return x == 0.0f ? -infinity() : value;
}

__device__ __forceinline__ float erf_of(float x) {
    const float near_zero[] = {7.806903e-5f,    -7.997853e-4f, 5.187162e-3f, -2.6853347e-2f,
                               1.1283579e-1f,   -3.7612626e-1f, 1.2837917e-1f};
    const float log_complement[] = {1.8556828e-4f,  -2.9395677e-3f, 2.1805217e-2f, -1.0303725e-1f,
                                    -6.3822573e-1f, -1.12704f,      -3.5371876e-4f};
    float magnitude = fabsf(x);
    float near = fmaf(x, horner(x * x, near_zero), x);
    if (!(magnitude >= 1.0f)) return near;
    Scaled scaled = exp_scaled(horner(bounded_by(4.0f, magnitude), log_complement), 0.0f);
    return with_sign_of(1.0f - scale_by_power_of_two(scaled.fraction, scaled.exponent), x);
}

__device__ __forceinline__ float tanh_of(float x) {
    const float near_zero[] = {-5.692296e-3f, 2.0628167e-2f, -5.3736515e-2f, 1.3331406e-1f, -3.333328e-1f};
    float magnitude = fabsf(x);
    if (!(magnitude >= 0.625f)) {
        float square = x * x;
        return with_sign_of(fmaf(x * square, horner(square, near_zero), x), x);
    }
    float bounded = bounded_by(10.0f, magnitude);
    Scaled scaled = exp_scaled(bounded + bounded, 0.0f);
    float power = scale_by_power_of_two(scaled.fraction, scaled.exponent);
    return with_sign_of(1.0f - 2.0f / (power + 1.0f), x);
}

__device__ __forceinline__ float sigmoid_of(float x) {
    if (!(x == x)) return x;
    Scaled power = exp_scaled(-bounded_by(104.5f, fabsf(x)), 0.0f);
    float divisor = 1.0f + scale_by_power_of_two(power.fraction, power.exponent);
    bool negative = x < 0.0f;
    float quotient = (negative ? power.fraction : 1.0f) / divisor;
    return scale_by_power_of_two(quotient, negative ? power.exponent : 0);
}

// a / b for b of 1 to 2^20 and for a quotient that is no subnormal number, unless b is 1. The compiler's own division can take a
// branch, which keeps one from overlapping another.
__device__ __forceinline__ float quotient(float a, float b) {
#ifdef __CUDACC__
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(b));
    inverse = fmaf(inverse, fmaf(-b, inverse, 1.0f), inverse);
    float near = a * inverse;
    return fmaf(inverse, fmaf(-b, near, a), near);
#else
    return a / b;
#endif
}

__device__ __forceinline__ float gelu_erf_of(float x) {
    const float mills_p[] = {4.1003604e-3f, 4.0541414e-2f, 1.8298586e-1f, 4.3799445e-1f, 0.5f};
    const float mills_q[] = {1.02779595e-2f, 1.01628706e-1f, 4.6880552e-1f, 1.2015257f, 1.6738738f, 1.0f};
    float t = bounded_by(16.0f, fabsf(x));
    // -t^2/2 in two parts: the square of t's upper 12 bits is exact.
    float upper = from_bits(bits_of(t) & ~0xfffu);
    Scaled power = exp_scaled(upper * upper * -0.5f, (t - upper) * (t + upper) * -0.5f);
    bool negative = x < 0.0f;
    float above = (negative ? t : 1.0f) * power.fraction * horner(t, mills_p);
    // Exponents go down to -185, and the first product is exact.
    float tail = quotient(above, horner(t, mills_q)) * power_of_two(power.exponent + 64) * power_of_two(-64);
    float upper_value = x * (1.0f - tail), value = negative ? -tail : upper_value;
    return x == -infinity() ? not_a_number() : value;
}

// a b - product and a + b - sum, exact.
__device__ __forceinline__ float product_error(float a, float b, float product) { return fmaf(a, b, -product); }

__device__ __forceinline__ float sum_error(float a, float b, float sum) {
    float b_part = sum - a, a_part = sum - b_part;
    return (a - a_part) + (b - b_part);
}

__device__ __forceinline__ float gelu_tanh_of(float x) {
    const float linear = 1.5957692f, linear_low = -4.534068e-8f, cubic_factor = 7.1354814e-2f, cubic_low_factor = 2.3988325e-9f;
    float t = bounded_by(11.0f, fabsf(x));
    float square = t * t, square_low = product_error(t, t, square);
    float cubic = cubic_factor * square, cubic_low = product_error(cubic_factor, square, cubic);
    cubic_low = fmaf(cubic_factor, square_low, cubic_low);
    cubic_low = fmaf(cubic_low_factor, square, cubic_low);
    float slope = linear + cubic, slope_low = sum_error(linear, cubic, slope);
    slope_low = slope_low + linear_low + cubic_low;
    float w = t * slope, w_low = fmaf(t, slope_low, product_error(t, slope, w));
    Scaled power = exp_scaled(-w, -w_low);
    bool negative = x < 0.0f;
    float above = negative ? -t * power.fraction : x;
    float tail = scale_by_power_of_two(power.fraction, power.exponent);
    float value = scale_by_power_of_two(above / (1.0f + tail), negative ? power.exponent : 0);
    return x == -infinity() ? not_a_number() : value;
}
