// `out = round(activation(x w^T + bias) + residual)` in one kernel, for f16 and bf16 on tensor cores.
//
// Every element is one chain of products over ascending k, 16 at a time, from zero: the same whatever the tile. So the tile may be
// chosen by how many rows there are, and a row's bits are its own all the same.

#include "activation.cuh"
#include "mma.cuh"

// What a block of ROWS by COLUMNS is cut into, for warps; how many columns of k a tile of x and w has, and how many tiles are in
// shared memory: one that is used, the others on their way.
template <int ROWS_, int COLUMNS_, int WARP_ROWS_, int WARP_COLUMNS_, int DEPTH_, int STAGES_> struct Shape {
    static constexpr u32 ROWS = ROWS_, COLUMNS = COLUMNS_, WARP_ROWS = WARP_ROWS_, WARP_COLUMNS = WARP_COLUMNS_;
    static constexpr u32 DEPTH = DEPTH_, STAGES = STAGES_;
    static constexpr u32 THREADS = ROWS / WARP_ROWS * (COLUMNS / WARP_COLUMNS) * WARP;
    static constexpr u32 PIECES = DEPTH / 8, ROW_BYTES = DEPTH * 2;
    static constexpr u32 STAGE_BYTES = (ROWS + COLUMNS) * ROW_BYTES;
    // Sums of a warp's row, eight banks farther apart than they are long.
    static constexpr u32 PITCH = WARP_COLUMNS + 8;
    static constexpr u32 STEPS = DEPTH / 16, LEFTS = WARP_ROWS / 16, RIGHTS = WARP_COLUMNS / 8;
};

template <class T> struct Linear {
    const T *x, *w;
    const float* bias;
    const T* residual;
    T* out;
    i64 m, n, k;
    u32 activation;
};

// Where a row's piece of 16 bytes lies in a tile, in an order that puts eight rows' same pieces into different banks.
template <class S> __device__ __forceinline__ u32 offset(u32 row, u32 piece) {
    u32 turned = S::PIECES == 8 ? row % 8 : row / 2 % 4;
    return row * S::ROW_BYTES + (piece ^ turned) * 16;
}

// A thread's part of the copies of one matrix: the same piece of every so many rows. In place of a row that there is not the last
// one is copied, since nobody looks at its sums.
template <class S, u32 ROWS, class T> struct Copies {
    static constexpr u32 APART = S::THREADS / S::PIECES, COUNT = (ROWS + APART - 1) / APART;
    static_assert(S::THREADS % S::PIECES == 0 && APART % 8 == 0 && ROWS % APART == 0, "rows turn alike");
    const u8* from;
    // Of rows, in bytes.
    u32 rows[COUNT];
    u32 column, to;

    __device__ __forceinline__ Copies(const T* matrix, i64 row, i64 end, i64 k) {
        u32 mine = threadIdx.x / S::PIECES, piece = threadIdx.x % S::PIECES;
        u32 last = end - row < ROWS ? u32(end - row) - 1 : ROWS - 1;
        column = piece * 8;
        from = reinterpret_cast<const u8*>(matrix + row * k + column);
        to = offset<S>(mine, piece);
#pragma unroll
        for (u32 at = 0; at < COUNT; ++at) {
            u32 y = mine + at * APART;
            rows[at] = (y < last ? y : last) * u32(k) * u32(sizeof(T));
        }
    }

    // Begins to copy the tile at column `start`; zeros where there are no columns.
    __device__ __forceinline__ void begin(Shared tile, u32 start, u32 k) const {
        bool inside = start + column < k;
        const u8* here = from + (inside ? i32(start) : -i32(column)) * i32(sizeof(T));
#pragma unroll
        for (u32 at = 0; at < COUNT; ++at) copy_later(tile + (to + at * APART * S::ROW_BYTES), here + rows[at], !inside);
    }
};

