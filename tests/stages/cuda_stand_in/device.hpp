// CUDA's language as far as our kernels use it, in plain C++17 on one thread: so that a machine without a GPU can run
// them. The threads of a block are fibres, one of which runs until it waits for others; blocks run one by one. What a
// GPU would leave undefined ends the program with a sentence here: a barrier or a warp's vote that some thread of the
// block never comes to.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 { int x = 1, y = 1, z = 1; };
struct int2 { int x, y; };
struct int3 { int x, y, z; };
struct int4 { int x, y, z, w; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace stand_in {

constexpr int LANES = 32;
constexpr std::size_t STACK = 1 << 17;

struct Meeting {  // of those who must all come before anybody goes on
    int expected = 0, arrived = 0, turn = 0;
    std::uint64_t said[2][1024];
};

struct Fibre {
    ucontext_t context;
    std::vector<char> stack;
    bool ended = false;
};

struct Block {
    ucontext_t main;
    std::vector<Fibre> fibres;
    std::vector<Meeting> warps;
    Meeting all;
    int running = 0, moved = 0;  // moved: fibres that got any further since the last round
    void (*body)(const void*) = nullptr;
    const void* given = nullptr;
};

inline Block block;

[[noreturn]] inline void fail(const char* why) {
    std::fprintf(stderr, "block (%d, %d, %d): %s\n", blockIdx.x, blockIdx.y, blockIdx.z, why);
    std::abort();
}

inline void pause() { swapcontext(&block.fibres[block.running].context, &block.main); }

inline void release(Meeting& at) {
    at.arrived = 0;
    ++at.turn;
}

inline void leave(Meeting& at) {
    if (--at.expected && at.arrived == at.expected) release(at);
}

inline void start() {
    block.body(block.given);
    block.fibres[block.running].ended = true;
    ++block.moved;
    leave(block.all);
    leave(block.warps[block.running / LANES]);
}

// Says `word` as number `place` and waits for all others; what each of them said.
inline const std::uint64_t* meet(Meeting& at, int place, std::uint64_t word) {
    const int turn = at.turn;
    at.said[turn % 2][place] = word;
    ++block.moved;
    if (++at.arrived == at.expected) release(at);
    while (at.turn == turn) pause();
    return at.said[turn % 2];
}

inline const std::uint64_t* meet_warp(unsigned mask, std::uint64_t word) {
    Meeting& warp = block.warps[block.running / LANES];
    const int lanes = std::min(LANES, int(block.fibres.size()) - block.running / LANES * LANES);
    if (mask != (lanes == LANES ? 0xffffffffu : (1u << lanes) - 1)) fail("only whole warps are supported");
    if (warp.expected != lanes) fail("a lane of this warp has ended");
    return meet(warp, block.running % LANES, word);
}

// Calls `body(given)` as every thread of a block.
inline void run_block(int threads, void (*body)(const void*), const void* given) {
    block.body = body;
    block.given = given;
    block.fibres.resize(threads);
    block.warps.assign((threads + LANES - 1) / LANES, {});
    block.all = {};
    block.all.expected = threads;
    for (int k = 0; k < threads; ++k) {
        Fibre& fibre = block.fibres[k];
        ++block.warps[k / LANES].expected;
        fibre.ended = false;
        fibre.stack.resize(STACK);
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack.data();
        fibre.context.uc_stack.ss_size = STACK;
        fibre.context.uc_link = &block.main;
        makecontext(&fibre.context, start, 0);
    }
    for (int left = threads; left;) {
        block.moved = left = 0;
        for (int k = 0; k < threads; ++k) {
            if (block.fibres[k].ended) continue;
            block.running = k;
            threadIdx = {k, 0, 0};
            swapcontext(&block.main, &block.fibres[k].context);
            left += !block.fibres[k].ended;
        }
        if (left && !block.moved) fail("its threads wait for each other at different places");
    }
}

template <typename T>
std::uint64_t as_word(T value) {
    static_assert(sizeof(T) <= 8);
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(T));
    return word;
}

template <typename T>
T from_word(std::uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof(T));
    return value;
}

