// `out = round(activation(a b + bias) + residual)` without tensor cores, b as `[k, n]` or `[n, k]`, in any of the float types:
// f32 products, and those in half precision that `linear_mma.cu` does not take.
//
// Every element is summed as on the CPU: a chain of fused multiply-adds from zero for each 256 columns of k, the chains' sums
// added in ascending order. It depends on k alone, so the tile may be chosen by m and n, and bits are the CPU's.

#include "activation.cuh"

// Columns of k that one chain sums.
#define CHAIN 256

enum Type { F32, F16, BF16 };

// What a block of ROWS by COLUMNS is cut into, for threads, and how many columns of k are in shared memory at a time.
template <int ROWS_, int COLUMNS_, int SIDE_, int DEPTH_> struct Shape {
    static constexpr u32 ROWS = ROWS_, COLUMNS = COLUMNS_, SIDE = SIDE_, DEPTH = DEPTH_;
    static constexpr u32 THREADS = ROWS * COLUMNS / (SIDE * SIDE);
    // Rows of shared memory are columns of k; four values more keep their writes in different banks.
    static constexpr u32 ROW_PITCH = ROWS + 4, COLUMN_PITCH = COLUMNS + 4;
    static constexpr u32 STAGE = DEPTH * (ROW_PITCH + COLUMN_PITCH);
    // A thread's elements are squares of WIDTH by WIDTH; a warp has four of them one above the other, and eight side by side.
    static constexpr u32 WIDTH = SIDE < 4 ? SIDE : 4, PARTS = SIDE / WIDTH, ELEMENTS = SIDE * SIDE;
};

template <class T, u32 COUNT> struct __align__(COUNT * sizeof(T)) Neighbours {
    T values[COUNT];
};

template <class T> using Four = Neighbours<T, 4>;

// A matrix whose rows lie side by side.
struct Matrix {
    const void* data;
    u32 type;
    i64 rows, columns;
};

struct Product {
    Matrix a, b;
    const float* bias;
    const void* residual;
    void* out;
    u32 out_type;
    i64 m, n, k;
    u32 activation;
};

__device__ __forceinline__ i64 size_of(u32 type) { return type == F32 ? 4 : 2; }

__device__ __forceinline__ const void* moved(const void* data, u32 type, i64 elements) {
    return static_cast<const u8*>(data) + elements * size_of(type);
}

// Whether four elements of every row, from each fourth on, may be read or written at once.
__device__ __forceinline__ bool is_aligned(const void* data, u32 type, i64 columns) {
    return (u64(data) & (4 * size_of(type) - 1)) == 0 && columns % 4 == 0;
}

// Whether reads need no look at the type and place, so that they can be under way while others are used.
__device__ __forceinline__ bool is_plain(const Matrix& matrix) {
    return matrix.type == F32 && is_aligned(matrix.data, matrix.type, matrix.columns);
}

template <class T>
__device__ __forceinline__ void load_four(float (&to)[4], const T* row, i64 column, i64 columns, bool aligned) {
    if (aligned && column < columns) {
        Four<T> four = *reinterpret_cast<const Four<T>*>(row + column);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) to[i] = load(four.values[i]);
        return;
    }
#pragma unroll
    for (u32 i = 0; i < 4; ++i) to[i] = column + i < columns ? load(row[column + i]) : 0.0f;
}

template <class T>
__device__ __forceinline__ void store_four(T* row, const float (&from)[4], i64 column, i64 columns, bool aligned) {
    if (aligned) {
        Four<T> four;
#pragma unroll
        for (u32 i = 0; i < 4; ++i) four.values[i] = store<T>(from[i]);
        *reinterpret_cast<Four<T>*>(row + column) = four;
        return;
    }
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        if (column + i < columns) row[column + i] = store<T>(from[i]);
    }
}

// Four neighbours as they lie in memory.
template <class T> struct __align__(4 * sizeof(T)) Words {
    u32 at[sizeof(T)];
};

// One of four.
template <class T> __device__ __forceinline__ float value_of(const u32 (&words)[4], u32 which) {
    T half;
    half.bits = u16(words[which / 2] >> which % 2 * 16);
    return load(half);
}

template <> __device__ __forceinline__ float value_of<float>(const u32 (&words)[4], u32 which) { return from_bits(words[which]); }

