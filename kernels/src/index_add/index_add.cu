// index_add without atomics: positions sorted by destination, stably, then one thread per element of the result adds its
// positions in ascending order. Already sorted indices (`is_sorted`, from `check_indices`) skip the sort.

#include "types.cuh"

#define THREADS 256
#define DIGIT_BITS 4
#define DIGITS (1 << DIGIT_BITS)

// A stable counting sort of (key, position), four bits of the key at a time, by one block: thread t owns the t-th run of
// positions, so that the order of threads is the order of positions. `keys` and `positions` have 2 * count elements, and
// the result is in their first half after an even number of passes.
KERNEL(THREADS) index_add_sort(
    const void* index, u32 wide, u32 count, u32 passes, const u32* is_sorted, u32* keys, u32* positions) {
    if (*is_sorted) return;
    __shared__ u32 starts[DIGITS * THREADS];
    u32 each = (count + THREADS - 1) / THREADS;
    u32 from = threadIdx.x * each < count ? threadIdx.x * each : count, to = from + each < count ? from + each : count;
    for (u32 at = from; at < to; ++at) {
        keys[at] = u32(index_at(index, wide, at));
        positions[at] = at;
    }
    for (u32 pass = 0; pass < passes; ++pass) {
        u32 source = pass % 2 ? count : 0, target = pass % 2 ? 0 : count, shift = pass * DIGIT_BITS;
        for (u32 digit = 0; digit < DIGITS; ++digit) starts[digit * THREADS + threadIdx.x] = 0;
        for (u32 at = from; at < to; ++at) {
            ++starts[(keys[source + at] >> shift & (DIGITS - 1)) * THREADS + threadIdx.x];
        }
        __syncthreads();
        // Digit by digit, thread by thread: what comes before.
        if (threadIdx.x == 0) {
            u32 before = 0;
            for (u32 at = 0; at < DIGITS * THREADS; ++at) {
                u32 here = starts[at];
                starts[at] = before;
                before += here;
            }
        }
        __syncthreads();
        for (u32 at = from; at < to; ++at) {
            u32 key = keys[source + at];
            u32 place = starts[(key >> shift & (DIGITS - 1)) * THREADS + threadIdx.x]++;
            keys[target + place] = key;
            positions[target + place] = positions[source + at];
        }
        __syncthreads();
    }
}
EMULATED(index_add_sort)

// The first place whose key is at least `row`.
__device__ __forceinline__ u32
first_place(const void* index, u32 wide, const u32* keys, u32 sorted, u32 count, i64 row) {
    u32 low = 0, high = count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        i64 key = sorted ? index_at(index, wide, middle) : i64(keys[middle]);
        if (key < row) low = middle + 1; else high = middle;
    }
    return low;
}

// base may be out itself.
#define INDEX_ADD_KERNEL(suffix, T)                                                                                  \
    KERNEL(THREADS)                                                                                                  \
    index_add_##suffix(const T* base, const void* index, u32 wide, const T* source, T* out, i64 count, i64 rows,     \
                       u32 indices, i64 inner, const u32* is_sorted, const u32* keys, const u32* positions) {        \
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        i64 column = at % inner, row = at / inner % rows, outer = at / inner / rows;                                 \
        u32 sorted = *is_sorted;                                                                                     \
        u32 place = first_place(index, wide, keys, sorted, indices, row);                                            \
        u32 end = first_place(index, wide, keys, sorted, indices, row + 1);                                          \
        if (place == end) {                                                                                          \
            out[at] = base[at];                                                                                      \
            return;                                                                                                  \
        }                                                                                                            \
        float sum = load(base[at]);                                                                                  \
        for (; place < end; ++place) {                                                                               \
            i64 position = sorted ? place : positions[place];                                                        \
            sum = sum + load(source[(outer * indices + position) * inner + column]);                                 \
        }                                                                                                            \
        out[at] = store<T>(sum);                                                                                     \
    }                                                                                                                \
    EMULATED(index_add_##suffix)

INDEX_ADD_KERNEL(f32, float)
INDEX_ADD_KERNEL(f16, f16)
INDEX_ADD_KERNEL(bf16, bf16)
