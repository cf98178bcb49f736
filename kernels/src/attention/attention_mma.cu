// Attention over sequences on tensor cores, for f16 and bf16 and heads of up to 128 columns. A block takes 64 queries of one
// head, a warp 16 of them, by tiles of 32 keys that are counted from the sequence's own first.
//
// The largest score is found in a first walk over the keys, and weights are taken in a second: the scores are computed twice, as
// in `attention.cu`, in return for weights that are never scaled again. A weight goes into the second product as two or three
// numbers of 16 bits, so that it is as good as an f32 (`Parts`), and a tile's sums begin at zero and are added to the total by
// ordinary additions, which round where tensor cores may truncate.

#include "math.cuh"
#include "mma.cuh"
#include "sequences.cuh"
#include "warp.cuh"

#define QUERIES 64
#define KEYS 32
#define THREADS 128
// Tiles in shared memory: one that is used, the others on their way.
#define STAGES 4
// Queries of a warp.
#define ROWS 16

// A weight of 0..=1 as a sum of 16-bit numbers. The first is 0 only where the weight is (or, of bf16, is subnormal), so that an
// infinite value stays infinite; the others may only be taken times finite values.
template <class T> struct Parts;

// 2^15 times the weight in its first part and 2^27 times the rest in its second, to keep clear of f16's subnormals: together
// within 2^-23 of the weight, or 2^-52 where that is more.
template <> struct Parts<f16> {
    static constexpr int COUNT = 2;
    static constexpr float SCALE = 32768.0f, REST_SCALE = 4096.0f;

    static __device__ __forceinline__ void split(float weight, f16 (&parts)[COUNT]) {
        float scaled = weight * SCALE;
        parts[0] = store<f16>(scaled);
        if (parts[0].bits == 0 && weight > 0.0f) parts[0].bits = 1;
        parts[1] = store<f16>((scaled - load(parts[0])) * REST_SCALE);
    }
};

// The 24 bits of the weight, 8 in each part: exact.
template <> struct Parts<bf16> {
    static constexpr int COUNT = 3;
    static constexpr float SCALE = 1.0f, REST_SCALE = 1.0f;

    static __device__ __forceinline__ void split(float weight, bf16 (&parts)[COUNT]) {
#pragma unroll
        for (int part = 0; part < COUNT; ++part) {
            parts[part].bits = u16(bits_of(weight) >> 16);
            weight = weight - load(parts[part]);
        }
    }
};

// Rows of a head in shared memory, 8 elements farther apart than they are long, so that eight of them are in different banks.
template <int ROWS_OF_TILE, int HEAD, class T> struct Tile {
    static constexpr u32 PITCH_BYTES = (HEAD + 8) * sizeof(T), BYTES = ROWS_OF_TILE * PITCH_BYTES;
    unsigned char* first;
    Shared address;

    __device__ __forceinline__ explicit Tile(unsigned char* shared) : first(shared), address(shared_address(shared)) {}

    static __device__ __forceinline__ u32 offset(u32 row, u32 column) { return row * PITCH_BYTES + column * u32(sizeof(T)); }

    __device__ __forceinline__ Shared at(u32 row, u32 column) const { return address + offset(row, column); }

    // Begins to fill it with the rows of `from` that `numbers` names, or the first ones without it; zeros where there is no such
    // row or column. Rows that do not lie at multiples of 16 bytes are copied at once, one element at a time.
    __device__ __forceinline__ void fill(const T* from, i64 stride, const u32* numbers, u32 rows, u32 head_size) const {
        bool aligned = ((u64(from) | u64(stride) * sizeof(T) | head_size * sizeof(T)) & 15) == 0;
#pragma unroll
        for (u32 first_piece = 0; first_piece < ROWS_OF_TILE * HEAD / 8; first_piece += THREADS) {
            u32 piece = first_piece + threadIdx.x, row = piece / (HEAD / 8), column = piece % (HEAD / 8) * 8;
            bool exists = row < rows && column < head_size;
            const T* source = exists ? from + i64(numbers ? numbers[row] : row) * stride + column : from;
            if (aligned) {
                copy_later(at(row, column), source, !exists);
                continue;
            }
            T* to = reinterpret_cast<T*>(first + offset(row, column));
#pragma unroll 1
            for (u32 i = 0; i < 8; ++i) to[i] = exists && column + i < head_size ? source[i] : T{0};
        }
        commit_copies();
    }
};

