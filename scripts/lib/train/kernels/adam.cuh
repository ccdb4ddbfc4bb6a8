// Adam's step of one number (Kingma and Ba, 2015), and whether there is one.

#pragma once

#include "numbers.cuh"

// Places of the ledger in which the rasteriser notes what did not fit, see rasterise/cuda/room.py.
constexpr int LOST = 0, DONE = 1, BROKEN = 2;

// Whether a step must change nothing: its gradients, or those of a step before it, are wrong.
__device__ inline bool is_lost(const int* ledger) { return ledger && ledger[LOST]; }

// root: 1 / sqrt(1 - beta2^t).
struct Adam { float beta1, beta2, root, epsilon; };

// The value after the step; its moments are brought forward, rounded by `random`. rate: the learning rate over
// 1 - beta1^t. `fine` becomes false where something is not finite any more.
template <typename Moment>
__device__ inline float adam_update(float value, float gradient, Moment& first, Moment& second, float rate, const Adam& adam,
                                    unsigned random, bool& fine) {
    const float before = number_of(first);
    const float one = before + (gradient - before) * (1 - adam.beta1);
    const float two = number_of(second) * adam.beta2 + gradient * gradient * (1 - adam.beta2);
    set(first, one, random);
    set(second, two, random >> 16);
    const float after = value - rate * one / (sqrtf(two) * adam.root + adam.epsilon);
    fine = fine && is_finite(after) && is_finite(number_of(second));
    return after;
}

// What rounding added to a value is taken back by its next steps, in which the first moment fades: otherwise values would
// walk about at random. A float was not rounded.
template <typename Moment>
__device__ inline void give_back(float added, Moment& first, const Moment& second, float rate, const Adam& adam,
                                 unsigned random) {
    const float steps = rate * adam.beta1 / (1 - adam.beta1);
    if (added == 0 || steps == 0) return;
    const float spread = sqrtf(number_of(second)) * adam.root + adam.epsilon;
    set(first, number_of(first) + added * spread / steps, random);
}
__device__ inline void give_back(float, float&, const float&, float, const Adam&, unsigned) {}