// A part of a matrix on its way to shared memory, of ACROSS values in each of DOWN rows: four neighbours at a time, each thread
// its share. Zeros where there is no such element. Values become f32 when they are put there and not before, so that all reads can
// be under way while others are used. TURNED: rows of the matrix become columns there, and lanes share them so that they write to
// different banks, while two of them read 32 bytes of a row.
template <u32 DOWN, u32 ACROSS, u32 THREADS, bool TURNED> struct Part {
    static constexpr u32 PIECES = DOWN * ACROSS / 4 / THREADS;
    static_assert(PIECES * THREADS * 4 == DOWN * ACROSS, "threads share it evenly");
    u32 words[PIECES][4];

    // The row and the first column of a thread's piece.
    static constexpr bool IN_PAIRS = TURNED && ACROSS > 8;
    static __device__ __forceinline__ u32 row_of(u32 number) { return IN_PAIRS ? number / 2 % DOWN : number / (ACROSS / 4); }
    static __device__ __forceinline__ u32 column_of(u32 number) {
        return (IN_PAIRS ? number / (2 * DOWN) * 2 + number % 2 : number % (ACROSS / 4)) * 4;
    }

    // Rows of the matrix begin at multiples of four elements.
    template <class T>
    __device__ __forceinline__ void fetch_aligned(const Matrix& from, i64 row, i64 column, i64 columns, u32 thread) {
#pragma unroll
        for (u32 piece = 0; piece < PIECES; ++piece) {
            u32 number = piece * THREADS + thread;
            i64 y = row + row_of(number), x = column + column_of(number);
            Words<T> four = {};
            if (y < from.rows && x < columns) {
                four = *reinterpret_cast<const Words<T>*>(static_cast<const T*>(from.data) + y * from.columns + x);
            }
#pragma unroll
            for (u32 i = 0; i < sizeof(T); ++i) words[piece][i] = four.at[i];
        }
    }

    // Of any rows; values are f32 at once.
    template <class T>
    __device__ __forceinline__ void fetch_singly(const Matrix& from, i64 row, i64 column, i64 columns, u32 thread) {
#pragma unroll
        for (u32 piece = 0; piece < PIECES; ++piece) {
            u32 number = piece * THREADS + thread;
            i64 y = row + row_of(number), x = column + column_of(number);
            const T* at = static_cast<const T*>(from.data) + y * from.columns;
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                words[piece][i] = bits_of(y < from.rows && x + i < columns ? load(at[x + i]) : 0.0f);
            }
        }
    }

    template <class T>
    __device__ __forceinline__ void fetch_as(const Matrix& from, i64 row, i64 column, i64 columns, bool aligned, u32 thread) {
        if (aligned) return fetch_aligned<T>(from, row, column, columns, thread);
        fetch_singly<T>(from, row, column, columns, thread);
    }

    // From `row`, `column` on; columns from `columns` on count as zeros.
    template <bool PLAIN>
    __device__ __forceinline__ void fetch(const Matrix& from, i64 row, i64 column, i64 columns, bool aligned, u32 thread) {
        if (PLAIN) return fetch_aligned<float>(from, row, column, columns, thread);
        switch (from.type) {
            case F16: return fetch_as<f16>(from, row, column, columns, aligned, thread);
            case BF16: return fetch_as<bf16>(from, row, column, columns, aligned, thread);
            default: return fetch_as<float>(from, row, column, columns, aligned, thread);
        }
    }

    template <class T, class To> __device__ __forceinline__ void stash_as(To to, u32 thread) const {
#pragma unroll
        for (u32 piece = 0; piece < PIECES; ++piece) {
            u32 number = piece * THREADS + thread;
            u32 y = row_of(number), x = column_of(number);
#pragma unroll
            for (u32 i = 0; i < 4; ++i) to(y, x + i) = value_of<T>(words[piece], i);
        }
    }

    // Puts each value where `to` of its row and column is. `aligned` and `type` are those of the fetch.
    template <bool PLAIN, class To> __device__ __forceinline__ void stash(To to, u32 type, bool aligned, u32 thread) const {
        switch (PLAIN || !aligned ? u32(F32) : type) {
            case F16: return stash_as<f16>(to, thread);
            case BF16: return stash_as<bf16>(to, thread);
            default: return stash_as<float>(to, thread);
        }
    }
};

// The chains of a thread: its squares' rows and columns are ROWS / PARTS and COLUMNS / PARTS apart.
template <class S> using Sums = float[S::SIDE][S::SIDE];