// A warp's scores with a tile of keys, scaled; -inf where there is no key.
template <int HEAD, class T>
__device__ __forceinline__ void score(float (&scores)[KEYS / 8][4], const u32 (&query)[HEAD / 16][1][4],
                                      const Tile<KEYS, HEAD, T>& keys, u32 count, float scale) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 pair = 0; pair < KEYS / 16; ++pair) {
        float sums[1][2][4] = {};
#pragma unroll
        for (u32 step = 0; step < HEAD / 16; ++step) {
            u32 key[2][2];
            Shared from = keys.at(pair * 16 + lane / 16 * 8 + lane % 8, step * 16 + lane / 8 % 2 * 8);
            load_matrices(key[0][0], key[0][1], key[1][0], key[1][1], from);
            multiply<T>(sums, query[step], key);
        }
#pragma unroll
        for (u32 i = 0; i < 8; ++i) {
            u32 tile = 2 * pair + i / 4;
            bool exists = tile * 8 + lane % 4 * 2 + i % 2 < count;
            scores[tile][i % 4] = exists ? sums[0][i / 4][i % 4] * scale : -infinity();
        }
    }
}

// The parts of a tile's weights, as left factors of 16 keys each.
template <class T> using Weights = u32[KEYS / 16][Parts<T>::COUNT][4];

// Turns scores into weights and adds those to the sums of this lane's two rows.
template <class T>
__device__ __forceinline__ void weigh(Weights<T>& weights, const float (&scores)[KEYS / 8][4], const float (&largest)[2],
                                      float (&sums)[2]) {
    // Where every score is -inf, so is the largest, and the weights are exp(-inf): the row is zeros. No branch for it, so that
    // exponentials overlap.
    float base[2], tile_sums[2] = {0.0f, 0.0f};
    for (u32 row = 0; row < 2; ++row) base[row] = largest[row] == -infinity() ? 0.0f : largest[row];
#pragma unroll
    for (u32 at = 0; at < KEYS / 8; ++at) {
#pragma unroll
        for (u32 row = 0; row < 2; ++row) {
            T parts[2][Parts<T>::COUNT];
#pragma unroll
            for (u32 i = 0; i < 2; ++i) {
                float weight = exp_of(scores[at][row * 2 + i] - base[row]);
                tile_sums[row] = tile_sums[row] + weight;
                Parts<T>::split(weight, parts[i]);
            }
#pragma unroll
            for (int part = 0; part < Parts<T>::COUNT; ++part) {
                weights[at / 2][part][at % 2 * 2 + row] = packed(parts[0][part], parts[1][part]);
            }
        }
    }
    for (u32 row = 0; row < 2; ++row) sums[row] = sums[row] + tile_sums[row];
}

// `total += weights values`.
template <int HEAD, class T>
__device__ __forceinline__ void mix(float (&total)[HEAD / 8][4], const Weights<T>& weights, const Tile<KEYS, HEAD, T>& values) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 pair = 0; pair < HEAD / 16; ++pair) {
        // A sum for each part of the weights.
        float sums[Parts<T>::COUNT][2][4] = {};
#pragma unroll
        for (u32 step = 0; step < KEYS / 16; ++step) {
            u32 value[2][2];
            Shared from = values.at(step * 16 + lane % 16, pair * 16 + lane / 16 * 8);
            load_transposed(value[0][0], value[0][1], value[1][0], value[1][1], from);
            multiply<T>(sums, weights[step], value);
        }
#pragma unroll
        for (u32 i = 0; i < 8; ++i) {
            float rest = 0.0f, &to = total[2 * pair + i / 4][i % 4];
#pragma unroll
            for (int part = Parts<T>::COUNT - 1; part > 0; --part) rest = rest + sums[part][i / 4][i % 4];
            // Not finite only where the values are not: then the first parts say what the sum is.
            bool is_finite = rest - rest == 0.0f;
            to = to + (sums[0][i / 4][i % 4] + (is_finite ? rest * (1.0f / Parts<T>::REST_SCALE) : 0.0f));
        }
    }
}

