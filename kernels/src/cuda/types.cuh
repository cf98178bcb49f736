// What every kernel is written in: storage types with one way to read and one to write them, and the words of CUDA where
// the compiler is not one for CUDA (the emulator's).
//
// No header of the CUDA toolkit is needed, so that the sources compile with NVRTC alone and as plain C++.
#pragma once

#ifdef __CUDACC__
// A kernel of blocks of so many threads, and its registration where it is emulated.
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// One whose registers leave room for so many blocks on a processor.
#define RESIDENT_KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define EMULATED(name)
#define SHARED_MEMORY(type, name)                                  \
    extern __shared__ __align__(16) unsigned char shared_memory[]; \
    type* name = reinterpret_cast<type*>(shared_memory)
#else
#include "emulator.h"
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#define WARP 32
#define ALL_LANES 0xffffffffu

// 2^15 of exponent bias, 10 bits of fraction.
struct f16 {
    u16 bits;
};

// The upper half of an f32.
struct bf16 {
    u16 bits;
};

__device__ __forceinline__ u32 bits_of(float x) {
    union { float value; u32 bits; } both;
    both.value = x;
    return both.bits;
}

__device__ __forceinline__ float from_bits(u32 bits) {
    union { u32 bits; float value; } both;
    both.bits = bits;
    return both.value;
}

// Exact.
__device__ __forceinline__ float load(float x) { return x; }

__device__ __forceinline__ float load(bf16 x) { return from_bits(u32(x.bits) << 16); }

__device__ __forceinline__ float load(f16 x) {
#ifdef __CUDACC__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
#else
    u32 sign = u32(x.bits & 0x8000) << 16, magnitude = x.bits & 0x7fff;
    if (magnitude >= 0x7c00) return from_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    // Read as a tiny f32, then scaled to where it belongs: exact for subnormals too.
    return from_bits(sign | bits_of(from_bits(magnitude << 13) * from_bits(0x77800000)));
#endif
}

// The nearest value, ties to even; overflow gives an infinity, NaN stays one.
template <class T> __device__ __forceinline__ T store(float x);

template <> __device__ __forceinline__ float store<float>(float x) { return x; }

template <> __device__ __forceinline__ bf16 store<bf16>(float x) {
    u32 bits = bits_of(x);
    bf16 out;
    out.bits = x == x ? u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16) : u16(bits >> 16 | 0x40);
    return out;
}

template <> __device__ __forceinline__ f16 store<f16>(float x) {
    f16 out;
#ifdef __CUDACC__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
#else
    u32 bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        out.bits = u16(sign | 0x7e00);
    } else if (magnitude >= 0x477ff000) {
        out.bits = u16(sign | 0x7c00);
    } else if (magnitude < 0x38800000) {
        // Below the smallest normal number: an addition whose last place is the subnormals' rounds as it should.
        out.bits = u16(sign | (bits_of(from_bits(magnitude) + 0.5f) - bits_of(0.5f)));
    } else {
        out.bits = u16(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
    }
#endif
    return out;
}

// An index operand: i64 or i32.
__device__ __forceinline__ i64 index_at(const void* index, u32 wide, i64 at) {
    return wide ? static_cast<const i64*>(index)[at] : i64(static_cast<const i32*>(index)[at]);
}

// The global number of this thread, and how many there are.
__device__ __forceinline__ i64 thread_number() { return i64(blockIdx.x) * blockDim.x + threadIdx.x; }