// Where a thread's squares begin. Lanes of a warp share what they read.
template <class S> struct Place {
    u32 row, column;

    static __device__ __forceinline__ Place of(u32 thread) {
        constexpr u32 ACROSS = S::COLUMNS / S::SIDE / 8;
        u32 warp = thread / WARP, lane = thread % WARP;
        return Place{(warp / ACROSS * 4 + lane / 8) * S::WIDTH, (warp % ACROSS * 8 + lane % 8) * S::WIDTH};
    }
};

template <class S>
__device__ __forceinline__ void add_step(Sums<S>& sums, const float* a, const float* b) {
    float left[S::SIDE], right[S::SIDE];
#pragma unroll
    for (u32 part = 0; part < S::PARTS; ++part) {
        using Side = Neighbours<float, S::WIDTH>;
        Side of_a = *reinterpret_cast<const Side*>(a + part * (S::ROWS / S::PARTS));
        Side of_b = *reinterpret_cast<const Side*>(b + part * (S::COLUMNS / S::PARTS));
#pragma unroll
        for (u32 i = 0; i < S::WIDTH; ++i) {
            left[part * S::WIDTH + i] = of_a.values[i];
            right[part * S::WIDTH + i] = of_b.values[i];
        }
    }
#pragma unroll
    for (u32 i = 0; i < S::SIDE; ++i) {
#pragma unroll
        for (u32 j = 0; j < S::SIDE; ++j) sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
    }
}

// One tile's walk over k, by the threads of one group.
template <class S, bool TRANSPOSED, bool PLAIN> struct Walk {
    const Product& of;
    i64 row, column;
    float* shared;
    u32 thread;
    bool a_aligned, b_aligned;
    Part<S::ROWS, S::DEPTH, S::THREADS, true> a;
    Part<TRANSPOSED ? S::COLUMNS : S::DEPTH, TRANSPOSED ? S::DEPTH : S::COLUMNS, S::THREADS, TRANSPOSED> b;

    __device__ __forceinline__ Walk(const Product& of, i64 row, i64 column, float* shared, u32 thread)
        : of(of), row(row), column(column), shared(shared), thread(thread) {
        a_aligned = is_aligned(of.a.data, of.a.type, of.a.columns);
        b_aligned = is_aligned(of.b.data, of.b.type, of.b.columns);
    }

    // Reads columns `from..` of k, of which those up to `end` count.
    __device__ __forceinline__ void fetch(i64 from, i64 end) {
        a.template fetch<PLAIN>(of.a, row, from, end, a_aligned, thread);
        if (TRANSPOSED) {
            b.template fetch<PLAIN>(of.b, column, from, end, b_aligned, thread);
        } else {
            b.template fetch<PLAIN>(of.b, from, column, of.n, b_aligned, thread);
        }
    }

    // Shared memory has a row for each column of k.
    __device__ __forceinline__ void stash(u32 stage) {
        float *left = shared + stage * S::STAGE, *right = left + S::DEPTH * S::ROW_PITCH;
        auto to_left = [=](u32 y, u32 x) -> float& { return left[x * S::ROW_PITCH + y]; };
        auto to_right = [=](u32 y, u32 x) -> float& {
            return TRANSPOSED ? right[x * S::COLUMN_PITCH + y] : right[y * S::COLUMN_PITCH + x];
        };
        a.template stash<PLAIN>(to_left, of.a.type, a_aligned, thread);
        b.template stash<PLAIN>(to_right, of.b.type, b_aligned, thread);
    }

    // Adds `count` columns of k in ascending order.
    __device__ __forceinline__ void add(Sums<S>& sums, u32 stage, const Place<S>& place, i64 count) const {
        const float* left = shared + stage * S::STAGE + place.row;
        const float* right = shared + stage * S::STAGE + S::DEPTH * S::ROW_PITCH + place.column;
        if (count >= S::DEPTH) {
#pragma unroll 8
            for (u32 k = 0; k < S::DEPTH; ++k, left += S::ROW_PITCH, right += S::COLUMN_PITCH) add_step<S>(sums, left, right);
            return;
        }
        // Zeros behind the last column would turn a sum of -0 into 0.
#pragma unroll 1
        for (u32 k = 0; k < count; ++k, left += S::ROW_PITCH, right += S::COLUMN_PITCH) add_step<S>(sums, left, right);
    }
};

