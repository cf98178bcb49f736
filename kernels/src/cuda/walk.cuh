// How a kernel walks tensors whose elements do not lie side by side: extents, and the stride of each operand along them.
#pragma once

#include "types.cuh"

#define WALK_RANK 8

// Neighbouring dimensions that move together are one; the last is the innermost. A stride of 0 broadcasts.
struct Walk {
    u32 rank, padding;
    u32 extents[WALK_RANK];
    i64 strides[3][WALK_RANK];
};

// Where the element of that number, counted row-major, lies in operands 0, 1 and 2.
struct Places {
    i64 at[3];
};

template <int OPERANDS> __device__ __forceinline__ Places places(const Walk& walk, i64 number) {
    Places found = {{0, 0, 0}};
    for (int axis = int(walk.rank) - 1; axis > 0; --axis) {
        i64 extent = walk.extents[axis], outer = number / extent, index = number - outer * extent;
        for (int operand = 0; operand < OPERANDS; ++operand) found.at[operand] += index * walk.strides[operand][axis];
        number = outer;
    }
    for (int operand = 0; operand < OPERANDS; ++operand) found.at[operand] += number * walk.strides[operand][0];
    return found;
}
