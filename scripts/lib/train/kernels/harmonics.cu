// Colours from spherical harmonics, and their gradient straight into an Adam step.
//
// The real basis of degree 3 in the order and with the signs of 3D Gaussian splatting's PLY files; the gradient by the
// direction is taken of the polynomials and made tangential to the sphere. A thread has one Gaussian. Rows of
// coefficients pass through shared memory: there each thread has its own, in memory they are read and written side by
// side. VALUE, MOMENT: the types of the coefficients and of Adam's moments.

#include "adam.cuh"

constexpr int GROUP = 64;  // Gaussians and threads of a block
constexpr int BATCH = 16 / sizeof(VALUE);  // numbers of a thread that are under way together

template <int DEGREE>
constexpr int TERMS = (DEGREE + 1) * (DEGREE + 1);
// Numbers of a row that count, red, green, blue for each term; and of a row in shared memory, odd against conflicts.
template <int DEGREE>
constexpr int USED = 3 * TERMS<DEGREE>;
template <int DEGREE>
constexpr int PITCH = USED<DEGREE> | 1;

struct Direction { float x, y, z, length; };

// Unit vector from the camera's centre, which is -R^T t, to a mean.
__device__ inline Direction direction_of(const float* mean, const float* world_to_camera) {
    Direction d = {mean[0], mean[1], mean[2], 0};
    for (int axis = 0; axis < 3; ++axis) {
        const float* line = world_to_camera + 4 * axis;
        d.x += line[0] * line[3];
        d.y += line[1] * line[3];
        d.z += line[2] * line[3];
    }
    d.length = sqrtf(d.x * d.x + d.y * d.y + d.z * d.z) + 1e-20f;
    d.x /= d.length;
    d.y /= d.length;
    d.z /= d.length;
    return d;
}

// The basis at a unit vector.
template <int DEGREE>
__device__ inline void basis_at(float x, float y, float z, float* b) {
    b[0] = 0.28209479177387814f;
    if constexpr (DEGREE >= 1) {
        b[1] = -0.4886025119029199f * y;
        b[2] = 0.4886025119029199f * z;
        b[3] = -0.4886025119029199f * x;
    }
    if constexpr (DEGREE >= 2) {
        b[4] = 1.0925484305920792f * x * y;
        b[5] = -1.0925484305920792f * y * z;
        b[6] = 0.9461746957575601f * z * z - 0.31539156525252005f;
        b[7] = -1.0925484305920792f * x * z;
        b[8] = 0.5462742152960396f * (x * x - y * y);
    }
    if constexpr (DEGREE >= 3) {
        const float tail = 0.4570457994644658f - 2.285228997322329f * z * z;
        b[9] = -0.5900435899266435f * y * (3 * x * x - y * y);
        b[10] = 2.890611442640554f * x * y * z;
        b[11] = y * tail;
        b[12] = z * (1.865881662950577f * z * z - 1.119528997770346f);
        b[13] = x * tail;
        b[14] = 1.445305721320277f * z * (x * x - y * y);
        b[15] = -0.5900435899266435f * x * (x * x - 3 * y * y);
    }
}

// Gradient (x, y, z) by the unit vector of the sum of the basis times `d`.
template <int DEGREE>
__device__ inline void basis_slope(float x, float y, float z, const float* d, float* u) {
    u[0] = u[1] = u[2] = 0;
    if constexpr (DEGREE >= 1) {
        u[0] -= 0.4886025119029199f * d[3];
        u[1] -= 0.4886025119029199f * d[1];
        u[2] += 0.4886025119029199f * d[2];
    }
    if constexpr (DEGREE >= 2) {
        constexpr float side = 1.0925484305920792f;
        u[0] += side * (y * d[4] - z * d[7] + x * d[8]);
        u[1] += side * (x * d[4] - z * d[5] - y * d[8]);
        u[2] += side * (-y * d[5] - x * d[7]) + 1.8923493915151202f * z * d[6];
    }
    if constexpr (DEGREE >= 3) {
        const float tail = 0.4570457994644658f - 2.285228997322329f * z * z, square = x * x - y * y;
        u[0] += -3.540261539559861f * x * y * d[9] + 2.890611442640554f * (y * z * d[10] + x * z * d[14]) + tail * d[13]
                - 1.7701307697799304f * square * d[15];
        u[1] += -1.7701307697799304f * square * d[9] + 2.890611442640554f * (x * z * d[10] - y * z * d[14]) + tail * d[11]
                + 3.540261539559861f * x * y * d[15];
        u[2] += 2.890611442640554f * x * y * d[10] - 4.570457994644658f * z * (y * d[11] + x * d[13])
                + (5.597644988851731f * z * z - 1.119528997770346f) * d[12] + 1.445305721320277f * square * d[14];
    }
}

