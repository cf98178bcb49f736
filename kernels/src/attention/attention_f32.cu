// Attention over sequences for f32 and heads of up to 128 columns, without tensor cores: 64 queries of one head by tiles of 64 kept keys.
//
// The order is that of `spec.md` and of `attention.cu`, so that the bits are the CPU's: the largest score is known before any weight is
// taken, and the scores are computed twice.

#include "math.cuh"
#include "sequences.cuh"
#include "warp.cuh"

#define QUERIES 64
#define KEYS 64
#define THREADS 128
#define KEYS_OF_A_SUM 16
// Of 256 keys.
#define TILES_OF_A_BLOCK (256 / KEYS)
// Rows in shared memory are four values farther apart than they are long.
#define PITCH (KEYS + 4)
// What a thread has of a tile: queries, and keys or, of every 64, columns.
#define ROWS 8
#define ACROSS 4

struct __align__(16) Four {
    float values[4];
};

// Where a thread's part of a tile begins: a warp has 32 queries by 32 keys or columns.
struct Part {
    u32 row, column;

    static __device__ __forceinline__ Part of(u32 thread) {
        u32 warp = thread / WARP, lane = thread % WARP;
        return Part{warp / 2 * 32 + lane / 8 * ROWS, warp % 2 * 32 + lane % 8 * ACROSS};
    }
};

// Rows of a head: those that `numbers` names, or the first ones without it.
struct Rows {
    const float* first;
    i64 stride;
    const u32* numbers;
    u32 count, head_size;

    // The four columns from `column` on; zeros where there is no such row or column.
    __device__ __forceinline__ Four at(u32 row, u32 column) const {
        Four four = {};
        if (row >= count) return four;
        const float* from = first + i64(numbers ? numbers[row] : row) * stride + column;
        if ((u64(from) & 15) == 0 && column + 4 <= head_size) return *reinterpret_cast<const Four*>(from);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            if (column + i < head_size) four.values[i] = from[i];
        }
        return four;
    }
};

// Puts 64 rows times `scale` into shared memory, a row of it for each column.
template <int HEAD> __device__ __forceinline__ void fill_transposed(float* to, const Rows& rows, float scale) {
#pragma unroll 4
    for (u32 number = threadIdx.x; number < KEYS * HEAD / 4; number += THREADS) {
        u32 row = number % KEYS, column = number / KEYS * 4;
        Four four = rows.at(row, column);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) to[(column + i) * PITCH + row] = four.values[i] * scale;
    }
}

template <int HEAD> __device__ __forceinline__ void fill(float* to, const Rows& rows) {
#pragma unroll 4
    for (u32 number = threadIdx.x; number < KEYS * HEAD / 4; number += THREADS) {
        u32 row = number / (HEAD / 4), column = number % (HEAD / 4) * 4;
        *reinterpret_cast<Four*>(to + row * (HEAD + 4) + column) = rows.at(row, column);
    }
}

// `sums += left right` for one row of shared memory on either side.
__device__ __forceinline__ void add_step(float (&sums)[ROWS][ACROSS], const float* left, const float* right) {
    Four upper = *reinterpret_cast<const Four*>(left), lower = *reinterpret_cast<const Four*>(left + 4);
    Four across = *reinterpret_cast<const Four*>(right);
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) {
        float value = i < 4 ? upper.values[i % 4] : lower.values[i % 4];
#pragma unroll
        for (u32 j = 0; j < ACROSS; ++j) sums[i][j] = fmaf(value, across.values[j], sums[i][j]);
    }
}

// The scores of a thread's queries with its keys.
__device__ __forceinline__ void score(float (&scores)[ROWS][ACROSS], const float* queries, const float* keys, Part part,
                                      u32 head_size) {
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) {
#pragma unroll
        for (u32 j = 0; j < ACROSS; ++j) scores[i][j] = 0.0f;
    }
#pragma unroll 8
    for (u32 column = 0; column < head_size; ++column) {
        add_step(scores, queries + column * PITCH + part.row, keys + column * PITCH + part.column);
    }
}

