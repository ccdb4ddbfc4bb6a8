// What a step does to the numbers of Gaussians, their harmonics apart: activations before the rasteriser; after it their
// slopes, the regularisers, Adam, the noise of Markov chain Monte Carlo, and the norm of the gradient by each position.
// MOMENT: the type of Adam's moments.

#include "adam.cuh"

constexpr float OPAQUE = 0.9999f;  // opacity at most: above 1 the rasteriser would divide by zero
// What is drawn for a Gaussian in a step, each by itself.
constexpr unsigned DROP = 0, NOISE = 1;

struct Four { unsigned v[4]; };

// Four random words for a counter of four words and a key of two: Philox 4x32-10 of Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3" (2011).
__device__ inline Four philox(Four counter, unsigned key0, unsigned key1) {
    Four c = counter;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned high0 = __umulhi(0xD2511F53u, c.v[0]), low0 = 0xD2511F53u * c.v[0];
        const unsigned high1 = __umulhi(0xCD9E8D57u, c.v[2]), low1 = 0xCD9E8D57u * c.v[2];
        c = {{high1 ^ c.v[1] ^ key0, low1, high0 ^ c.v[3] ^ key1, low0}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c;
}

// The words of one Gaussian in the step of `seed`.
__device__ inline Four drawn(int seed, int row, unsigned what) {
    return philox({{unsigned(row), what, 0, 0}}, unsigned(seed), 0);
}

// Factor on the opacity in this step: 0 with probability `drop`, else 1 / (1 - drop).
__device__ inline float kept_of(int seed, int row, float drop) {
    if (drop <= 0) return 1;
    const float uniform = (drawn(seed, row, DROP).v[0] >> 8) * (1.0f / 16777216);  // 0 <= uniform < 1
    return uniform < drop ? 0.0f : 1 / (1 - drop);
}

// Three normal numbers, by Box and Muller.
__device__ inline void normals(int seed, int row, float* made) {
    const Four words = drawn(seed, row, NOISE);
    float pair[4];
#pragma unroll
    for (int k = 0; k < 4; k += 2) {
        const float uniform = (words.v[k] + 0.5f) * (1.0f / 4294967296.0f);  // more than 0, at most 1
        const float length = sqrtf(-2 * logf(uniform));
        sincospif(words.v[k + 1] * (2 / 4294967296.0f), pair + k, pair + k + 1);
        pair[k] *= length;
        pair[k + 1] *= length;
    }
    for (int k = 0; k < 3; ++k) made[k] = pair[k];
}

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// Slope by the raw opacity, from `slope` by what was drawn.
__device__ inline float opacity_slope(float opacity, float kept, float slope, float cost) {
    const float inner = opacity * kept < OPAQUE ? slope * kept : 0.0f;
    return (inner + cost) * opacity * (1 - opacity);
}

// How far noise may move a Gaussian of that raw opacity, as `densify.add_noise`: solid ones stay.
__device__ inline float gate_of(float raw_opacity) { return 1 / (1 + expf(100 * (sigmoid(raw_opacity) - 0.005f))); }

// `local` in the frame of the raw quaternion (w, x, y, z), turned into the world's.
__device__ inline void turn(const float* quat, float* local) {
    const float length = sqrtf(quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3]) + 1e-12f;
    const float w = quat[0] / length, i = quat[1] / length, j = quat[2] / length, k = quat[3] / length;
    const float a = 2 * (j * local[2] - k * local[1]), b = 2 * (k * local[0] - i * local[2]),
                c = 2 * (i * local[1] - j * local[0]);
    local[0] += w * a + (j * c - k * b);
    local[1] += w * b + (k * a - i * c);
    local[2] += w * c + (i * b - j * a);
}

// The second largest of three.
__device__ inline float second_of(const float* of) {
    return fmaxf(fminf(of[0], of[1]), fminf(fmaxf(of[0], of[1]), of[2]));
}

// scales (count, 3) = exp of the raw ones; opacities (count) = sigmoid of the raw ones, times the draw.
extern "C" __global__ void __launch_bounds__(256) activate(
    const float* __restrict__ raw_scales, const float* __restrict__ raw_opacities, float* __restrict__ scales,
    float* __restrict__ opacities, const int count, const int seed, const float drop) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= count) return;
    for (int axis = 0; axis < 3; ++axis) scales[3 * row + axis] = expf(raw_scales[3 * row + axis]);
    opacities[row] = fminf(sigmoid(raw_opacities[row]) * kept_of(seed, row, drop), OPAQUE);
}

