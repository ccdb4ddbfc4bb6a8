// What all kernels of the rasteriser share: sizes, the camera, and the ellipse that a Gaussian is drawn as.
//
// EWA projection after Zwicker et al., "EWA Splatting" (2002); constants and culling as in the CPU kernels, which
// spell out the same formulas in scripts/lib/render/rasterise/projection.py.

#pragma once

constexpr int TILE = 16;               // pixels of a tile's side
constexpr int WARP = 32;
constexpr unsigned ALL = 0xffffffffu;
constexpr float EPS2D = 0.3f;          // pixels squared that every footprint is blurred by
constexpr float ALPHA_MIN = 1.0f / 255.0f;
constexpr float ALPHA_MAX = 0.999f;
constexpr float STOP = 1e-4f;          // transmittance that nothing is drawn behind
constexpr float LOG2_E = 1.4426950408889634f;

// An ellipse on the image. Alpha at (dx, dy) from its middle is 2^(log - a dx^2 - b dx dy - c dy^2). What decides
// whether it touches a rectangle comes first: 32 bytes of 48.
struct alignas(16) Ellipse {
    float x, y;  // middle, pixels
    float a, b, c;
    float log;   // of the opacity, base 2
    float red, green, blue;
    float reach_x, reach_y;  // half of the box outside of which alpha is below ALPHA_MIN, pixels
    int place;   // where a list has it, from 1; of use only there
};

// One view: rotation row by row, shift, focal lengths and principal point in pixels.
struct Camera {
    float r[9], t[3], fx, fy, cx, cy;
    float left, right, top, bottom;  // slopes x/z and y/z at which the linearisation is held
};

struct Vec3 { float x, y, z; };

// world_to_camera (4, 4) and K (3, 3), row by row, of a view of width x height pixels.
__device__ inline Camera camera_of(const float* world_to_camera, const float* K, int width, int height) {
    Camera c;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) c.r[3 * i + j] = world_to_camera[4 * i + j];
        c.t[i] = world_to_camera[4 * i + 3];
    }
    c.fx = K[0]; c.fy = K[4]; c.cx = K[2]; c.cy = K[5];
    // Beyond 1.3 times the field of view the linearisation explodes.
    const float edge_x = 0.15f * width / c.fx, edge_y = 0.15f * height / c.fy;
    c.left = -c.cx / c.fx - edge_x;
    c.right = (width - c.cx) / c.fx + edge_x;
    c.top = -c.cy / c.fy - edge_y;
    c.bottom = (height - c.cy) / c.fy + edge_y;
    return c;
}

// What lies between a Gaussian and its ellipse, forward and backward alike.
struct Projected {
    Vec3 place;              // of the mean, camera's frame
    float inverse, q[4];     // 1 / length of the quaternion, and the unit quaternion (w, x, y, z)
    float rot[9];            // its matrix, row by row
    float sx, sy, j00, j11;  // held slopes x/z, y/z; fx/z, fy/z
    float p[6];              // J R_view, 2 x 3
    float m[6], Q[6];        // P R_quat and that times the scales
    float a, b, c;           // covariance on the image before it is blurred
};