template <class T> struct Operands {
    const T *q, *k, *v;
    i64 q_stride, k_stride, v_stride;
    const u8* mask;
    T* out;
    i64 out_stride;
    u32 head_size;
    float scale;
};

// Divides a warp's rows by their sums of weights and stores them. A row that kept no key has a largest score of -inf, too.
template <int HEAD, class T>
__device__ __forceinline__ void finish(const Operands<T>& of, const float (&total)[HEAD / 8][4], float (&sums)[2],
                                       const float (&largest)[2], u32 row, u32 queries) {
    u32 lane = threadIdx.x % WARP;
#pragma unroll
    for (u32 half = 0; half < 2; ++half) {
        // Over the four lanes that share a row.
        for (u32 apart = 2; apart > 0; apart /= 2) {
            sums[half] = sums[half] + __shfl_xor_sync(ALL_LANES, sums[half], apart);
        }
        float factor = largest[half] == -infinity() ? 0.0f : 1.0f / sums[half] * (1.0f / Parts<T>::SCALE);
        u32 mine = row + half * 8 + lane / 4;
        if (mine >= queries) continue;
        T* out = of.out + mine * of.out_stride;
#pragma unroll
        for (u32 at = 0; at < HEAD / 8; ++at) {
            u32 column = at * 8 + lane % 4 * 2;
            T first = store<T>(total[at][half * 2] * factor), second = store<T>(total[at][half * 2 + 1] * factor);
            // An even head begins at a multiple of 4 bytes.
            if (of.head_size % 2 == 0) {
                if (column < of.head_size) *reinterpret_cast<u32*>(out + column) = packed(first, second);
            } else {
                if (column < of.head_size) out[column] = first;
                if (column + 1 < of.head_size) out[column + 1] = second;
            }
        }
    }
}

// The tiles of keys and values that a block uses, in the order of their use, through a ring of them in shared memory: all keys for
// the largest score, then keys and values by turns. The copies of the next ones are under way while one is used.
template <int HEAD, class T> struct Ring {
    const Operands<T>& of;
    Tile<KEYS, HEAD, T> first;
    KeptKeys<KEYS> walk;
    // Of kept keys.
    u32 tiles;
    // The next tile to copy, and the keys of the last one.
    u32 next, count;

    __device__ __forceinline__ u32 all() const { return 3 * tiles; }

    __device__ __forceinline__ Tile<KEYS, HEAD, T> at(u32 number) const {
        Tile<KEYS, HEAD, T> tile = first;
        tile.first += number % STAGES * tile.BYTES;
        tile.address += number % STAGES * tile.BYTES;
        return tile;
    }

    // Begins to copy the next tile, if there is one.
    __device__ __forceinline__ void begin() {
        if (next >= all()) {
            commit_copies();
            return;
        }
        if (next == tiles) walk.next = 0;
        bool values = next > tiles && (next - tiles) % 2 == 1;
        // Values are those of the keys before them.
        if (!values) count = walk.advance();
        at(next).fill(values ? of.v : of.k, values ? of.v_stride : of.k_stride, walk.numbers, count, of.head_size);
        ++next;
    }

    // Waits for the tile of that number, while the block lets go of the one before it.
    __device__ __forceinline__ Tile<KEYS, HEAD, T> take(u32 number) {
        wait_for_copies<STAGES - 2>();
        __syncthreads();
        begin();
        return at(number);
    }
};