// Adds to the mean's gradient what a view says: `slopes` by the colour, `row` the coefficients; and to `gradient` by them.
template <int DEGREE>
__device__ inline void follow_back(const Direction& d, const float* row, const float* slopes, float* gradient, float* v_mean) {
    float basis[TERMS<DEGREE>], pull[TERMS<DEGREE>], u[3];
    basis_at<DEGREE>(d.x, d.y, d.z, basis);
    for (int k = 0; k < TERMS<DEGREE>; ++k) {
        for (int colour = 0; colour < 3; ++colour) gradient[3 * k + colour] += basis[k] * slopes[colour];
        if (DEGREE) pull[k] = row[3 * k] * slopes[0] + row[3 * k + 1] * slopes[1] + row[3 * k + 2] * slopes[2];
    }
    if (!DEGREE) return;
    basis_slope<DEGREE>(d.x, d.y, d.z, pull, u);
    const float along = u[0] * d.x + u[1] * d.y + u[2] * d.z;
    v_mean[0] += (u[0] - along * d.x) / d.length;
    v_mean[1] += (u[1] - along * d.y) / d.length;
    v_mean[2] += (u[2] - along * d.z) / d.length;
}

__device__ inline bool is_seen(const int* radii, long long view_and_row) { return radii[2 * view_and_row] > 0; }

__device__ inline bool any_sees(const int* radii, int row, int count, int views) {
    bool found = false;
    if (row < count)
        for (int view = 0; view < views; ++view) found = found || is_seen(radii, (long long)view * count + row);
    return found;
}

// The rows of the block's Gaussians that are `wanted`, which all of its threads have said.
template <int DEGREE>
__device__ inline void read_rows(const VALUE* sh, int stride, int first, const bool* wanted, float* rows) {
#pragma unroll 8
    for (int k = 0; k < USED<DEGREE>; ++k) {
        const int i = k * GROUP + threadIdx.x, row = i / USED<DEGREE>, column = i % USED<DEGREE>;
        if (wanted[row]) rows[row * PITCH<DEGREE> + column] = number_of(sh[(long long)(first + row) * stride + column]);
    }
}

template <int DEGREE>
__device__ inline void colours_of(const float* __restrict__ means, const VALUE* __restrict__ sh,
                                  const float* __restrict__ world_to_camera, const int* __restrict__ radii,
                                  float* __restrict__ colours, int count, int views, int stride) {
    __shared__ float rows[GROUP * PITCH<DEGREE>];
    __shared__ bool wanted[GROUP];
    const int thread = threadIdx.x, first = blockIdx.x * GROUP, row = first + thread;
    const bool mine = wanted[thread] = any_sees(radii, row, count, views);
    __syncthreads();
    read_rows<DEGREE>(sh, stride, first, wanted, rows);
    __syncthreads();
    if (!mine) return;
    const float* own = rows + thread * PITCH<DEGREE>;
    for (int view = 0; view < views; ++view) {
        const long long at = (long long)view * count + row;
        if (!is_seen(radii, at)) continue;
        const Direction d = direction_of(means + 3 * row, world_to_camera + 16 * view);
        float basis[TERMS<DEGREE>], made[3] = {0.5f, 0.5f, 0.5f};
        basis_at<DEGREE>(d.x, d.y, d.z, basis);
        for (int k = 0; k < TERMS<DEGREE>; ++k)
            for (int colour = 0; colour < 3; ++colour) made[colour] += basis[k] * own[3 * k + colour];
        for (int colour = 0; colour < 3; ++colour) colours[3 * at + colour] = fmaxf(made[colour], 0.0f);
    }
}

__device__ inline bool has_slope(const float* slopes, long long view_and_row) {
    const float* own = slopes + 3 * view_and_row;
    return own[0] != 0 || own[1] != 0 || own[2] != 0;
}

