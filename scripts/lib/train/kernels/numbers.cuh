// Numbers of training's state, in 32 or in 16 bits.
//
// Numbers of 16 bits are rounded up or down at random, so that they are right on average: rounded to the nearest, a
// step smaller than half their spacing would be lost each time (Gupta et al., "Deep learning with limited numerical
// precision", 2015).

#pragma once

struct Half { unsigned short bits; };   // binary16 of IEEE 754, 11 significant bits
struct Brain { unsigned short bits; };  // bfloat16: the upper half of a float, 8 significant bits, any size

constexpr unsigned HARMONIC = 0, GEOMETRIC = 1;  // whose bits, each by itself

// The finaliser of MurmurHash3 (Appleby, public domain): every bit of x changes half of the bits.
__device__ inline unsigned mixed(unsigned x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

// Random bits of one step, from which those of each number follow.
__device__ inline unsigned key_of(int seed, unsigned what) { return mixed(mixed(unsigned(seed)) + 0x9e3779b9u * (what + 1)); }

__device__ inline unsigned bits_of(unsigned key, unsigned number) { return mixed(0x9e3779b9u * number + key); }

__device__ inline unsigned as_bits(float x) { return unsigned(__float_as_int(x)); }
__device__ inline float as_float(unsigned bits) { return __int_as_float(int(bits)); }

__device__ inline bool is_finite(float x) { return x - x == 0; }

__device__ inline float number_of(float x) { return x; }

// The exponents of both kinds of floats differ by 112, which a multiplication makes up for, also below the normal ones.
__device__ inline float number_of(Half x) {
    return as_float((x.bits & 0x8000u) << 16 | as_bits(as_float((x.bits & 0x7fffu) << 13) * 0x1p112f));
}

__device__ inline float number_of(Brain x) { return as_float(unsigned(x.bits) << 16); }

// Whether a number of this type can be x.
__device__ inline bool can_be(float, float x) { return is_finite(x); }
__device__ inline bool can_be(Half, float x) { return fabsf(x) < 65504; }

// `x` rounded by 16 random bits.
__device__ inline void set(float& to, float x, unsigned) { to = x; }

__device__ inline void set(Half& to, float x, unsigned random) {
    const unsigned size = as_bits(as_float(as_bits(x) & 0x7fffffffu) * 0x1p-112f) + (random >> 3 & 0x1fffu);
    to.bits = (unsigned short)(as_bits(x) >> 16 & 0x8000u | min(size >> 13, 0x7fffu));  // too large: not a number
}

__device__ inline void set(Brain& to, float x, unsigned random) {
    const unsigned bits = as_bits(x);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    to.bits = (unsigned short)((finite ? bits + (random & 0xffffu) : bits) >> 16);
}