// What follows the sums, for the four neighbours of an output row from `column` on.
template <class U>
__device__ __forceinline__ void finish_as(const Product& of, float (&values)[4], i64 row, i64 column, bool aligned) {
    if (of.residual) {
        float more[4];
        load_four(more, static_cast<const U*>(of.residual) + row * of.n, column, of.n, aligned);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) values[i] = values[i] + more[i];
    }
    store_four(static_cast<U*>(of.out) + row * of.n, values, column, of.n, aligned);
}

__device__ __forceinline__ void finish(const Product& of, float (&values)[4], i64 row, i64 column, bool aligned) {
    if (row >= of.m || column >= of.n) return;
    if (of.bias) {
#pragma unroll
        for (u32 i = 0; i < 4; ++i) values[i] = values[i] + (column + i < of.n ? of.bias[column + i] : 0.0f);
    }
    activate(values, of.activation);
    switch (of.out_type) {
        case F16: return finish_as<f16>(of, values, row, column, aligned);
        case BF16: return finish_as<bf16>(of, values, row, column, aligned);
        default: return finish_as<float>(of, values, row, column, aligned);
    }
}

__device__ __forceinline__ bool finishes_aligned(const Product& of) {
    return is_aligned(of.out, of.out_type, of.n) && (!of.residual || is_aligned(of.residual, of.out_type, of.n));
}

// A block of one group. Finished chains wait in the thread's own memory (volatile, or they would be read all at once, into registers
// that there are not), which costs a 256th of the multiply-adds, and the
// registers stay for the one that grows.
template <class S, bool TRANSPOSED, bool PLAIN>
__device__ __forceinline__ void multiply(const Product& of, i64 row, i64 column, float* shared) {
    Walk<S, TRANSPOSED, PLAIN> walk(of, row, column, shared, threadIdx.x);
    Place<S> place = Place<S>::of(threadIdx.x);
    Sums<S> sums = {};
    volatile float kept[S::ELEMENTS];
    walk.fetch(0, of.k);
    walk.stash(0);
    __syncthreads();
    u32 stage = 0;
#pragma unroll 1
    for (i64 from = 0; from < of.k; from += S::DEPTH) {
        bool continues = from + S::DEPTH < of.k;
        if (continues) walk.fetch(from + S::DEPTH, of.k);
        walk.add(sums, stage, place, of.k - from);
        if (continues) walk.stash(stage ^ 1);
        __syncthreads();
        stage ^= 1;
        if ((from + S::DEPTH) % CHAIN != 0 && continues) continue;
        bool is_first = from < CHAIN;
#pragma unroll
        for (u32 at = 0; at < S::ELEMENTS; ++at) {
            float& sum = sums[at / S::SIDE][at % S::SIDE];
            kept[at] = is_first ? sum : kept[at] + sum;
            sum = 0.0f;
        }
    }
    bool aligned = finishes_aligned(of);
#pragma unroll 1
    for (u32 at = 0; at < S::ELEMENTS; at += 4) {
        u32 y = at / S::SIDE, x = at % S::SIDE / 4;
        float values[4];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) values[i] = of.k > 0 ? kept[at + i] : 0.0f;
        i64 to_row = row + place.row + y / 4 * (S::ROWS / S::PARTS) + y % 4;
        finish(of, values, to_row, column + place.column + x * (S::COLUMNS / S::PARTS), aligned);
    }
}

