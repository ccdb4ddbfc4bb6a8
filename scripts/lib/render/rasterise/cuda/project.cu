// Gaussians to ellipses, and the way back.

#include "splat.cuh"
#include "tiles.cuh"

// The ellipse of a Gaussian and its depth; false where nothing of it is seen.
__device__ inline bool ellipse_of(const Camera& cam, const float* mean, const float* quat, const float* scale, float opacity,
                                  float near, float far, bool antialiased, Ellipse& e, float& depth) {
    Projected o;
    if (!(opacity >= ALPHA_MIN) || !project_one(cam, mean, quat, scale, near, far, o)) return false;
    const float a = o.a + EPS2D, c = o.c + EPS2D, area = a * c - o.b * o.b;
    if (!(area > 0)) return false;
    if (antialiased) {
        opacity *= sqrtf(fmaxf((o.a * o.c - o.b * o.b) / area, 0.0f));
        if (!(opacity >= ALPHA_MIN)) return false;
    }
    const float level = 2 * logf(opacity / ALPHA_MIN);
    e.x = cam.fx * o.place.x / o.place.z + cam.cx;
    e.y = cam.fy * o.place.y / o.place.z + cam.cy;
    e.a = 0.5f * LOG2_E * c / area;
    e.b = -LOG2_E * o.b / area;
    e.c = 0.5f * LOG2_E * a / area;
    e.log = log2f(opacity);
    // A hundredth of a pixel more, for rounding.
    e.reach_x = sqrtf(level * a) + 0.01f;
    e.reach_y = sqrtf(level * c) + 0.01f;
    depth = o.place.z;
    return true;
}

// One thread a Gaussian and view. Leaves its ellipse, how many tiles it touches, and a key that sorts by view and
// depth (all ones where nothing is seen).
extern "C" __global__ void __launch_bounds__(256) project(
    const float* __restrict__ means, const float* __restrict__ quats, const float* __restrict__ scales,
    const float* __restrict__ opacities, const float* __restrict__ world_to_camera, const float* __restrict__ K,
    const int count, const int views, const int width, const int height, const float near, const float far,
    const int antialiased, Ellipse* __restrict__ ellipses, int* __restrict__ touched, int* __restrict__ keys) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, view = blockIdx.y;
    const long long at = (long long)view * count + i;
    const Camera cam = camera_of(world_to_camera + 16 * view, K + 9 * view, width, height);
    Ellipse e = {};
    float depth = 0;
    int left = 0, right = -1, top = 0, bottom = -1;
    bool seen = i < count && ellipse_of(cam, means + 3 * i, quats + 4 * i, scales + 3 * i, opacities[i], near, far, antialiased, e, depth);
    seen = seen && tile_box(e, width, height, left, right, top, bottom);
    const bool few = (right - left + 1) * (bottom - top + 1) <= FEW;
    const int tiles = visit_tiles(e, seen && few, seen && !few, left, right, top, bottom, make_int3(0, 0, 0),
                                  [](int, int, int, int3) {});
    if (i >= count) return;
    touched[2 * at] = touched[2 * at + 1] = tiles;
    if (tiles) ellipses[at] = e;
    // Positive floats sort as whole numbers do; the lowest bits make room for the view.
    int bits = 0;
    while ((1 << bits) < views) ++bits;
    keys[at] = tiles ? (view << (31 - bits)) | (__float_as_int(depth) >> bits) : 0x7fffffff;
}

