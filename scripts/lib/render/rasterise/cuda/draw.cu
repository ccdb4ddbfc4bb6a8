// Ellipses to pixels, front to back, and the way back.
//
// Forward a block draws a tile, a thread a pixel; a warp has 8 x 4 pixels and skips what does not touch them. Every
// BUCKET Gaussians each pixel leaves its state. From there, backward, a block takes a bucket: a lane has one Gaussian,
// and pixels pass from lane to lane, so that a Gaussian's gradient is summed in one lane's registers and added to
// memory once (the order of Mallick et al., "Taming 3DGS", SIGGRAPH Asia 2024).

#include "splat.cuh"

constexpr int CELL_X = 8, CELL_Y = 4;  // pixels of a warp

struct State { float t, r, g, b; };  // transmittance and colour so far

__device__ inline void place_of(int thread, int& x, int& y) {
    const int warp = thread / WARP, lane = thread % WARP;
    x = (warp % (TILE / CELL_X)) * CELL_X + lane % CELL_X;
    y = (warp / (TILE / CELL_X)) * CELL_Y + lane / CELL_X;
}

// Alpha before it is held at ALPHA_MAX; both passes must come to the same.
__device__ inline float full_alpha(const Ellipse& e, float dx, float dy) { return exp2f(e.log - fall(e, dx, dy)); }

extern "C" __global__ void __launch_bounds__(256) draw(
    const Ellipse* __restrict__ ellipses, const float* __restrict__ colours, const int* __restrict__ sorted,
    const int* __restrict__ begins, const int* __restrict__ lengths, const int* __restrict__ bucket_ends,
    const int width, const int height, const int with_states, float* __restrict__ image,
    float* __restrict__ transmittance, int* __restrict__ last, int* __restrict__ deepest,
    State* __restrict__ states, int* __restrict__ bucket_tiles, const int states_capacity) {
    __shared__ Ellipse some[WARP * 8];
    __shared__ Vec3 shades[WARP * 8];
    __shared__ int reached;
    const int across = gridDim.x, down = gridDim.y;
    const int tile = (blockIdx.z * down + blockIdx.y) * across + blockIdx.x;
    const int thread = threadIdx.x, lane = thread % WARP;
    int inner_x, inner_y;
    place_of(thread, inner_x, inner_y);
    const int x = blockIdx.x * TILE + inner_x, y = blockIdx.y * TILE + inner_y;
    const int cell_x = x - lane % CELL_X, cell_y = y - lane / CELL_X;
    const bool inside = x < width && y < height;
    const int begin = begins[tile], length = lengths[tile];
    const int buckets = (length + BUCKET - 1) / BUCKET, bucket = bucket_ends[tile] - buckets;
    if (thread == 0) reached = 0;
    if (with_states)
        for (int k = thread; k < buckets; k += PIXELS)
            if (bucket + k < states_capacity) bucket_tiles[bucket + k] = tile;
    float t = 1, r = 0, g = 0, b = 0;
    int drawn = 0;  // up to and with the last Gaussian that this pixel shows
    bool done = !inside;
    for (int from = 0; from < length; from += PIXELS) {
        if (__syncthreads_count(done) == PIXELS) break;
        const int many = min(PIXELS, length - from);
        if (thread < many) {
            const int at = sorted[begin + from + thread];
            some[thread] = ellipses[at];
            shades[thread] = {colours[3 * (long long)at], colours[3 * (long long)at + 1], colours[3 * (long long)at + 2]};
        }
        __syncthreads();
        for (int part = 0; part < many; part += WARP) {
            if (with_states && (from + part) % BUCKET == 0 && !done) {
                const int to = bucket + (from + part) / BUCKET;
                if (to < states_capacity) states[(long long)to * PIXELS + thread] = {t, r, g, b};
            }
            if (__all_sync(ALL, done)) continue;
            const int mine = part + lane;
            unsigned near = __ballot_sync(ALL, mine < many && touches(some[mine], cell_x, cell_y, CELL_X, CELL_Y));
            while (near) {
                const int k = part + __ffs(near) - 1;
                near &= near - 1;
                const Ellipse& e = some[k];
                const float alpha = fminf(ALPHA_MAX, full_alpha(e, x + 0.5f - e.x, y + 0.5f - e.y));
                if (done || alpha < ALPHA_MIN) continue;
                const float next = t * (1 - alpha);
                // What would take the transmittance below STOP is not drawn, nor anything behind it.
                if (next <= STOP) { done = true; continue; }
                const float weight = alpha * t;
                r += weight * shades[k].x;
                g += weight * shades[k].y;
                b += weight * shades[k].z;
                t = next;
                drawn = from + k + 1;
            }
        }
    }
    if (inside) {
        const long long pixel = ((long long)blockIdx.z * height + y) * width + x;
        image[3 * pixel] = r;
        image[3 * pixel + 1] = g;
        image[3 * pixel + 2] = b;
        transmittance[pixel] = t;
        if (with_states) last[pixel] = drawn;
    }
    if (with_states) {
        __syncthreads();
        for (int step = 16; step; step >>= 1) drawn = max(drawn, __shfl_xor_sync(ALL, drawn, step));
        if (lane == 0) atomicMax(&reached, drawn);
        __syncthreads();
        if (thread == 0) deepest[tile] = reached;
    }
}

