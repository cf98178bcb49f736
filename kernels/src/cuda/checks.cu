// Checks of values that an op cannot take, each by one block before the op runs. What they find is read when the run ends;
// until then kernels leave out what is outside.

#include "types.cuh"

#define THREADS 256

// The first offence of a step; the position is all ones while there is none.
struct Finding {
    u64 position;
    i64 value;
};

// The smallest of all threads' positions.
__device__ __forceinline__ u64 first_of_block(u64 mine) {
    __shared__ u64 found[THREADS];
    found[threadIdx.x] = mine;
    for (u32 apart = THREADS / 2; apart > 0; apart /= 2) {
        __syncthreads();
        if (threadIdx.x < apart && found[threadIdx.x + apart] < found[threadIdx.x]) {
            found[threadIdx.x] = found[threadIdx.x + apart];
        }
    }
    __syncthreads();
    return found[0];
}

// The first index that does not lie in 0..rows, found by the block.
__device__ __forceinline__ void check_range(const void* index, u32 wide, u64 count, i64 rows, Finding* finding) {
    u64 outside = ~0ull;
    for (u64 at = threadIdx.x; at < count; at += THREADS) {
        i64 value = index_at(index, wide, at);
        if (outside == ~0ull && (value < 0 || value >= rows)) outside = at;
    }
    outside = first_of_block(outside);
    if (threadIdx.x == 0 && outside != ~0ull) {
        finding->position = outside;
        finding->value = index_at(index, wide, outside);
    }
}

// Every index lies in 0..rows. `is_sorted`, where given, becomes whether they ascend.
KERNEL(THREADS)
check_indices(const void* index, u32 wide, u64 count, i64 rows, Finding* finding, u32* is_sorted) {
    check_range(index, wide, count, rows, finding);
    if (!is_sorted) return;
    u64 descent = ~0ull;
    for (u64 at = threadIdx.x; at < count; at += THREADS) {
        if (descent == ~0ull && at > 0 && index_at(index, wide, at - 1) > index_at(index, wide, at)) descent = at;
    }
    __syncthreads();
    descent = first_of_block(descent);
    if (threadIdx.x == 0) *is_sorted = descent == ~0ull;
}
EMULATED(check_indices)

// The indices of up to three tables, a block for each; a block without an index has nothing to do.
KERNEL(THREADS)
check_tables(const void* index_0, u32 wide_0, i64 rows_0, Finding* finding_0, const void* index_1, u32 wide_1, i64 rows_1,
             Finding* finding_1, const void* index_2, u32 wide_2, i64 rows_2, Finding* finding_2, u64 count) {
    if (blockIdx.x == 0) check_range(index_0, wide_0, count, rows_0, finding_0);
    if (blockIdx.x == 1) check_range(index_1, wide_1, count, rows_1, finding_1);
    if (blockIdx.x == 2) check_range(index_2, wide_2, count, rows_2, finding_2);
}
EMULATED(check_tables)

// Ends of sequences ascend from 0 to `tokens`, which the last one is.
KERNEL(THREADS)
check_ends(const i64* ends, u64 count, i64 tokens, Finding* finding) {
    // Tokens without any sequence are wrong at the first.
    u64 wrong = count == 0 && tokens != 0 ? 0 : ~0ull;
    for (u64 at = threadIdx.x; at < count; at += THREADS) {
        i64 start = at > 0 ? ends[at - 1] : 0;
        bool last = at + 1 == count;
        if (wrong == ~0ull && (ends[at] < start || ends[at] > tokens || (last && ends[at] != tokens))) wrong = at;
    }
    wrong = first_of_block(wrong);
    if (threadIdx.x == 0 && wrong != ~0ull) {
        finding->position = wrong;
        finding->value = count > 0 ? ends[wrong] : 0;
    }
}
EMULATED(check_ends)

// Integers that may not be 0 (`power` 0), or must be exponents of a power, in 0..2^32 (`power` 1).
KERNEL(THREADS)
check_operands(const void* x, u32 wide, u64 count, u32 power, Finding* finding) {
    u64 wrong = ~0ull;
    for (u64 at = threadIdx.x; at < count; at += THREADS) {
        i64 value = index_at(x, wide, at);
        bool fits = power ? value >= 0 && value <= 0xffffffffll : value != 0;
        if (wrong == ~0ull && !fits) wrong = at;
    }
    wrong = first_of_block(wrong);
    if (threadIdx.x == 0 && wrong != ~0ull) {
        finding->position = wrong;
        finding->value = index_at(x, wide, wrong);
    }
}
EMULATED(check_operands)