struct Operands {
    const float *q, *k, *v;
    i64 q_stride, k_stride, v_stride;
    const u8* mask;
    float* out;
    i64 out_stride;
    u32 head_size;
    float scale;
};

// What lies in shared memory. The values of a tile take the place of its keys.
template <int HEAD> struct Layout {
    static constexpr u32 TILE = HEAD * PITCH;
    static_assert(KEYS * (HEAD + 4) <= TILE, "values fit where keys were");
    float *queries, *tile, *weights, *rows;
    u32* numbers;

    __device__ __forceinline__ explicit Layout(float* shared) {
        queries = shared;
        tile = queries + HEAD * PITCH;
        weights = tile + TILE;
        rows = weights + KEYS * PITCH;
        numbers = reinterpret_cast<u32*>(rows + 2 * QUERIES) + threadIdx.x / WARP * KEYS;
    }
};

// The largest score of each row, to shared memory: over the eight lanes that share rows, and the two warps.
__device__ __forceinline__ void share_largest(float (&largest)[ROWS], float* rows, Part part) {
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) {
#pragma unroll
        for (u32 apart = 4; apart > 0; apart /= 2) {
            largest[i] = larger(largest[i], __shfl_xor_sync(ALL_LANES, largest[i], apart));
        }
    }
    u32 half = threadIdx.x / WARP % 2;
    if (threadIdx.x % 8 == 0) {
#pragma unroll
        for (u32 i = 0; i < ROWS; ++i) rows[half * QUERIES + part.row + i] = largest[i];
    }
    __syncthreads();
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) largest[i] = larger(rows[part.row + i], rows[QUERIES + part.row + i]);
    __syncthreads();
}

// One group of queries of one head; the operands begin at its first query and key.
template <int HEAD> __device__ __forceinline__ void attend(const Operands& of, u32 queries, i64 count, float* shared) {
    constexpr u32 PARTS = HEAD / 64;
    Layout<HEAD> place(shared);
    Part part = Part::of(threadIdx.x);
    KeptKeys<KEYS> walk = {of.mask, count, 0, place.numbers};
    fill_transposed<HEAD>(place.queries, Rows{of.q, of.q_stride, nullptr, queries, of.head_size}, of.scale);

    float largest[ROWS];
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) largest[i] = -infinity();
    while (u32 kept = walk.advance()) {
        __syncthreads();
        fill_transposed<HEAD>(place.tile, Rows{of.k, of.k_stride, walk.numbers, kept, of.head_size}, 1.0f);
        __syncthreads();
        float scores[ROWS][ACROSS];
        score(scores, place.queries, place.tile, part, of.head_size);
#pragma unroll
        for (u32 i = 0; i < ROWS; ++i) {
#pragma unroll
            for (u32 j = 0; j < ACROSS; ++j) {
                if (part.column + j < kept) largest[i] = larger(largest[i], scores[i][j]);
            }
        }
    }
    share_largest(largest, place.rows, part);
    // Where every score is -inf, so is the largest, and the weights are exp(-inf): the row is zeros. No branch for it, so that
    // exponentials overlap.
    float base[ROWS];
