// Tensor cores: products of matrices by a warp with sums in f32, and the copies that feed them.
//
// Fragments are those that PTX documents for `mma.m16n8k16`: lane l has rows l / 4 and l / 4 + 8 of the left matrix and of the
// sums, column l / 4 of the right matrix, and within those the elements 2 (l % 4) and the next. A GPU adds the 16 products to a
// sum in an order that it does not state, and may truncate where an addition rounds; what is promised is that products are exact
// and sums f32. The emulator adds them one by one, by ascending k.
#pragma once

#include "types.cuh"

// Two neighbours of a 16-bit type as an instruction takes them, the first in the lower half.
template <class T> __device__ __forceinline__ u32 packed(T first, T second) {
    return u32(first.bits) | u32(second.bits) << 16;
}

#ifdef __CUDACC__

// `sums [16, 8] += left [16, 16] right [16, 8]`, by all lanes of a warp.
template <class T> __device__ __forceinline__ void mma(float (&sums)[4], const u32 (&left)[4], const u32 (&right)[2]);

#define MMA(T, name)                                                                                                  \
    template <> __device__ __forceinline__ void mma<T>(float(&sums)[4], const u32(&left)[4], const u32(&right)[2]) {  \
        asm("mma.sync.aligned.m16n8k16.row.col.f32." name "." name                                           \
                     ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                           \
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                     \
                     : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));         \
    }
MMA(f16, "f16")
MMA(bf16, "bf16")

// The same for several of each: `sums[i][j] += left[i] right[j]`.
template <class T, int LEFTS, int RIGHTS>
__device__ __forceinline__ void multiply(float (&sums)[LEFTS][RIGHTS][4], const u32 (&left)[LEFTS][4],
                                         const u32 (&right)[RIGHTS][2]) {
#pragma unroll
    for (int i = 0; i < LEFTS; ++i) {
#pragma unroll
        for (int j = 0; j < RIGHTS; ++j) mma<T>(sums[i][j], left[i], right[j]);
    }
}

// An address in shared memory, which is shorter to reckon with than one that may be anywhere.
typedef u32 Shared;

__device__ __forceinline__ Shared shared_address(const void* at) {
    Shared address;
    asm("{ .reg .u64 wide; cvta.to.shared.u64 wide, %1; cvt.u32.u64 %0, wide; }" : "=r"(address) : "l"(at));
    return address;
}

// Four matrices of 8 x 8 from shared memory: lane l names row l % 8 of matrix l / 8, and gets from each the two elements of row
// l / 4 that its fragment has.
__device__ __forceinline__ void load_matrices(u32& first, u32& second, u32& third, u32& fourth, Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(first), "=r"(second), "=r"(third), "=r"(fourth)
                 : "r"(row)
                 : "memory");
}

// The same of each matrix's transpose.
__device__ __forceinline__ void load_transposed(u32& first, u32& second, u32& third, u32& fourth, Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(first), "=r"(second), "=r"(third), "=r"(fourth)
                 : "r"(row)
                 : "memory");
}

// Begins to copy 16 bytes to shared memory, or to make them zeros; both addresses are multiples of 16.
__device__ __forceinline__ void copy_later(Shared to, const void* from, bool zeros) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(zeros ? 0 : 16)
                 : "memory");
}

// Ends a group of copies.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for this thread's copies, but for the latest `PENDING` groups; other threads need a barrier behind it to see them.
template <int PENDING> __device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#else

typedef unsigned char* Shared;

inline Shared shared_address(const void* at) { return static_cast<Shared>(const_cast<void*>(at)); }

template <class T> T half_of(u32 pair, u32 which) { return T{u16(pair >> 16 * which)}; }

// All of a warp's products at once, so that lanes meet once.
template <class T, int LEFTS, int RIGHTS>
void multiply(float (&sums)[LEFTS][RIGHTS][4], const u32 (&left)[LEFTS][4], const u32 (&right)[RIGHTS][2]) {
    struct Fragments {
        float left[LEFTS][4][2], right[RIGHTS][2][2];
    } mine;
    for (u32 half = 0; half < 2; ++half) {
        for (int i = 0; i < LEFTS; ++i) {
            for (u32 part = 0; part < 4; ++part) mine.left[i][part][half] = load(half_of<T>(left[i][part], half));
        }
        for (int j = 0; j < RIGHTS; ++j) {
            for (u32 part = 0; part < 2; ++part) mine.right[j][part][half] = load(half_of<T>(right[j][part], half));
        }
    }
    const Fragments* all = emulator::leave(mine);
    u32 lane = threadIdx.x % WARP;
    // Four lanes hold a row or a column, two neighbouring elements each, below 8 and again from 8 on.
    const Fragments *row = all + lane / 4 * 4, *columns = all + lane % 4 * 8;
    for (u32 k = 0; k < 16; ++k) {
        u32 holder = k % 8 / 2, half = k % 2, upper = k / 8;
        for (int i = 0; i < LEFTS; ++i) {
            float top = row[holder].left[i][2 * upper][half], bottom = row[holder].left[i][2 * upper + 1][half];
            for (int j = 0; j < RIGHTS; ++j) {
                float first = columns[holder].right[j][upper][half], second = columns[4 + holder].right[j][upper][half];
                sums[i][j][0] = sums[i][j][0] + top * first;
                sums[i][j][1] = sums[i][j][1] + top * second;
                sums[i][j][2] = sums[i][j][2] + bottom * first;
                sums[i][j][3] = sums[i][j][3] + bottom * second;
            }
        }
    }
}

inline void load_matrices(u32& first, u32& second, u32& third, u32& fourth, Shared row) {
    const Shared* rows = emulator::leave(row);
    u32 lane = threadIdx.x % WARP, *to[] = {&first, &second, &third, &fourth};
    for (u32 matrix = 0; matrix < 4; ++matrix) {
        std::memcpy(to[matrix], reinterpret_cast<const u16*>(rows[matrix * 8 + lane / 4]) + lane % 4 * 2, 4);
    }
}

inline void load_transposed(u32& first, u32& second, u32& third, u32& fourth, Shared row) {
    const Shared* rows = emulator::leave(row);
    u32 lane = threadIdx.x % WARP, *to[] = {&first, &second, &third, &fourth};
    for (u32 matrix = 0; matrix < 4; ++matrix) {
        auto element = [&](u32 at) { return u32(reinterpret_cast<const u16*>(rows[matrix * 8 + at])[lane / 4]); };
        *to[matrix] = element(lane % 4 * 2) | element(lane % 4 * 2 + 1) << 16;
    }
}

using emulator::commit_copies;
using emulator::copy_later;
template <int PENDING> void wait_for_copies() { emulator::wait_for_copies(PENDING); }

#endif

// A left fragment from a matrix of 16 x 16, of which lane l names row l % 16, at column 0 or, from lane 16 on, 8.
__device__ __forceinline__ void load_left(u32 (&to)[4], Shared row) {
    load_matrices(to[0], to[1], to[2], to[3], row);
}
