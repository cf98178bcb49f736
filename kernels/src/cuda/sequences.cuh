// Which queries a block of an attention attends: groups of queries are counted through all sequences, so that a group is of one
// sequence and begins at its first query, or a whole number of groups behind it.
#pragma once

#include "types.cuh"

// Rows of q, and the rows of k and v that they look at; no queries where the block has nothing to do.
struct Group {
    i64 query, queries, key, keys;
};

// Packed where `ends` is given: then the last groups of a grid may be of no sequence. Otherwise every group is. Called by whole
// warps.
template <int QUERIES>
__device__ __forceinline__ Group group_of(i64 number, const i64* ends, i64 batch, i64 query_len, i64 key_len, i64 tokens) {
    if (!ends) {
        i64 groups = (query_len + QUERIES - 1) / QUERIES;
        i64 sequence = number / groups, from = number % groups * QUERIES, left = query_len - from;
        return Group{sequence * query_len + from, left < QUERIES ? left : QUERIES, sequence * key_len, key_len};
    }
    // A lane per sequence, so that many sequences cost no long chain of loads.
    u32 lane = threadIdx.x % WARP;
    for (i64 first = 0; first < batch; first += WARP) {
        i64 sequence = first + lane, start = 0, end = 0;
        if (sequence < batch) {
            start = sequence > 0 ? ends[sequence - 1] : 0;
            end = ends[sequence];
        }
        // Wrong ends were reported; they must not lead outside.
        bool sound = start >= 0 && start <= end && end <= tokens;
        i64 groups = sound ? (end - start + QUERIES - 1) / QUERIES : 0, up_to = groups;
#pragma unroll
        for (u32 apart = 1; apart < WARP; apart *= 2) {
            i64 before = __shfl_sync(ALL_LANES, up_to, lane - apart);
            if (lane >= apart) up_to += before;
        }
        u32 reached = __ballot_sync(ALL_LANES, number < up_to);
        if (reached) {
            u32 found = __ffs(reached) - 1;
            start = __shfl_sync(ALL_LANES, start, found);
            end = __shfl_sync(ALL_LANES, end, found);
            i64 from = start + (number - __shfl_sync(ALL_LANES, up_to - groups, found)) * QUERIES;
            return Group{from, end - from < QUERIES ? end - from : QUERIES, start, end - start};
        }
        number -= __shfl_sync(ALL_LANES, up_to, WARP - 1);
    }
    return Group{0, 0, 0, 0};
}

// The keys of a sequence, so many at a time. Those that a mask leaves out are not counted: they are never read and leave no trace.
template <int KEYS> struct KeptKeys {
    const u8* mask;
    i64 keys, next;
    // Of this warp.
    u32* numbers;

    // How many there are from the first on. Called by whole warps.
    __device__ __forceinline__ u32 count() const {
        if (!mask) return u32(keys);
        u32 lane = threadIdx.x % WARP, found = 0;
        for (i64 first = 0; first < keys; first += WARP) {
            found += __popc(__ballot_sync(ALL_LANES, first + lane < keys && mask[first + lane]));
        }
        return found;
    }

    // Puts the numbers of the next keys where `numbers` says; gives how many. Called by whole warps.
    __device__ __forceinline__ u32 advance() {
        u32 lane = threadIdx.x % WARP, count = 0;
        __syncwarp();
        while (count < KEYS && next < keys) {
            i64 mine = next + lane;
            u32 kept = __ballot_sync(ALL_LANES, mine < keys && (!mask || mask[mine]));
            u32 place = count + __popc(kept & ((1u << lane) - 1));
            bool taken = (kept >> lane & 1) && place < KEYS;
            if (taken) numbers[place] = u32(mine);
            u32 all_taken = __ballot_sync(ALL_LANES, taken);
            count += __popc(all_taken);
            next += all_taken == kept ? WARP : WARP - __clz(all_taken);
        }
        __syncwarp();
        return count;
    }
};