// A block of several groups, each with chains of its own: for products of few elements, which would wait for one long chain. The
// first group adds up what they found, in ascending order. There is little of each thread's to do and one copy of what follows, since
// small products wait for instructions to be read, too.
template <class S, bool TRANSPOSED, bool PLAIN>
__device__ __forceinline__ void multiply_in_groups(const Product& of, i64 row, i64 column, float* shared) {
    static_assert(S::ROWS * S::COLUMNS == 4 * S::THREADS, "each thread finishes four neighbours");
    static_assert(S::ROWS * S::COLUMNS <= 2 * S::STAGE, "sums fit where tiles were");
    u32 groups = blockDim.x / S::THREADS, group = threadIdx.x / S::THREADS, thread = threadIdx.x % S::THREADS;
    float* own = shared + group * 2 * S::STAGE;
    Walk<S, TRANSPOSED, PLAIN> walk(of, row, column, own, thread);
    Place<S> place = Place<S>::of(thread);
    // A warp beyond the last row still copies for the others.
    constexpr u32 WARP_ROWS = 4 * S::WIDTH;
    bool works = row + place.row / WARP_ROWS * WARP_ROWS < of.m;
    u32 y = thread / (S::COLUMNS / 4), x = thread % (S::COLUMNS / 4) * 4;
    float totals[4] = {};
#pragma unroll 1
    for (i64 round = 0; round * CHAIN < of.k; round += groups) {
        i64 start = (round + group) * CHAIN, end = of.k - start < CHAIN ? of.k : start + CHAIN;
        Sums<S> sums = {};
        walk.fetch(start, end);
        walk.stash(0);
        __syncthreads();
#pragma unroll 1
        for (u32 step = 0; step < CHAIN / S::DEPTH; ++step) {
            i64 from = start + step * S::DEPTH;
            bool continues = step + 1 < CHAIN / S::DEPTH;
            if (continues) walk.fetch(from + S::DEPTH, end);
            if (works) walk.add(sums, step % 2, place, end - from);
            if (continues) walk.stash((step + 1) % 2);
            __syncthreads();
        }
        // Tiles make room for sums, and sums for tiles.
#pragma unroll
        for (u32 at = 0; at < S::ELEMENTS; ++at) {
            own[(place.row + at / S::SIDE) * S::COLUMNS + place.column + at % S::SIDE] = sums[at / S::SIDE][at % S::SIDE];
        }
        __syncthreads();
        for (u32 other = 0; group == 0 && other < groups && (round + other) * CHAIN < of.k; ++other) {
            Four<float> found = *reinterpret_cast<const Four<float>*>(shared + other * 2 * S::STAGE + y * S::COLUMNS + x);
#pragma unroll
            for (u32 i = 0; i < 4; ++i) totals[i] = round + other == 0 ? found.values[i] : totals[i] + found.values[i];
        }
        __syncthreads();
    }
    if (group == 0) finish(of, totals, row + y, column + x, finishes_aligned(of));
}

// Blocks along x are tiles of rows, product by product of a batch, along y tiles of columns. The strides are elements from one
// product's factors and output to the next's. `bias` and `residual` may be null; the residual is of the output's type and batch.
#define PRODUCT_KERNEL(ROWS, COLUMNS, name, TRANSPOSED, S, multiply, threads, resident)                                \
    RESIDENT_KERNEL(threads, resident)                                                                                \
    product_##ROWS##x##COLUMNS##_##name(const void* a, const void* b, const float* bias, const void* residual,        \
                                        void* out, i64 m, i64 n, i64 k, i64 a_stride, i64 b_stride, i64 out_stride,   \
                                        u32 a_type, u32 b_type, u32 out_type, u32 activation) {                       \
        SHARED_MEMORY(float, shared);                                                                                 \
        i64 tiles = (m + ROWS - 1) / ROWS, number = i64(blockIdx.x) / tiles, tile = i64(blockIdx.x) % tiles;          \
        const void* more = residual ? moved(residual, out_type, number * out_stride) : nullptr;                       \
        void* to = const_cast<void*>(moved(out, out_type, number * out_stride));                                      \
        Matrix left{moved(a, a_type, number * a_stride), a_type, m, k};                                               \
        Matrix right{moved(b, b_type, number * b_stride), b_type, TRANSPOSED ? n : k, TRANSPOSED ? k : n};            \
        Product of{left, right, bias, more, to, out_type, m, n, k, activation};                                       \
        if (is_plain(left) && is_plain(right)) {                                                                      \
            multiply<S, TRANSPOSED, true>(of, tile * ROWS, i64(blockIdx.y) * COLUMNS, shared);                        \
        } else {                                                                                                      \
            multiply<S, TRANSPOSED, false>(of, tile * ROWS, i64(blockIdx.y) * COLUMNS, shared);                       \
        }                                                                                                             \
    }                                                                                                                 \
    EMULATED(product_##ROWS##x##COLUMNS##_##name)

using Large = Shape<128, 128, 8, 8>;
using Medium = Shape<64, 64, 8, 8>;
using Small = Shape<16, 32, 2, 32>;

// `a b`, and `a b^T`.
PRODUCT_KERNEL(128, 128, ab, false, Large, multiply, 256, 2)
PRODUCT_KERNEL(128, 128, abt, true, Large, multiply, 256, 2)
PRODUCT_KERNEL(64, 64, ab, false, Medium, multiply, 64, 8)
PRODUCT_KERNEL(64, 64, abt, true, Medium, multiply, 64, 8)
PRODUCT_KERNEL(16, 32, ab, false, Small, multiply_in_groups, 512, 2)
PRODUCT_KERNEL(16, 32, abt, true, Small, multiply_in_groups, 512, 2)
