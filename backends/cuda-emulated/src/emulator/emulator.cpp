// Fibers, barriers, and the register of kernels.

#include "emulator.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <ucontext.h>

namespace emulator {

__thread Block block;

namespace {

constexpr unsigned MOST_THREADS = 1024, WARP = 32;
constexpr std::size_t STACK_BYTES = 64 << 10;
// What a thread may have under way; copies beyond are made at once, as a GPU may too.
constexpr unsigned MOST_COPIES = 64;

const Registration* registered = nullptr;

enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Copy {
    void* to;
    const void* from;
    bool zeros;
    unsigned group;
};

// Copies under way, the oldest first, in a ring.
struct Copies {
    Copy ring[MOST_COPIES];
    unsigned first, count;
    // The number of the group that is not ended.
    unsigned group;
};

struct Fiber {
    State state;
    // Whether it has a stack that waits for the next block's thread.
    bool started;
    // Which of the warp's two boards the next exchange uses: a lane is never two exchanges ahead.
    unsigned board;
    Copies copies;
#ifdef LOCKSTEP_SANITIZED
    ucontext_t context;
#else
    jmp_buf place;
#endif
};

// What one host thread runs blocks with; made at its first block.
struct Scheduler {
    Fiber fibers[MOST_THREADS];
    alignas(16) unsigned char boards[MOST_THREADS / WARP][2][WARP * MOST_BYTES_LEFT];
    unsigned char* stacks;
    void (*invoke)(void* const*);
    void* const* arguments;
    ucontext_t entry;
#ifndef LOCKSTEP_SANITIZED
    jmp_buf place;
#endif
};

__thread Scheduler* scheduler;

#ifdef LOCKSTEP_SANITIZED
// The sanitizer follows this switch, not the faster one.
void to_scheduler(Fiber& fiber) { swapcontext(&fiber.context, &scheduler->entry); }
#else
void to_scheduler(Fiber& fiber) {
    if (_setjmp(fiber.place) == 0) _longjmp(scheduler->place, 1);
}
#endif

// A fiber's life: a kernel's thread, block after block.
void live() {
    for (;;) {
        Fiber& fiber = scheduler->fibers[block.thread];
        scheduler->invoke(scheduler->arguments);
        fiber.state = DONE;
        to_scheduler(fiber);
    }
}

void resume(unsigned thread) {
    Fiber& fiber = scheduler->fibers[thread];
    block.thread = thread;
#ifdef LOCKSTEP_SANITIZED
    if (!fiber.started) {
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = scheduler->stacks + thread * STACK_BYTES;
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, live, 0);
        fiber.started = true;
    }
    swapcontext(&scheduler->entry, &fiber.context);
#else
    if (_setjmp(scheduler->place) != 0) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = scheduler->stacks + thread * STACK_BYTES;
    context.uc_stack.ss_size = STACK_BYTES;
    context.uc_link = nullptr;
    makecontext(&context, live, 0);
    setcontext(&context);
#endif
}

// Lets those go on whose warp, or block, has come to the same barrier; threads that are done do not count.
bool release(unsigned threads) {
    bool any = false, all_at_block = true;
    for (unsigned first = 0; first < threads; first += WARP) {
        unsigned end = first + WARP < threads ? first + WARP : threads;
        bool all_at_warp = true, waits = false;
        for (unsigned thread = first; thread < end; ++thread) {
            State state = scheduler->fibers[thread].state;
            all_at_warp &= state == AT_WARP || state == DONE;
            waits |= state == AT_WARP;
            all_at_block &= state == AT_BLOCK || state == DONE;
        }
        if (!all_at_warp || !waits) continue;
        any = true;
        for (unsigned thread = first; thread < end; ++thread) {
            Fiber& fiber = scheduler->fibers[thread];
            if (fiber.state == AT_WARP) fiber.state = READY;
        }
    }
    if (any || !all_at_block) return any;
    for (unsigned thread = 0; thread < threads; ++thread) {
        Fiber& fiber = scheduler->fibers[thread];
        if (fiber.state == AT_BLOCK) fiber.state = READY, any = true;
    }
    return any;
}

void make_oldest(Copies& copies) {
    const Copy& copy = copies.ring[copies.first];
    copies.first = (copies.first + 1) % MOST_COPIES;
    --copies.count;
    bool refused = (reinterpret_cast<uintptr_t>(copy.to) | reinterpret_cast<uintptr_t>(copy.from)) % 16 != 0;
    if (refused) {
        std::memset(copy.to, 0xff, 16);
    } else if (copy.zeros) {
        std::memset(copy.to, 0, 16);
    } else {
        std::memcpy(copy.to, copy.from, 16);
    }
}

bool run_block(unsigned threads, bool descending) {
    for (unsigned thread = 0; thread < threads; ++thread) {
        Fiber& fiber = scheduler->fibers[thread];
        fiber.state = READY;
        fiber.board = 0;
        fiber.copies.first = fiber.copies.count = fiber.copies.group = 0;
    }
    for (;;) {
        for (unsigned turn = 0; turn < threads; ++turn) {
            unsigned thread = descending ? threads - 1 - turn : turn;
            if (scheduler->fibers[thread].state == READY) resume(thread);
        }
        if (release(threads)) continue;
        bool done = true;
        for (unsigned thread = 0; thread < threads; ++thread) {
            Fiber& fiber = scheduler->fibers[thread];
            if (fiber.state == DONE) continue;
            done = false;
            // It hangs in the middle of a kernel: its stack is begun anew.
            fiber.started = false;
        }
        return done;
    }
}

}  // namespace