// One thread a Gaussian. longer: logarithm of the longest axis over the second, at most. Adds to its `norms`, and counts
// the step in the ledger, which also learns of numbers that are not finite.
extern "C" __global__ void __launch_bounds__(256) step_geometry(
    float* __restrict__ means, float* __restrict__ quats, float* __restrict__ scales, float* __restrict__ opacities,
    MOMENT* __restrict__ means1, MOMENT* __restrict__ quats1, MOMENT* __restrict__ scales1,
    MOMENT* __restrict__ opacities1, MOMENT* __restrict__ means2, MOMENT* __restrict__ quats2,
    MOMENT* __restrict__ scales2, MOMENT* __restrict__ opacities2,
    const float* __restrict__ v_means, const float* __restrict__ v_quats, const float* __restrict__ v_scales,
    const float* __restrict__ v_opacities, float* __restrict__ norms, const int count, const int seed, const float drop,
    const float means_rate, const float quats_rate, const float scales_rate, const float opacities_rate,
    const float opacity_cost, const float scale_cost, const float longer, const float noise, const float beta1,
    const float beta2, const float root, const float epsilon, int* __restrict__ ledger) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= count || is_lost(ledger)) return;
    if (ledger && row == 0) ++ledger[DONE];
    const Adam adam = {beta1, beta2, root, epsilon};
    const unsigned key = key_of(seed, GEOMETRIC);
    const auto random = [&](unsigned number) { return bits_of(key, 11u * row + number); };

    float raw = opacities[row];
    const float slope = opacity_slope(sigmoid(raw), kept_of(seed, row, drop), v_opacities[row], opacity_cost);
    bool fine = true;
    raw = adam_update(raw, slope, opacities1[row], opacities2[row], opacities_rate, adam, random(0), fine);
    opacities[row] = raw;

    float widest = 0, after[3], shake[3] = {0, 0, 0};
    if (noise > 0) {
        normals(seed, row, shake);
        const float amount = gate_of(raw) * noise;
        for (int axis = 0; axis < 3; ++axis) shake[axis] *= amount;
    }
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        const int at = 3 * row + axis;
        const float before = scales[at], scale = expf(before);
        widest = fmaxf(widest, scale);
        after[axis] = adam_update(before, (v_scales[at] + scale_cost) * scale, scales1[at], scales2[at], scales_rate,
                                  adam, random(1 + axis), fine);
    }
    const float longest = second_of(after) + longer;
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        const float held = fminf(after[axis], longest);
        scales[3 * row + axis] = held;
        shake[axis] *= expf(2 * held);
    }

    float quat[4];
#pragma unroll
    for (int part = 0; part < 4; ++part) {
        const int at = 4 * row + part;
        quat[part] = adam_update(quats[at], v_quats[at], quats1[at], quats2[at], quats_rate, adam, random(4 + part), fine);
        quats[at] = quat[part];
    }
    turn(quat, shake);

    float square = 0;
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        const int at = 3 * row + axis;
        const float gradient = v_means[at];
        square += gradient * gradient;
        means[at] = adam_update(means[at], gradient, means1[at], means2[at], means_rate, adam, random(8 + axis), fine)
                    + shake[axis];
        fine = fine && is_finite(shake[axis]);
    }
    const float norm = norms[row] + sqrtf(square) * widest;
    norms[row] = norm;
    if (!(fine && is_finite(norm)) && ledger) ledger[BROKEN] = 1;
}

// One thread a number of any tensor; `rates` has one for each of its `columns`.
extern "C" __global__ void __launch_bounds__(256) adam(
    float* __restrict__ values, const float* __restrict__ gradient, float* __restrict__ first,
    float* __restrict__ second, const float* __restrict__ rates, const int total, const int columns, const float beta1,
    const float beta2, const float root, const float epsilon) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= total) return;
    const Adam numbers = {beta1, beta2, root, epsilon};
    bool fine = true;
    values[at] = adam_update(values[at], gradient[at], first[at], second[at], rates[at % columns], numbers, 0, fine);
}