// One thread a Gaussian: gradients of its parameters, summed over the views. `moments` (views, count, 6) are sums
// over pixels of s, s dx, s dy, s dx^2, s dx dy, s dy^2, where s is the gradient by the logarithm of alpha and
// (dx, dy) goes from the ellipse's middle to the pixel.
extern "C" __global__ void project_backward(
    const float* __restrict__ means, const float* __restrict__ quats, const float* __restrict__ scales,
    const float* __restrict__ opacities, const float* __restrict__ world_to_camera, const float* __restrict__ K,
    const int count, const int views, const int width, const int height, const float near, const float far,
    const int antialiased, const Ellipse* __restrict__ ellipses, const int* __restrict__ touched,
    const float* __restrict__ moments, float* __restrict__ v_means, float* __restrict__ v_quats,
    float* __restrict__ v_scales, float* __restrict__ v_opacities, float* __restrict__ v_cameras) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    float d_mean[3] = {0, 0, 0}, d_quat[4] = {0, 0, 0, 0}, d_scale[3] = {0, 0, 0}, d_opacity = 0;
    for (int view = 0; view < views; ++view) {
        const long long at = (long long)view * count + i;
        const bool seen = i < count && touched[2 * at] > 0;
        float d_pose[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        if (seen) {
            const Camera cam = camera_of(world_to_camera + 16 * view, K + 9 * view, width, height);
            Projected o;
            project_one(cam, means + 3 * i, quats + 4 * i, scales + 3 * i, near, far, o);
            const float* g = moments + 6 * at;
            const Ellipse e = ellipses[at];
            const float ca = 2 * e.a / LOG2_E, cb = e.b / LOG2_E, cc = 2 * e.c / LOG2_E;
            const float d_x = ca * g[1] + cb * g[2], d_y = cb * g[1] + cc * g[2];
            // The inverse of a matrix: d covariance = -conic . d conic . conic
            const float k00 = -0.5f * g[3], k01 = -0.5f * g[4], k11 = -0.5f * g[5];
            const float t00 = ca * k00 + cb * k01, t01 = ca * k01 + cb * k11;
            const float t10 = cb * k00 + cc * k01, t11 = cb * k01 + cc * k11;
            float d_a = -(t00 * ca + t01 * cb), d_b = -2 * (t00 * cb + t01 * cc), d_c = -(t10 * cb + t11 * cc);
            if (antialiased) {
                const float sharp = o.a * o.c - o.b * o.b, area = (o.a + EPS2D) * (o.c + EPS2D) - o.b * o.b;
                d_a += 0.5f * g[0] * (o.c / sharp - (o.c + EPS2D) / area);
                d_b += g[0] * (o.b / area - o.b / sharp);
                d_c += 0.5f * g[0] * (o.a / sharp - (o.a + EPS2D) / area);
            }
            d_opacity += g[0] / opacities[i];

            // covariance = M M^T, M = Q S, Q = P R_quat, P = J R_view.
            float e6[6], f[6];
            for (int k = 0; k < 3; ++k) {
                const float upper = 2 * d_a * o.m[k] + d_b * o.m[3 + k], lower = d_b * o.m[k] + 2 * d_c * o.m[3 + k];
                d_scale[k] += upper * o.Q[k] + lower * o.Q[3 + k];
                e6[k] = upper * scales[3 * i + k];
                e6[3 + k] = lower * scales[3 * i + k];
            }
            float r[9];
            for (int j = 0; j < 3; ++j)
                for (int k = 0; k < 3; ++k) r[3 * j + k] = o.p[j] * e6[k] + o.p[3 + j] * e6[3 + k];
            const float w = o.q[0], x = o.q[1], y = o.q[2], z = o.q[3];
            const float dw = 2 * (z * (r[3] - r[1]) + y * (r[2] - r[6]) + x * (r[7] - r[5]));
            const float di = 2 * (y * (r[1] + r[3]) + z * (r[2] + r[6]) + w * (r[7] - r[5]) - 2 * x * (r[4] + r[8]));
            const float dj = 2 * (x * (r[1] + r[3]) + z * (r[5] + r[7]) + w * (r[2] - r[6]) - 2 * y * (r[0] + r[8]));
            const float dk = 2 * (x * (r[2] + r[6]) + y * (r[5] + r[7]) + w * (r[3] - r[1]) - 2 * z * (r[0] + r[4]));
            const float along = dw * w + di * x + dj * y + dk * z;
            d_quat[0] += (dw - along * w) * o.inverse;
            d_quat[1] += (di - along * x) * o.inverse;
            d_quat[2] += (dj - along * y) * o.inverse;
            d_quat[3] += (dk - along * z) * o.inverse;

            for (int j = 0; j < 2; ++j)
                for (int k = 0; k < 3; ++k)
                    f[3 * j + k] = e6[3 * j] * o.rot[3 * k] + e6[3 * j + 1] * o.rot[3 * k + 1] + e6[3 * j + 2] * o.rot[3 * k + 2];
            const float h00 = f[0] * cam.r[0] + f[1] * cam.r[1] + f[2] * cam.r[2];
            const float h02 = f[0] * cam.r[6] + f[1] * cam.r[7] + f[2] * cam.r[8];
            const float h11 = f[3] * cam.r[3] + f[4] * cam.r[4] + f[5] * cam.r[5];
            const float h12 = f[3] * cam.r[6] + f[4] * cam.r[7] + f[5] * cam.r[8];
            const float rz = 1.0f / o.place.z, slope_x = o.place.x * rz, slope_y = o.place.y * rz;
            float d_z = -rz * (o.j00 * (h00 - o.sx * h02) + o.j11 * (h11 - o.sy * h12));
            const float d_sx = cam.fx * d_x + (o.sx == slope_x ? -o.j00 * h02 : 0.0f);
            const float d_sy = cam.fy * d_y + (o.sy == slope_y ? -o.j11 * h12 : 0.0f);
            d_z -= rz * (d_sx * slope_x + d_sy * slope_y);
            const float d_place[3] = {d_sx * rz, d_sy * rz, d_z};
            for (int k = 0; k < 3; ++k)
                d_mean[k] += cam.r[k] * d_place[0] + cam.r[3 + k] * d_place[1] + cam.r[6 + k] * d_place[2];
            if (v_cameras) {
                for (int k = 0; k < 3; ++k) {
                    const float at_mean = means[3 * i + k];
                    d_pose[k] = d_place[0] * at_mean + o.j00 * f[k];
                    d_pose[4 + k] = d_place[1] * at_mean + o.j11 * f[3 + k];
                    d_pose[8 + k] = d_place[2] * at_mean - o.j00 * o.sx * f[k] - o.j11 * o.sy * f[3 + k];
                    d_pose[4 * k + 3] = d_place[k];
                }
            }
        }
        if (v_cameras) {
            for (int k = 0; k < 12; ++k) {
                float sum = d_pose[k];
                for (int step = 16; step; step >>= 1) sum += __shfl_xor_sync(ALL, sum, step);
                if (threadIdx.x % WARP == 0 && sum != 0) atomicAdd(v_cameras + 16 * view + k, sum);
            }
        }
    }
    if (i >= count) return;
    for (int k = 0; k < 3; ++k) { v_means[3 * i + k] = d_mean[k]; v_scales[3 * i + k] = d_scale[k]; }
    for (int k = 0; k < 4; ++k) v_quats[4 * i + k] = d_quat[k];
    v_opacities[i] = d_opacity;
}