template <int DEGREE>
__device__ inline void step_of(const float* __restrict__ means, VALUE* __restrict__ sh, MOMENT* __restrict__ first_moments,
                               MOMENT* __restrict__ second_moments, const float* __restrict__ world_to_camera,
                               const float* __restrict__ slopes, float* __restrict__ v_means, int count, int views,
                               int stride, int seed, float rate, float rest_rate, const Adam& adam,
                               int* __restrict__ ledger) {
    if (is_lost(ledger)) return;
    __shared__ float rows[GROUP * PITCH<DEGREE>];  // coefficients, then their gradients
    __shared__ bool wanted[GROUP];
    const int thread = threadIdx.x, first = blockIdx.x * GROUP, row = first + thread;
    bool mine = false;
    if (row < count)
        for (int view = 0; view < views; ++view) mine = mine || has_slope(slopes, (long long)view * count + row);
    wanted[thread] = mine;
    float* own = rows + thread * PITCH<DEGREE>;
    __syncthreads();
    if (DEGREE) {
        read_rows<DEGREE>(sh, stride, first, wanted, rows);
        __syncthreads();
    }
    float gradient[USED<DEGREE>], v_mean[3] = {0, 0, 0};
    for (int k = 0; k < USED<DEGREE>; ++k) gradient[k] = 0;
    if (mine) {
        for (int view = 0; view < views; ++view) {
            const long long at = (long long)view * count + row;
            if (!has_slope(slopes, at)) continue;
            const Direction d = direction_of(means + 3 * row, world_to_camera + 16 * view);
            follow_back<DEGREE>(d, own, slopes + 3 * at, gradient, v_mean);
        }
        if (DEGREE)
            for (int k = 0; k < 3; ++k) v_means[3 * row + k] += v_mean[k];
    }
    for (int k = 0; k < USED<DEGREE>; ++k) own[k] = gradient[k];
    __syncthreads();
    // Adam's moments fade, and move the value on, also where no view saw anything: no row can be left out.
    const int used = min(GROUP, count - first) * USED<DEGREE>;
    const unsigned key = key_of(seed, HARMONIC);
    bool fine = true;
#pragma unroll 1
    for (int from = thread; from < used; from += BATCH * GROUP) {
        VALUE value[BATCH];
        MOMENT one[BATCH], two[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            const int i = from + k * GROUP;
            if (i >= used) continue;
            const long long at = (long long)(first + i / USED<DEGREE>) * stride + i % USED<DEGREE>;
            value[k] = sh[at];
            one[k] = first_moments[at];
            two[k] = second_moments[at];
        }
#pragma unroll
        for (int k = 0; k < BATCH; ++k) {
            const int i = from + k * GROUP, line = i / USED<DEGREE>, column = i % USED<DEGREE>;
            if (i >= used) continue;
            const long long at = (long long)(first + line) * stride + column;
            const unsigned random = bits_of(key, unsigned(at));
            const float slope = rows[line * PITCH<DEGREE> + column], pace = column < 3 ? rate : rest_rate;
            const float after = adam_update(number_of(value[k]), slope, one[k], two[k], pace, adam, random, fine);
            fine = fine && can_be(value[k], after);
            set(value[k], after, random * 0x9e3779b9u >> 16);
            give_back(number_of(value[k]) - after, one[k], two[k], pace, adam, mixed(random));
            sh[at] = value[k];
            first_moments[at] = one[k];
            second_moments[at] = two[k];
        }
    }
    if (!fine && ledger) ledger[BROKEN] = 1;
}

// What the gradients by the colours say of the harmonics, (views, count, 3): nothing where a view sees nothing, and where
// a colour was held at 0. One thread for each view and Gaussian.
extern "C" __global__ void slopes_of(const int* __restrict__ radii, const float* __restrict__ colours,
                                     const float* __restrict__ v_colours, float* __restrict__ slopes, const int total) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= total) return;
    const bool seen = is_seen(radii, at);
    for (long long k = 3LL * at; k < 3LL * at + 3; ++k) slopes[k] = seen && colours[k] > 0 ? v_colours[k] : 0.0f;
}

// colours (views, count, 3) of what each view sees, max(sh . basis + 0.5, 0); radii (views, count, 2), of which the
// first is 0 where it sees nothing. sh: `stride` numbers a row. And Adam's step on sh, from `slopes_of`.
#define OF_DEGREE(DEGREE)                                                                                               \
    extern "C" __global__ void __launch_bounds__(GROUP) colours##DEGREE(                                                \
        const float* __restrict__ means, const VALUE* __restrict__ sh, const float* __restrict__ world_to_camera,       \
        const int* __restrict__ radii, float* __restrict__ colours, const int count, const int views,                   \
        const int stride) {                                                                                             \
        colours_of<DEGREE>(means, sh, world_to_camera, radii, colours, count, views, stride);                           \
    }                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(GROUP, 10) step_harmonics##DEGREE(                                     \
        const float* __restrict__ means, VALUE* __restrict__ sh, MOMENT* __restrict__ first,                            \
        MOMENT* __restrict__ second, const float* __restrict__ world_to_camera, const float* __restrict__ slopes,       \
        float* __restrict__ v_means, const int count, const int views, const int stride, const int seed,                \
        const float rate, const float rest_rate, const float beta1, const float beta2, const float root,                \
        const float epsilon, int* __restrict__ ledger) {                                                                \
        step_of<DEGREE>(means, sh, first, second, world_to_camera, slopes, v_means, count, views, stride, seed, rate,   \
                        rest_rate, {beta1, beta2, root, epsilon}, ledger);                                              \
    }

OF_DEGREE(0)
OF_DEGREE(1)
OF_DEGREE(2)
OF_DEGREE(3)
