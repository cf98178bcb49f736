// Rows by index, a thread per element of the result. Indices outside were reported by `check_indices`; here they give zeros.

#include "types.cuh"

#define THREADS 256

#define GATHER_KERNEL(bytes, T)                                                                                      \
    KERNEL(THREADS)                                                                                                  \
    gather_##bytes(const T* table, const void* index, u32 wide, T* out, i64 count, i64 rows, i64 indices, i64 inner) {\
        i64 at = thread_number();                                                                                    \
        if (at >= count) return;                                                                                     \
        i64 column = at % inner, place = at / inner % indices, outer = at / inner / indices;                         \
        i64 row = index_at(index, wide, place);                                                                      \
        out[at] = row >= 0 && row < rows ? table[(outer * rows + row) * inner + column] : T(0);                      \
    }                                                                                                                \
    EMULATED(gather_##bytes)

GATHER_KERNEL(1, u8)
GATHER_KERNEL(2, u16)
GATHER_KERNEL(4, u32)
GATHER_KERNEL(8, u64)