#pragma unroll
    for (u32 i = 0; i < ROWS; ++i) base[i] = largest[i] == -infinity() ? 0.0f : largest[i];

    // Finished blocks wait in the thread's own memory, which is seldom used, and leave the registers to the one that grows.
    float block[PARTS][ROWS][ACROSS] = {}, sum = 0.0f;
    volatile float total[PARTS * ROWS * ACROSS];
    auto finish_block = [&](bool is_first) {
#pragma unroll
        for (u32 at = 0; at < PARTS * ROWS * ACROSS; ++at) {
            float& from = block[at / (ROWS * ACROSS)][at / ACROSS % ROWS][at % ACROSS];
            total[at] = is_first ? from : total[at] + from;
            from = 0.0f;
        }
    };
    walk.next = 0;
    u32 tiles = 0;
    while (u32 kept = walk.advance()) {
        __syncthreads();
        fill_transposed<HEAD>(place.tile, Rows{of.k, of.k_stride, walk.numbers, kept, of.head_size}, 1.0f);
        __syncthreads();
        float scores[ROWS][ACROSS];
        score(scores, place.queries, place.tile, part, of.head_size);
#pragma unroll
        for (u32 j = 0; j < ACROSS; ++j) {
#pragma unroll
            for (u32 i = 0; i < ROWS; ++i) {
                place.weights[(part.column + j) * PITCH + part.row + i] = exp_of(scores[i][j] - base[i]);
            }
        }
        __syncthreads();
        fill<HEAD>(place.tile, Rows{of.v, of.v_stride, walk.numbers, kept, of.head_size});
        // A thread for each query's sum.
        for (u32 from = 0; threadIdx.x < QUERIES && from < kept; from += KEYS_OF_A_SUM) {
            float some = 0.0f;
#pragma unroll
            for (u32 key = 0; key < KEYS_OF_A_SUM; ++key) {
                if (from + key < kept) some = some + place.weights[(from + key) * PITCH + threadIdx.x];
            }
            sum = sum + some;
        }
        __syncthreads();
#pragma unroll 8
        for (u32 key = 0; key < kept; ++key) {
#pragma unroll
            for (u32 at = 0; at < PARTS; ++at) {
                add_step(block[at], place.weights + key * PITCH + part.row, place.tile + key * (HEAD + 4) + at * 64 + part.column);
            }
        }
        ++tiles;
        if (tiles % TILES_OF_A_BLOCK == 0) finish_block(tiles == TILES_OF_A_BLOCK);
    }
    if (tiles % TILES_OF_A_BLOCK != 0) finish_block(tiles < TILES_OF_A_BLOCK);
    if (threadIdx.x < QUERIES) {
        // A row that kept no key has a largest score of -inf, too, and no tile.
        float of_row = larger(place.rows[threadIdx.x], place.rows[QUERIES + threadIdx.x]);
        place.rows[threadIdx.x] = of_row == -infinity() ? 0.0f : 1.0f / sum;
    }
    __syncthreads();
#pragma unroll 1
    for (u32 i = 0; i < ROWS && part.row + i < queries; ++i) {
        u32 row = part.row + i;
#pragma unroll
        for (u32 at = 0; at < PARTS; ++at) {
#pragma unroll
            for (u32 j = 0; j < ACROSS; ++j) {
                u32 column = at * 64 + part.column + j;
                float value = tiles == 0 ? 0.0f : total[(at * ROWS + i) * ACROSS + j] * place.rows[row];
                if (column < of.head_size) of.out[row * of.out_stride + column] = value;
            }
        }
    }
}

// Arguments and grid are those of `attention.cu`, with groups of 64 queries. HEAD is the least of 64 and 128 that a head fits in.
#define ATTENTION_KERNEL(HEAD, resident)                                                                              \
    RESIDENT_KERNEL(THREADS, resident)                                                                                \
    attention_f32_##HEAD(const float* q, const float* k, const float* v, i64 q_stride, i64 k_stride, i64 v_stride,    \
                         const i64* ends, const u8* mask, float* out, i64 batch, i64 query_len, i64 key_len,          \
                         i64 tokens, u32 head_size, float scale) {                                                    \
        SHARED_MEMORY(float, shared);                                                                                 \
        Group group = group_of<QUERIES>(blockIdx.x, ends, batch, query_len, key_len, tokens);                         \
        if (group.queries == 0) return;                                                                               \
        i64 column = i64(blockIdx.y) * head_size, out_stride = i64(gridDim.y) * head_size;                            \
        Operands of{q + group.query * q_stride + column, k + group.key * k_stride + column,                           \
                    v + group.key * v_stride + column, q_stride, k_stride, v_stride,                                  \
                    mask ? mask + group.key : nullptr, out + group.query * out_stride + column, out_stride,           \
                    head_size, scale};                                                                                \
        attend<HEAD>(of, u32(group.queries), group.keys, shared);                                                     \
    }                                                                                                                 \
    EMULATED(attention_f32_##HEAD)

ATTENTION_KERNEL(64, 4)
ATTENTION_KERNEL(128, 2)