template <class S> struct Fragments {
    u32 left[S::LEFTS][4], right[S::RIGHTS][2];

    // Those of 16 columns, the `step`th of a tile of x and w.
    __device__ __forceinline__ void load(Shared stage, u32 warp_row, u32 warp_column, u32 step) {
        u32 lane = threadIdx.x % WARP;
        Shared x = stage + offset<S>(warp_row + lane % 16, step * 2 + lane / 16);
        Shared w = stage + (S::ROWS * S::ROW_BYTES + offset<S>(warp_column + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
#pragma unroll
        for (u32 i = 0; i < S::LEFTS; ++i) load_left(left[i], x + i * 16 * S::ROW_BYTES);
#pragma unroll
        for (u32 j = 0; j < S::RIGHTS; j += 2) {
            load_matrices(right[j][0], right[j][1], right[j + 1][0], right[j + 1][1], w + j * 8 * S::ROW_BYTES);
        }
    }
};

template <class S> using Sums = float[S::LEFTS][S::RIGHTS][4];

// The sums of a block, each warp's in its registers.
template <class S, class T>
__device__ __forceinline__ void sum_products(Sums<S>& sums, const Linear<T>& of, i64 row, i64 column, u32 warp_row, u32 warp_column,
                                             Shared shared) {
    Copies<S, S::ROWS, T> x(of.x, row, of.m, of.k);
    Copies<S, S::COLUMNS, T> w(of.w, column, of.n, of.k);
    u32 k = u32(of.k), tiles = (k + S::DEPTH - 1) / S::DEPTH;
    auto stage = [&](u32 tile) { return shared + tile % S::STAGES * S::STAGE_BYTES; };
    auto begin = [&](u32 tile) {
        if (tile < tiles) {
            x.begin(stage(tile), tile * S::DEPTH, k);
            w.begin(stage(tile) + S::ROWS * S::ROW_BYTES, tile * S::DEPTH, k);
        }
        commit_copies();
    };
    // The next tile is there, and what was read before is in registers.
    auto meet = [&] {
        wait_for_copies<S::STAGES - 2>();
        __syncthreads();
    };
    for (u32 tile = 0; tile < S::STAGES - 1; ++tile) begin(tile);
    meet();
    // What is multiplied, and what is on its way from shared memory.
    Fragments<S> fragments[2];
    fragments[0].load(stage(0), warp_row, warp_column, 0);
#pragma unroll 1
    for (u32 tile = 0; tile < tiles; ++tile) {
#pragma unroll
        for (u32 step = 0; step < S::STEPS; ++step) {
            bool is_last = step + 1 == S::STEPS;
            if (is_last) meet();
            // Before copies are begun: a compiler leaves the two in order, and would put both behind the products.
            fragments[(step + 1) % 2].load(stage(is_last ? tile + 1 : tile), warp_row, warp_column, (step + 1) % S::STEPS);
            if (step == 0) begin(tile + S::STAGES - 1);
            multiply<T>(sums, fragments[step % 2].left, fragments[step % 2].right);
        }
    }
}

template <class T> struct __align__(16) Eight {
    T values[8];
};

// A lane's part of what follows the sums of a warp: in each of so many rows the eight neighbours from `column` on, whose sums begin
// at `from`.
template <class S, class T> struct Runs {
    static constexpr u32 ACROSS = S::WARP_COLUMNS / 8, APART = WARP / ACROSS, OF_LANE = S::WARP_ROWS / APART;
    // Two at once wait half as long for what they read.
    static constexpr u32 AT_ONCE = OF_LANE % 2 == 0 ? 2 : 1;
    const Linear<T>& of;
    const float* from;
    i64 row, column;

    // One loop for each function.
    template <class Function> __device__ __forceinline__ void operator()(Function function) const {
        bool aligned = of.n % 8 == 0 && (u64(of.out) | u64(of.residual)) % 16 == 0;
        if (!aligned) return singly(function);
        if (column >= of.n) return;
        float bias[8];
        // Minus zero changes no sum.
#pragma unroll
        for (u32 i = 0; i < 8; ++i) bias[i] = of.bias ? of.bias[column + i] : -0.0f;
#pragma unroll 1
        for (u32 first = 0; first < S::WARP_ROWS; first += AT_ONCE * APART) {
            float values[AT_ONCE][8];
#pragma unroll
            for (u32 at = 0; at < AT_ONCE; ++at) {
#pragma unroll
                for (u32 i = 0; i < 8; ++i) values[at][i] = from[(first + at * APART) * S::PITCH + i];
            }
            // Whether or not there are such rows.
#pragma unroll
            for (u32 at = 0; at < AT_ONCE; ++at) {
#pragma unroll
                for (u32 i = 0; i < 8; ++i) values[at][i] = function(values[at][i] + bias[i]);
            }
#pragma unroll
            for (u32 at = 0; at < AT_ONCE; ++at) {
                i64 y = row + first + at * APART;
                if (y < of.m) store_eight(values[at], y * of.n + column);
            }
        }
    }

    __device__ __forceinline__ void store_eight(float (&values)[8], i64 at) const {
        if (of.residual) {
            Eight<T> more = *reinterpret_cast<const Eight<T>*>(of.residual + at);
#pragma unroll
            for (u32 i = 0; i < 8; ++i) values[i] = values[i] + load(more.values[i]);
        }
        Eight<T> rounded;
#pragma unroll
        for (u32 i = 0; i < 8; ++i) rounded.values[i] = store<T>(values[i]);
        *reinterpret_cast<Eight<T>*>(of.out + at) = rounded;
    }

    // The same where rows begin anywhere.
    template <class Function> __device__ __forceinline__ void singly(Function function) const {
#pragma unroll 1
        for (u32 number = 0; number < OF_LANE * 8; ++number) {
            u32 y = number / 8 * APART, i = number % 8;
            if (row + y >= of.m || column + i >= of.n) continue;
            i64 at = (row + y) * of.n + column + i;
            float value = function(from[y * S::PITCH + i] + (of.bias ? of.bias[column + i] : -0.0f));
            of.out[at] = store<T>(of.residual ? value + load(of.residual[at]) : value);
        }
    }
};

// What follows the sums. They go through shared memory, so that a lane has eight neighbours, and there is one copy of each activation.
template <class S, class T>
__device__ __forceinline__ void finish(const Sums<S>& sums, const Linear<T>& of, i64 row, i64 column, float* staged) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 i = 0; i < S::LEFTS; ++i) {
#pragma unroll
        for (u32 j = 0; j < S::RIGHTS; ++j) {
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                float* to = staged + (i * 16 + half * 8 + lane / 4) * S::PITCH + j * 8 + lane % 4 * 2;
                to[0] = sums[i][j][half * 2];
                to[1] = sums[i][j][half * 2 + 1];
            }
        }
    }
    __syncwarp();
    u32 y = lane / Runs<S, T>::ACROSS, x = lane % Runs<S, T>::ACROSS * 8;
    with_activation(of.activation, Runs<S, T>{of, staged + y * S::PITCH + x, row + y, column + x});
}