// Gradients of the ellipses, as `project_backward` takes them (6 moments), and of the colours (3). A block a bucket, a
// warp one of the tile's four quarters: of the bucket's Gaussians it takes those that touch the quarter.
extern "C" __global__ void __launch_bounds__(BUCKET) draw_backward(
    const Ellipse* __restrict__ ellipses, const float* __restrict__ colours, const int* __restrict__ sorted,
    const int* __restrict__ begins, const int* __restrict__ lengths, const int* __restrict__ bucket_ends,
    const int tiles, const int across, const int down, const int width, const int height,
    const float* __restrict__ image, const float* __restrict__ transmittance, const int* __restrict__ last,
    const int* __restrict__ deepest, const State* __restrict__ states, const int* __restrict__ bucket_tiles,
    const int states_capacity, const float* __restrict__ v_image, const float* __restrict__ v_alpha,
    float* __restrict__ moments, float* __restrict__ v_colours) {
    constexpr int QUARTER = TILE / 2, OF_QUARTER = QUARTER * QUARTER, SUMS = 9;
    __shared__ Ellipse some[BUCKET];
    __shared__ Vec3 shades[BUCKET];
    __shared__ int numbers[BUCKET];
    __shared__ float sums[BUCKET][SUMS];
    __shared__ float4 places[4][OF_QUARTER];   // of the pixels that show something of this bucket: x, y, slope's red, green
    __shared__ float2 rest[4][OF_QUARTER];     // slope's blue, and how many of the bucket's Gaussians the pixel shows
    __shared__ float2 running[4][OF_QUARTER];  // transmittance, and what comes of the colour behind
    __shared__ unsigned char chosen[4][BUCKET];

    const int bucket = blockIdx.x, thread = threadIdx.x, warp = thread / WARP, lane = thread % WARP;
    if (bucket >= min(bucket_ends[tiles - 1], states_capacity)) return;
    const int tile = bucket_tiles[bucket], length = lengths[tile];
    const int number = bucket - (bucket_ends[tile] - (length + BUCKET - 1) / BUCKET);
    const int first = number * BUCKET;
    const int count = min(min(BUCKET, length - first), deepest[tile] - first);
    if (count <= 0) return;
    for (int k = 0; k < SUMS; ++k) sums[thread][k] = 0;
    if (thread < count) {
        const long long at = sorted[begins[tile] + first + thread];
        numbers[thread] = int(at);
        some[thread] = ellipses[at];
        shades[thread] = {colours[3 * at], colours[3 * at + 1], colours[3 * at + 2]};
    }
    __syncthreads();

    const int view = tile / (across * down);
    const int left = tile % across * TILE + warp % 2 * QUARTER, top = tile / across % down * TILE + warp / 2 * QUARTER;
    int many = 0;
    for (int half = 0; half < 2; ++half) {
        const int cell = 4 * (warp / 2) + warp % 2 + 2 * half, slot = cell * WARP + lane;  // as place_of has them
        const int px = left + lane % CELL_X, py = top + half * CELL_Y + lane / CELL_X;
        const long long pixel = ((long long)view * height + py) * width + px;
        const int shown = px < width && py < height ? last[pixel] - first : 0;
        const unsigned which = __ballot_sync(ALL, shown > 0);
        if (shown > 0) {
            const int to = many + __popc(which & ((1u << lane) - 1));
            const float vr = v_image[3 * pixel], vg = v_image[3 * pixel + 1], vb = v_image[3 * pixel + 2];
            State s = {1, 0, 0, 0};
            if (number) s = states[(long long)bucket * PIXELS + slot];
            float behind = vr * (image[3 * pixel] - s.r) + vg * (image[3 * pixel + 1] - s.g) + vb * (image[3 * pixel + 2] - s.b);
            if (v_alpha) behind -= v_alpha[pixel] * transmittance[pixel];
            places[warp][to] = make_float4(px + 0.5f, py + 0.5f, vr, vg);
            rest[warp][to] = make_float2(vb, float(shown));
            running[warp][to] = make_float2(s.t, behind);
        }
        many += __popc(which);
    }
    int survivors = 0;
    if (many)
        for (int part = 0; part < count; part += WARP) {
            const int k = part + lane;
            const bool takes = k < count && touches(some[k], left, top, QUARTER, QUARTER);
            const unsigned which = __ballot_sync(ALL, takes);
            if (takes) chosen[warp][survivors + __popc(which & ((1u << lane) - 1))] = (unsigned char)k;
            survivors += __popc(which);
        }
    __syncwarp();

    for (int from = 0; from < survivors; from += WARP) {
        const bool have = from + lane < survivors;
        const int mine = have ? chosen[warp][from + lane] : 0;
        Ellipse e = some[mine];
        if (!have) e.log = -1e9f;
        const Vec3 shade = shades[mine];
        const float place = float(mine);
        float g0 = 0, gx = 0, gy = 0, gxx = 0, gxy = 0, gyy = 0, cr = 0, cg = 0, cb = 0;
        float t = 0, behind = 0;
        for (int step = 0; step < many + WARP - 1; ++step) {
            t = __shfl_up_sync(ALL, t, 1);
            behind = __shfl_up_sync(ALL, behind, 1);
            const int turn = step - lane;
            if (turn < 0 || turn >= many) continue;
            if (lane == 0) { const float2 now = running[warp][turn]; t = now.x; behind = now.y; }
            const float4 pixel = places[warp][turn];
            const float2 more = rest[warp][turn];
            const float dx = pixel.x - e.x, dy = pixel.y - e.y;
            const float full = full_alpha(e, dx, dy);
            const float alpha = fminf(ALPHA_MAX, full);
            if (alpha >= ALPHA_MIN && place < more.y) {
                const float weight = alpha * t, through = 1 - alpha;
                const float by_colour = shade.x * pixel.z + shade.y * pixel.w + shade.z * more.x;
                cr += weight * pixel.z; cg += weight * pixel.w; cb += weight * more.x;
                behind -= weight * by_colour;
                if (full <= ALPHA_MAX) {
                    const float s = (t * by_colour - __fdividef(behind, through)) * alpha;
                    const float sx = s * dx, sy = s * dy;
                    g0 += s; gx += sx; gy += sy;
                    gxx += sx * dx; gxy += sx * dy; gyy += sy * dy;
                }
                t *= through;
            }
            if (lane == WARP - 1) running[warp][turn] = make_float2(t, behind);
        }
        __syncwarp();
        if (have) {
            float* to = sums[mine];
            atomicAdd(to, g0); atomicAdd(to + 1, gx); atomicAdd(to + 2, gy);
            atomicAdd(to + 3, gxx); atomicAdd(to + 4, gxy); atomicAdd(to + 5, gyy);
            atomicAdd(to + 6, cr); atomicAdd(to + 7, cg); atomicAdd(to + 8, cb);
        }
    }
    __syncthreads();
    if (thread < count) {
        const long long at = numbers[thread];
        for (int k = 0; k < 6; ++k) if (sums[thread][k] != 0) atomicAdd(moments + 6 * at + k, sums[thread][k]);
        for (int k = 0; k < 3; ++k) if (sums[thread][6 + k] != 0) atomicAdd(v_colours + 3 * at + k, sums[thread][6 + k]);
    }
}