Registration::Registration(const char* name, Description description)
    : name(name), description(description), next(registered) {
    registered = this;
}

void wait_at(Barrier barrier) {
    Fiber& fiber = scheduler->fibers[block.thread];
    fiber.state = barrier == OF_WARP ? AT_WARP : AT_BLOCK;
    to_scheduler(fiber);
}

void* next_board() {
    Fiber& fiber = scheduler->fibers[block.thread];
    void* board = scheduler->boards[block.thread / WARP][fiber.board];
    fiber.board ^= 1;
    return board;
}

void copy_later(void* to, const void* from, bool zeros) {
    Copies& copies = scheduler->fibers[block.thread].copies;
    if (copies.count == MOST_COPIES) make_oldest(copies);
    copies.ring[(copies.first + copies.count++) % MOST_COPIES] = {to, from, zeros, copies.group};
}

void commit_copies() { ++scheduler->fibers[block.thread].copies.group; }

void wait_for_copies(unsigned pending) {
    Copies& copies = scheduler->fibers[block.thread].copies;
    while (copies.count && copies.ring[copies.first].group + pending < copies.group) make_oldest(copies);
}

}  // namespace emulator

using namespace emulator;

extern "C" const Registration* lockstep_emulator_find(const char* name) {
    for (const Registration* kernel = registered; kernel; kernel = kernel->next) {
        if (std::strcmp(kernel->name, name) == 0) return kernel;
    }
    return nullptr;
}

// The sizes of a kernel's parameters in bytes.
extern "C" const unsigned* lockstep_emulator_parameters(const Registration* kernel, unsigned* count) {
    *count = kernel->description.count;
    return kernel->description.sizes;
}

// Runs blocks `from`..`to` of a grid. Gives 0, 1 if a barrier was not reached by all threads (`failed` is the block), or 2
// if there was no memory for the fibers.
extern "C" int lockstep_emulator_run(const Registration* kernel, const unsigned* grid, unsigned threads,
                                     std::size_t shared_bytes, void* const* arguments, uint64_t from, uint64_t to,
                                     int descending, uint64_t* failed) {
    if (threads == 0 || threads > MOST_THREADS) return 2;
    if (!scheduler) {
        scheduler = static_cast<Scheduler*>(std::calloc(1, sizeof(Scheduler)));
        if (!scheduler) return 2;
        void* stacks = mmap(nullptr, MOST_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stacks == MAP_FAILED) {
            std::free(scheduler);
            scheduler = nullptr;
            return 2;
        }
        scheduler->stacks = static_cast<unsigned char*>(stacks);
    }
    scheduler->invoke = kernel->description.invoke;
    scheduler->arguments = arguments;
    // Of its own, so that a sanitizer sees what runs over its end.
    unsigned char* shared = static_cast<unsigned char*>(std::malloc(shared_bytes));
    if (shared_bytes && !shared) return 2;
    block.grid = {grid[0], grid[1], grid[2]};
    block.extents = {threads, 1, 1};
    block.shared = shared;
    int result = 0;
    for (uint64_t number = from; number < to && result == 0; ++number) {
        uint64_t row = number / grid[0];
        block.index = {unsigned(number % grid[0]), unsigned(row % grid[1]), unsigned(row / grid[1])};
        // What is read before it is written is NaN.
        if (shared_bytes) std::memset(shared, 0xff, shared_bytes);
        if (!run_block(threads, descending)) {
            *failed = number;
            result = 1;
        }
    }
    std::free(shared);
    return result;
}
