// LayerNorm of a sum of table rows, a warp per row of the result: what is summed never leaves the registers.
//
// Indices outside were reported by `check_tables`; here their rows are left out.

#include "norm.cuh"

#define ROWS 4
#define TABLES 3

// The row that an index picks; null where there is no table, or no such row.
template <class T>
__device__ __forceinline__ const T*
picked(const T* table, const void* index, u32 wide, i64 rows, i64 at, i64 width) {
    if (!table) return nullptr;
    i64 row = index_at(index, wide, at);
    return row >= 0 && row < rows ? table + row * width : nullptr;
}

template <class T, class U, int PIECES>
__device__ __forceinline__ void embed_row(
    const T* const (&rows)[TABLES], const float* gamma, const float* beta, U* out, float epsilon) {
    constexpr int WIDTH = PacketOf<T>::WIDTH;
    typedef typename PacketOf<T>::Type Loaded;
    u32 lane = threadIdx.x % WARP;
    float values[PIECES][WIDTH];
#pragma unroll
    for (int piece = 0; piece < PIECES; ++piece) {
        u32 at = piece * WARP + lane;
#pragma unroll
        for (int table = 0; table < TABLES; ++table) {
            Loaded loaded = {};
            if (rows[table]) loaded = reinterpret_cast<const Loaded*>(rows[table])[at];
#pragma unroll
            for (int i = 0; i < WIDTH; ++i) {
                // Minus zero changes no sum.
                float value = rows[table] ? load(loaded.values[i]) : -0.0f;
                values[piece][i] = table == 0 ? value : values[piece][i] + value;
            }
        }
    }
    normalize_row(values, gamma, beta, out, epsilon);
}

// `pieces` as LayerNorm has it, in packets of the tables.
#define EMBED_LAYER_NORM_KERNEL(suffix, T, U)                                                                        \
    KERNEL(WARP * ROWS)                                                                                              \
    embed_layer_norm_##suffix(const T* table_0, const void* index_0, u32 wide_0, i64 rows_0, const T* table_1,       \
                              const void* index_1, u32 wide_1, i64 rows_1, const T* table_2, const void* index_2,    \
                              u32 wide_2, i64 rows_2, const float* gamma, const float* beta, U* out, i64 count,      \
                              i64 width, u32 pieces, float epsilon) {                                                \
        i64 at = i64(blockIdx.x) * ROWS + threadIdx.x / WARP;                                                        \
        if (at >= count) return;                                                                                     \
        const T* const rows[TABLES] = {picked(table_0, index_0, wide_0, rows_0, at, width),                          \
                                       picked(table_1, index_1, wide_1, rows_1, at, width),                          \
                                       picked(table_2, index_2, wide_2, rows_2, at, width)};                         \
        out += at * width;                                                                                           \
        auto value = [&](i64 column) {                                                                               \
            float sum = rows[0] ? load(rows[0][column]) : -0.0f;                                                     \
            if (rows[1]) sum = sum + load(rows[1][column]);                                                          \
            if (rows[2]) sum = sum + load(rows[2][column]);                                                          \
            return sum;                                                                                              \
        };                                                                                                           \
        switch (pieces) {                                                                                            \
            case 1: embed_row<T, U, 1>(rows, gamma, beta, out, epsilon); break;                                      \
            case 2: embed_row<T, U, 2>(rows, gamma, beta, out, epsilon); break;                                      \
            case 3: embed_row<T, U, 3>(rows, gamma, beta, out, epsilon); break;                                      \
            case 4: embed_row<T, U, 4>(rows, gamma, beta, out, epsilon); break;                                      \
            default: normalize_any(value, width, gamma, beta, out, epsilon);                                         \
        }                                                                                                            \
    }                                                                                                                \
    EMULATED(embed_layer_norm_##suffix)

EMBED_LAYER_NORM_KERNEL(f32_f32, float, float)
EMBED_LAYER_NORM_KERNEL(f16_f16, f16, f16)
EMBED_LAYER_NORM_KERNEL(f16_f32, f16, float)
EMBED_LAYER_NORM_KERNEL(bf16_bf16, bf16, bf16)
EMBED_LAYER_NORM_KERNEL(bf16_f32, bf16, float)