template <class S, class T> __device__ __forceinline__ void linear(const Linear<T>& of, T* shared) {
    u32 warp = threadIdx.x / WARP, across = S::COLUMNS / S::WARP_COLUMNS;
    u32 warp_row = warp / across * S::WARP_ROWS, warp_column = warp % across * S::WARP_COLUMNS;
    // Neighbours share rows of x, of which there may be more than the cache holds.
    u32 tiles = (u32(of.n) + S::COLUMNS - 1) / S::COLUMNS;
    i64 row = i64(blockIdx.x / tiles) * S::ROWS, column = i64(blockIdx.x % tiles) * S::COLUMNS;
    Sums<S> sums = {};
    sum_products<S>(sums, of, row, column, warp_row, warp_column, shared_address(shared));
    // Tiles make room for sums.
    wait_for_copies<0>();
    __syncthreads();
    float* staged = reinterpret_cast<float*>(shared) + warp * S::WARP_ROWS * S::PITCH;
    finish<S>(sums, of, row + warp_row, column + warp_column, staged);
}

// A block per tile, row by row of tiles. Rows of x and w are multiples of 16 bytes; `bias` and `residual` may be null. Shared memory
// is for the tiles of all stages, and then for the sums.
#define LINEAR_KERNEL(ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, DEPTH, STAGES, resident, suffix, T)                     \
    using Of##ROWS##x##COLUMNS##_##suffix = Shape<ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS, DEPTH, STAGES>;             \
    RESIDENT_KERNEL((Of##ROWS##x##COLUMNS##_##suffix::THREADS), resident)                                             \
    linear_mma_##ROWS##x##COLUMNS##_##suffix(const T* x, const T* w, const float* bias, const T* residual, T* out,    \
                                             i64 m, i64 n, i64 k, u32 activation) {                                   \
        SHARED_MEMORY(T, shared);                                                                                     \
        linear<Of##ROWS##x##COLUMNS##_##suffix>(Linear<T>{x, w, bias, residual, out, m, n, k, activation}, shared);   \
    }                                                                                                                 \
    EMULATED(linear_mma_##ROWS##x##COLUMNS##_##suffix)

// The same table is in the backend's `MmaShape`.
#define LINEAR_KERNELS(suffix, T)                         \
    LINEAR_KERNEL(128, 128, 64, 64, 32, 3, 2, suffix, T)  \
    LINEAR_KERNEL(128, 64, 64, 32, 64, 3, 3, suffix, T)   \
    LINEAR_KERNEL(64, 64, 32, 32, 64, 3, 4, suffix, T)    \
    LINEAR_KERNEL(32, 32, 16, 16, 64, 6, 3, suffix, T)

LINEAR_KERNELS(f16, f16)
LINEAR_KERNELS(bf16, bf16)