// What a kernel takes, a letter an argument: pointer, int or float.
template <typename T>
constexpr char letter() {
    using Plain = std::remove_cv_t<T>;
    static_assert(std::is_pointer_v<Plain> || std::is_same_v<Plain, int> || std::is_same_v<Plain, float>);
    return std::is_pointer_v<Plain> ? 'p' : (std::is_same_v<Plain, int> ? 'i' : 'f');
}

template <typename... T>
const char* letters(void (*)(T...)) {
    static const char text[] = {letter<T>()..., 0};
    return text;
}

template <typename... T, std::size_t... K>
void call(void (*kernel)(T...), void** values, std::index_sequence<K...>) {
    kernel(*static_cast<std::remove_cv_t<T>*>(values[K])...);
}

template <typename... T>
void run(void (*kernel)(T...), const int* grid, int threads, void** values) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    const auto body = [&] { call(kernel, values, std::index_sequence_for<T...>()); };
    using Body = decltype(body);
    for (int z = 0; z < grid[2]; ++z)
        for (int y = 0; y < grid[1]; ++y)
            for (int x = 0; x < grid[0]; ++x) {
                blockIdx = {x, y, z};
                run_block(threads, [](const void* given) { (*static_cast<Body*>(given))(); }, &body);
            }
}

}  // namespace stand_in

inline void __syncthreads() { stand_in::meet(stand_in::block.all, threadIdx.x, 0); }

inline int __syncthreads_count(int yes) {
    const int threads = int(stand_in::block.fibres.size());
    if (stand_in::block.all.expected != threads) stand_in::fail("a thread of this block has ended");
    const std::uint64_t* said = stand_in::meet(stand_in::block.all, threadIdx.x, yes != 0);
    return int(std::count(said, said + threads, 1));
}
inline int __syncthreads_or(int yes) { return __syncthreads_count(yes) > 0; }

inline void __syncwarp(unsigned mask = 0xffffffffu) { stand_in::meet_warp(mask, 0); }

inline unsigned __ballot_sync(unsigned mask, int yes) {
    const std::uint64_t* said = stand_in::meet_warp(mask, yes != 0);
    unsigned found = 0;
    for (int k = 0; k < stand_in::LANES; ++k)
        if ((mask >> k & 1) && said[k]) found |= 1u << k;
    return found;
}
inline int __all_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) == mask; }
inline int __any_sync(unsigned mask, int yes) { return __ballot_sync(mask, yes) != 0; }

// From lane `from(lane)` of a part of `width` lanes; a lane's own value where that is outside of it.
template <typename T, typename From>
T shuffled(unsigned mask, T value, int width, From from) {
    const int lane = threadIdx.x % stand_in::LANES, begin = lane / width * width;
    const std::uint64_t* said = stand_in::meet_warp(mask, stand_in::as_word(value));
    const int source = from(lane);
    return source < begin || source >= begin + width ? value : stand_in::from_word<T>(said[source]);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    return shuffled(mask, value, width, [&](int lane) { return lane / width * width + (source & (width - 1)); });
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    return shuffled(mask, value, width, [&](int lane) { return lane ^ bits; });
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, int by, int width = 32) {
    return shuffled(mask, value, width, [&](int lane) { return lane - by; });
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int by, int width = 32) {
    return shuffled(mask, value, width, [&](int lane) { return lane + by; });
}

// One thread runs at a time: nothing more is needed to be atomic.
template <typename T, typename U>
T atomicAdd(T* to, U value) {
    const T before = *to;
    *to = T(before + value);
    return before;
}
template <typename T, typename U>
T atomicMax(T* to, U value) {
    const T before = *to;
    *to = std::max(before, T(value));
    return before;
}

inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
inline int __float_as_int(float value) { return stand_in::from_word<int>(stand_in::as_word(value)); }
inline float __int_as_float(int value) { return stand_in::from_word<float>(stand_in::as_word(value)); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(std::uint64_t(a) * b >> 32); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float value) { return 1.0f / std::sqrt(value); }
inline void sincospif(float value, float* sine, float* cosine) {
    *sine = float(std::sin(M_PI * value));
    *cosine = float(std::cos(M_PI * value));
}
template <typename T>
T __ldg(const T* from) { return *from; }

using std::max;
using std::min;
