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

// Leaves 8 bytes for the other lanes of the warp, waits, and gives what lane `source` left.
uint64_t exchange(uint64_t mine, unsigned source);

template <class T> T shuffle(T mine, unsigned source) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "shuffles move at most 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &mine, sizeof(T));
    bits = exchange(bits, source);
    std::memcpy(&mine, &bits, sizeof(T));
    return mine;
}

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

template <class T> T __shfl_sync(unsigned, T value, unsigned source) { return emulator::shuffle(value, source % 32); }
template <class T> T __shfl_xor_sync(unsigned, T value, unsigned apart) {
    return emulator::shuffle(value, (emulator::block.thread % 32) ^ apart);
}