// One group of queries of one head; the operands begin at its first query and key.
template <int HEAD, class T>
__device__ __forceinline__ void attend(const Operands<T>& of, u32 queries, i64 keys, unsigned char* shared) {
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, row = warp * ROWS;
    Tile<QUERIES, HEAD, T> query_tile(shared);
    Tile<KEYS, HEAD, T> first(shared + query_tile.BYTES);
    u32* lists = reinterpret_cast<u32*>(shared + query_tile.BYTES + STAGES * first.BYTES);
    KeptKeys<KEYS> walk = {of.mask, keys, 0, lists + warp * KEYS};
    u32 kept = walk.count();
    Ring<HEAD, T> ring = {of, first, walk, (kept + KEYS - 1) / KEYS, 0, 0};
    auto count = [&](u32 tile) { return kept - tile * KEYS < KEYS ? kept - tile * KEYS : KEYS; };
    // A warp without queries still copies for the others.
    bool works = row < queries;

    query_tile.fill(of.q, of.q_stride, nullptr, queries, of.head_size);
    for (u32 number = 0; number < STAGES - 1; ++number) ring.begin();
    // The queries are older than all tiles.
    wait_for_copies<STAGES - 1>();
    __syncthreads();
    u32 query[HEAD / 16][1][4];
#pragma unroll
    for (u32 step = 0; step < HEAD / 16; ++step) {
        load_left(query[step][0], query_tile.at(row + lane % 16, step * 16 + lane / 16 * 8));
    }

    float largest[2] = {-infinity(), -infinity()};
#pragma unroll 1
    for (u32 at = 0; at < ring.tiles; ++at) {
        Tile<KEYS, HEAD, T> tile = ring.take(at);
        if (!works) continue;
        float scores[KEYS / 8][4];
        score(scores, query, tile, count(at), of.scale);
#pragma unroll
        for (u32 i = 0; i < KEYS / 8 * 4; ++i) largest[i / 2 % 2] = larger(largest[i / 2 % 2], scores[i / 4][i % 4]);
    }
#pragma unroll
    for (u32 half = 0; half < 2; ++half) {
        // Over the four lanes that share a row.
        for (u32 apart = 2; apart > 0; apart /= 2) {
            largest[half] = larger(largest[half], __shfl_xor_sync(ALL_LANES, largest[half], apart));
        }
    }

    float total[HEAD / 8][4] = {}, sums[2] = {0.0f, 0.0f};
#pragma unroll 1
    for (u32 at = 0; at < ring.tiles; ++at) {
        Weights<T> weights;
        Tile<KEYS, HEAD, T> tile = ring.take(ring.tiles + 2 * at);
        if (works) {
            float scores[KEYS / 8][4];
            score(scores, query, tile, count(at), of.scale);
            weigh<T>(weights, scores, largest, sums);
        }
        tile = ring.take(ring.tiles + 2 * at + 1);
        if (works) mix(total, weights, tile);
    }
    // None may be under way when the block ends.
    wait_for_copies<0>();
    if (works) finish<HEAD>(of, total, sums, largest, row, queries);
}

// Arguments and grid are those of `attention.cu`, with groups of 64 queries. HEAD is the least of 32, 64 and 128 that a head
// fits in; columns beyond it are zeros.
#define ATTENTION_KERNEL(HEAD, resident, suffix, T)                                                                             \
    RESIDENT_KERNEL(THREADS, resident)                                                                                                   \
    attention_mma_##HEAD##_##suffix(const T* q, const T* k, const T* v, i64 q_stride, i64 k_stride, i64 v_stride,     \
                                    const i64* ends, const u8* mask, T* out, i64 batch, i64 query_len, i64 key_len,   \
                                    i64 tokens, u32 head_size, float scale) {                                         \
        SHARED_MEMORY(unsigned char, shared);                                                                                     \
        Group group = group_of<QUERIES>(blockIdx.x, ends, batch, query_len, key_len, tokens);                         \
        if (group.queries == 0) return;                                                                               \
        i64 column = i64(blockIdx.y) * head_size, out_stride = i64(gridDim.y) * head_size;                            \
        attend<HEAD, T>(Operands<T>{q + group.query * q_stride + column, k + group.key * k_stride + column,     \
                                          v + group.key * v_stride + column, q_stride, k_stride, v_stride,            \
                                          mask ? mask + group.key : nullptr,                                          \
                                          out + group.query * out_stride + column, out_stride, head_size, scale},     \
                        u32(group.queries), group.keys, shared);                                                      \
    }                                                                                                                 \
    EMULATED(attention_mma_##HEAD##_##suffix)

ATTENTION_KERNEL(32, 4, f16, f16)
ATTENTION_KERNEL(64, 4, f16, f16)
ATTENTION_KERNEL(128, 2, f16, f16)
ATTENTION_KERNEL(32, 4, bf16, bf16)
ATTENTION_KERNEL(64, 3, bf16, bf16)
ATTENTION_KERNEL(128, 2, bf16, bf16)
