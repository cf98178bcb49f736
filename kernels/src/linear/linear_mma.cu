// `out = round(activation(x w^T + bias) + residual)` in one kernel, for f16 and bf16 on tensor cores: the sums stay in registers
// and are rounded once, where a library's product would write them to memory as f32 and a second kernel would read them back.
//
// Every element is one chain of products over ascending k, 16 at a time, from zero: the same whatever the tile. So the tile may be
// chosen by how many rows there are, and a row's bits are its own all the same.

#include "activation.cuh"
#include "mma.cuh"

// Columns of a tile of x and w, and how many tiles are in shared memory: one that is used, and two that are on their way.
#define DEPTH 32
#define STAGES 3

// What a block of ROWS by COLUMNS is cut into, for warps.
template <int ROWS_, int COLUMNS_, int WARP_ROWS_, int WARP_COLUMNS_> struct Shape {
    static constexpr u32 ROWS = ROWS_, COLUMNS = COLUMNS_, WARP_ROWS = WARP_ROWS_, WARP_COLUMNS = WARP_COLUMNS_;
    static constexpr u32 THREADS = ROWS / WARP_ROWS * (COLUMNS / WARP_COLUMNS) * WARP;
    static constexpr u32 STAGE = (ROWS + COLUMNS) * DEPTH;
};

template <class T> struct Linear {
    const T *x, *w;
    const float* bias;
    const T* residual;
    T* out;
    i64 m, n, k;
    u32 activation;
};

// A row of a tile is four pieces of 16 bytes, in an order that puts eight rows' same pieces into different banks.
template <class T> __device__ __forceinline__ T* at(T* tile, u32 row, u32 column) {
    return tile + row * DEPTH + ((column / 8) ^ (row / 2 % 4)) * 8 + column % 8;
}

// Begins to copy rows `row..` and columns `column..` to a tile; zeros where there are none.
template <u32 ROWS, u32 THREADS, class T>
__device__ __forceinline__ void fill(T* tile, const T* from, i64 row, i64 rows, i64 column, i64 columns) {
#pragma unroll
    for (u32 first = 0; first < ROWS * DEPTH / 8; first += THREADS) {
        u32 piece = first + threadIdx.x;
        if (ROWS * DEPTH / 8 % THREADS != 0 && piece >= ROWS * DEPTH / 8) break;
        u32 y = piece / (DEPTH / 8), x = piece % (DEPTH / 8) * 8;
        bool exists = row + y < rows && column + x < columns;
        copy_later(at(tile, y, x), exists ? from + (row + y) * columns + column + x : from, !exists);
    }
}

// The sums of a block, each warp's in its registers.
template <class S, class T>
__device__ __forceinline__ void sum_products(float (&sums)[S::WARP_ROWS / 16][S::WARP_COLUMNS / 8][4], const Linear<T>& of,
                                             i64 row, i64 column, u32 warp_row, u32 warp_column, T* shared) {
    u32 lane = threadIdx.x % WARP;
    // A warp beyond the last row still copies for the others.
    bool works = row + warp_row < of.m;
    i64 steps = (of.k + DEPTH - 1) / DEPTH;
    auto begin = [&](i64 step) {
        T* stage = shared + u32(step % STAGES) * S::STAGE;
        if (step < steps) {
            fill<S::ROWS, S::THREADS>(stage, of.x, row, of.m, step * DEPTH, of.k);
            fill<S::COLUMNS, S::THREADS>(stage + S::ROWS * DEPTH, of.w, column, of.n, step * DEPTH, of.k);
        }
        commit_copies();
    };
    for (i64 step = 0; step < STAGES - 1; ++step) begin(step);
#pragma unroll 1
    for (i64 step = 0; step < steps; ++step) {
        wait_for_copies<STAGES - 2>();
        // This step's tiles are there, and those of the last one no longer needed.
        __syncthreads();
        begin(step + STAGES - 1);
        if (!works) continue;
        T* x = shared + u32(step % STAGES) * S::STAGE;
        T* w = x + S::ROWS * DEPTH;
#pragma unroll
        for (u32 k = 0; k < DEPTH; k += 16) {
            u32 left[S::WARP_ROWS / 16][4], right[S::WARP_COLUMNS / 8][2];
#pragma unroll
            for (u32 i = 0; i < S::WARP_ROWS / 16; ++i) {
                load_left(left[i], at(x, warp_row + i * 16 + lane % 16, k + lane / 16 * 8));
            }
#pragma unroll
            for (u32 j = 0; j < S::WARP_COLUMNS / 8; j += 2) {
                const T* from = at(w, warp_column + j * 8 + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 8);
                load_matrices(right[j][0], right[j][1], right[j + 1][0], right[j + 1][1], from);
            }
            multiply<T>(sums, left, right);
        }
    }
}

