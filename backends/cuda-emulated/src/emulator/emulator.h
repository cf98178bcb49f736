// The words of CUDA for a C++ compiler. A block's threads are fibers of one host thread, which run one after another from
// barrier to barrier; what a kernel does without a barrier that it needs goes wrong here as it would on a GPU, and every time.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __forceinline__ inline
#define __align__(bytes) alignas(bytes)
// Blocks run one at a time on a host thread, so that what is static to it is shared by the block.
#define __shared__ static __thread
#define KERNEL(threads) static void
#define RESIDENT_KERNEL(threads, blocks) static void
#define SHARED_MEMORY(type, name) type* name = reinterpret_cast<type*>(emulator::block.shared)
#define EMULATED(name) \
    static emulator::Registration registration_of_##name(#name, emulator::Invoker<&name>::description());

namespace emulator {

struct Extents {
    unsigned x, y, z;
};

// The block that this host thread runs.
struct Block {
    Extents grid, extents, index;
    // The fiber that runs.
    unsigned thread;
    unsigned char* shared;
};
extern __thread Block block;

enum Barrier { OF_WARP, OF_BLOCK };

// Lets the other fibers run until all have come here.
void wait_at(Barrier barrier);

// Where the lanes of a warp leave what they have for each other, at most so many bytes each.
constexpr unsigned MOST_BYTES_LEFT = 256;
void* next_board();

// Leaves a value for the other lanes of the warp, waits, and gives what all of them left, by lane. It is there until this lane
// leaves the next but one.
template <class T> const T* leave(const T& mine) {
    static_assert(sizeof(T) <= MOST_BYTES_LEFT && alignof(T) <= 16, "a board has no room for it");
    T* board = static_cast<T*>(next_board());
    board[block.thread % 32] = mine;
    wait_at(OF_WARP);
    return board;
}

template <class T> T shuffle(T mine, unsigned source) { return leave(mine)[source]; }

// A copy of 16 bytes, or 16 zeros, made when its group is waited for and not before: a missing wait shows every
// time. Addresses that a GPU refuses, since they are not multiples of 16, give NaN.
void copy_later(void* to, const void* from, bool zeros);
// Ends a group of copies.
void commit_copies();
// Makes the copies of all ended groups but the latest so many.
void wait_for_copies(unsigned pending);

struct Description {
    void (*invoke)(void* const* arguments);
    const unsigned* sizes;
    unsigned count;
};

struct Registration {
    Registration(const char* name, Description description);
    const char* name;
    Description description;
    const Registration* next;
};

template <auto function> struct Invoker;
template <class... Arguments, void (*function)(Arguments...)> struct Invoker<function> {
    static constexpr unsigned sizes[] = {sizeof(Arguments)...};
    template <std::size_t... at> static void call(void* const* arguments, std::index_sequence<at...>) {
        function(*static_cast<std::remove_cv_t<Arguments>*>(arguments[at])...);
    }
    static void invoke(void* const* arguments) { call(arguments, std::index_sequence_for<Arguments...>()); }
    static Description description() { return {invoke, sizes, sizeof...(Arguments)}; }
};

}  // namespace emulator

#define blockIdx (emulator::block.index)
#define blockDim (emulator::block.extents)
#define gridDim (emulator::block.grid)
#define threadIdx (emulator::Extents{emulator::block.thread, 0, 0})

inline void __syncthreads() { emulator::wait_at(emulator::OF_BLOCK); }
inline void __syncwarp() { emulator::wait_at(emulator::OF_WARP); }

inline unsigned __ballot_sync(unsigned, bool holds) {
    const bool* all = emulator::leave(holds);
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32 && (emulator::block.thread & ~31u) + lane < blockDim.x; ++lane) {
        bits |= unsigned(all[lane]) << lane;
    }
    return bits;
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(unsigned bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __ffs(unsigned bits) { return __builtin_ffs(int(bits)); }

template <class T> T __shfl_sync(unsigned, T value, unsigned source) { return emulator::shuffle(value, source % 32); }
template <class T> T __shfl_xor_sync(unsigned, T value, unsigned apart) {
    return emulator::shuffle(value, (emulator::block.thread % 32) ^ apart);
}