// False where the mean is nearer than `near` or beyond `far`.
__device__ inline bool project_one(const Camera& cam, const float* mean, const float* quat, const float* scale,
                                   float near, float far, Projected& o) {
    const float u = mean[0], v = mean[1], w = mean[2];
    o.place.z = cam.r[6] * u + cam.r[7] * v + cam.r[8] * w + cam.t[2];
    if (!(o.place.z >= near && o.place.z <= far)) return false;
    o.place.x = cam.r[0] * u + cam.r[1] * v + cam.r[2] * w + cam.t[0];
    o.place.y = cam.r[3] * u + cam.r[4] * v + cam.r[5] * w + cam.t[1];

    float qw = quat[0], qx = quat[1], qy = quat[2], qz = quat[3];
    o.inverse = rsqrtf(fmaxf(qw * qw + qx * qx + qy * qy + qz * qz, 1e-24f));
    qw *= o.inverse; qx *= o.inverse; qy *= o.inverse; qz *= o.inverse;
    o.q[0] = qw; o.q[1] = qx; o.q[2] = qy; o.q[3] = qz;
    o.rot[0] = 1 - 2 * (qy * qy + qz * qz); o.rot[1] = 2 * (qx * qy - qw * qz); o.rot[2] = 2 * (qx * qz + qw * qy);
    o.rot[3] = 2 * (qx * qy + qw * qz); o.rot[4] = 1 - 2 * (qx * qx + qz * qz); o.rot[5] = 2 * (qy * qz - qw * qx);
    o.rot[6] = 2 * (qx * qz - qw * qy); o.rot[7] = 2 * (qy * qz + qw * qx); o.rot[8] = 1 - 2 * (qx * qx + qy * qy);

    const float rz = 1.0f / o.place.z;
    o.sx = fminf(fmaxf(o.place.x * rz, cam.left), cam.right);
    o.sy = fminf(fmaxf(o.place.y * rz, cam.top), cam.bottom);
    o.j00 = cam.fx * rz;
    o.j11 = cam.fy * rz;
    for (int k = 0; k < 3; ++k) {
        o.p[k] = o.j00 * (cam.r[k] - o.sx * cam.r[6 + k]);
        o.p[3 + k] = o.j11 * (cam.r[3 + k] - o.sy * cam.r[6 + k]);
    }
    for (int i = 0; i < 2; ++i)
        for (int k = 0; k < 3; ++k) {
            const float* p = o.p + 3 * i;
            o.Q[3 * i + k] = p[0] * o.rot[k] + p[1] * o.rot[3 + k] + p[2] * o.rot[6 + k];
            o.m[3 * i + k] = o.Q[3 * i + k] * scale[k];
        }
    o.a = o.m[0] * o.m[0] + o.m[1] * o.m[1] + o.m[2] * o.m[2];
    o.b = o.m[0] * o.m[3] + o.m[1] * o.m[4] + o.m[2] * o.m[5];
    o.c = o.m[3] * o.m[3] + o.m[4] * o.m[4] + o.m[5] * o.m[5];
    return true;
}

// By how much the logarithm of alpha, base 2, has fallen at (dx, dy) from the middle. Rounded the same way wherever it
// is compiled: two kernels must find the same tiles.
__device__ inline float fall(const Ellipse& e, float dx, float dy) {
    const float across = __fmaf_rn(e.a, dx, __fmul_rn(e.b, dy));
    return __fmaf_rn(across, dx, __fmul_rn(__fmul_rn(e.c, dy), dy));
}

// Least a dx^2 + b dx dy + c dy^2 over the rectangle of points [x0, x1] x [y0, y1], relative to the middle.
__device__ inline float least_in_rectangle(const Ellipse& e, float x0, float x1, float y0, float y1) {
    const bool inside_x = x0 <= 0 && x1 >= 0, inside_y = y0 <= 0 && y1 >= 0;
    if (inside_x && inside_y) return 0.0f;
    float least = 3e38f;
    const float half = -0.5f * e.b;
    // A convex function whose lowest point is outside has its minimum on an edge that faces that point.
    if (!inside_x) {
        const float dx = x0 > 0 ? x0 : x1;
        const float dy = fminf(fmaxf(__fdividef(__fmul_rn(half, dx), e.c), y0), y1);
        least = fall(e, dx, dy);
    }
    if (!inside_y) {
        const float dy = y0 > 0 ? y0 : y1;
        const float dx = fminf(fmaxf(__fdividef(__fmul_rn(half, dy), e.a), x0), x1);
        least = fminf(least, fall(e, dx, dy));
    }
    return least;
}

// Whether alpha reaches ALPHA_MIN at a pixel's middle among columns [x, x + width) and rows [y, y + height).
__device__ inline bool touches(const Ellipse& e, int x, int y, int width, int height) {
    const float x0 = x + 0.5f - e.x, y0 = y + 0.5f - e.y;
    const float level = __fadd_rn(e.log, 7.9943534368588578f);  // log2(255): how far alpha may fall
    // A little more, for rounding: the pixel loop tests alpha itself.
    return least_in_rectangle(e, x0, x0 + width - 1, y0, y0 + height - 1) <= __fmaf_rn(level, 1.0001f, 1e-4f);
}

// Tiles [left, right] x [top, bottom] that the ellipse's box meets; false where it is beside the image.
__device__ inline bool tile_box(const Ellipse& e, int width, int height, int& left, int& right, int& top, int& bottom) {
    // First and last pixel whose middle is in the box.
    const float x0 = fmaxf(ceilf(e.x - e.reach_x - 0.5f), 0.0f), x1 = fminf(floorf(e.x + e.reach_x - 0.5f), width - 1.0f);
    const float y0 = fmaxf(ceilf(e.y - e.reach_y - 0.5f), 0.0f), y1 = fminf(floorf(e.y + e.reach_y - 0.5f), height - 1.0f);
    if (!(x0 <= x1 && y0 <= y1)) return false;
    left = int(x0) / TILE; right = int(x1) / TILE;
    top = int(y0) / TILE; bottom = int(y1) / TILE;
    return true;
}