template <class T> __device__ __forceinline__ T finished(const Linear<T>& of, float sum, i64 row, i64 column) {
    if (of.bias) sum = sum + of.bias[column];
    sum = activated(sum, of.activation);
    if (of.residual) sum = sum + load(of.residual[row * of.n + column]);
    return store<T>(sum);
}

// What follows the sums. They go through shared memory, 16 rows of a warp at a time, since registers have no numbers: so there is
// one copy of the activations, and neighbouring lanes store neighbours.
template <class S, class T>
__device__ __forceinline__ void finish(const float (&sums)[S::WARP_ROWS / 16][S::WARP_COLUMNS / 8][4], const Linear<T>& of,
                                       i64 row, i64 column, float* staged) {
    constexpr u32 PITCH = S::WARP_COLUMNS + 8, PAIRS = S::WARP_COLUMNS / 2;
    u32 lane = threadIdx.x % WARP;
#pragma unroll 1
    for (u32 turn = 0; turn < S::WARP_ROWS / 16; ++turn) {
#pragma unroll
        for (u32 i = 0; i < S::WARP_ROWS / 16; ++i) {
            if (i != turn) continue;
#pragma unroll
            for (u32 j = 0; j < S::WARP_COLUMNS / 8; ++j) {
                float* to = staged + lane / 4 * PITCH + j * 8 + lane % 4 * 2;
                to[0] = sums[i][j][0];
                to[1] = sums[i][j][1];
                to[8 * PITCH] = sums[i][j][2];
                to[8 * PITCH + 1] = sums[i][j][3];
            }
        }
        __syncwarp();
#pragma unroll 1
        for (u32 pair = lane; pair < 16 * PAIRS; pair += WARP) {
            u32 y = pair / PAIRS, x = pair % PAIRS * 2;
            i64 to_row = row + turn * 16 + y, to_column = column + x;
            if (to_row >= of.m || to_column >= of.n) continue;
            const float* from = staged + y * PITCH + x;
            T* to = of.out + to_row * of.n + to_column;
            T first = finished(of, from[0], to_row, to_column);
            if (to_column + 1 == of.n) {
                to[0] = first;
                continue;
            }
            T second = finished(of, from[1], to_row, to_column + 1);
            // Rows of even length begin at multiples of 4 bytes.
            if (of.n % 2 == 0) {
                *reinterpret_cast<u32*>(to) = packed(first, second);
            } else {
                to[0] = first;
                to[1] = second;
            }
        }
        __syncwarp();
    }
}

template <class S, class T> __device__ __forceinline__ void linear(const Linear<T>& of, T* shared) {
    u32 warp = threadIdx.x / WARP, across = S::COLUMNS / S::WARP_COLUMNS;
    u32 warp_row = warp / across * S::WARP_ROWS, warp_column = warp % across * S::WARP_COLUMNS;
    i64 row = i64(blockIdx.x) * S::ROWS, column = i64(blockIdx.y) * S::COLUMNS;
    float sums[S::WARP_ROWS / 16][S::WARP_COLUMNS / 8][4] = {};
    sum_products<S>(sums, of, row, column, warp_row, warp_column, shared);
    // Tiles make room for sums.
    wait_for_copies<0>();
    __syncthreads();
    float* staged = reinterpret_cast<float*>(shared) + warp * 16 * (S::WARP_COLUMNS + 8);
    finish<S>(sums, of, row + warp_row, column + warp_column, staged);
}

// Blocks along x are tiles of rows, along y of columns. Rows of x and w are multiples of 16 bytes; `bias` and `residual` may be
// null. Shared memory is for three tiles of x and of w.
#define LINEAR_KERNEL(ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, suffix, T)                                              \
    using Of##ROWS##x##COLUMNS##_##suffix = Shape<ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS>;                            \
    KERNEL((Of##ROWS##x##COLUMNS##_##suffix::THREADS))                                                                \
    linear_mma_##ROWS##x##COLUMNS##_##suffix(const T* x, const T* w, const float* bias, const T* residual, T* out,    \
                                             i64 m, i64 n, i64 k, u32 activation) {                                   \
        SHARED_MEMORY(T, shared);                                                                                     \
        linear<Of##ROWS##x##COLUMNS##_##suffix>(Linear<T>{x, w, bias, residual, out, m, n, k, activation}, shared);   \
    }                                                                                                                 \
    EMULATED(linear_mma_##ROWS##x##COLUMNS##_##suffix)

LINEAR_KERNEL(128, 128, 64, 32, f16, f16)
LINEAR_KERNEL(32, 64, 16, 32, f16, f16)
LINEAR_KERNEL(128, 128, 64, 32, bf16, bf16)
LINEAR_KERNEL(32, 64, 16, 32, bf16, bf16)
