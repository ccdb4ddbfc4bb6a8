// Ellipses to pixels, front to back, and the way back.
//
// A warp draws a cell of 8 x CELL_Y pixels by itself and waits for no other. It goes through the list of its tile, 32
// Gaussians at a time, keeps those that touch the cell, and works them off in batches. Forward a lane has pixels.
// Backward it has pixels first, and leaves for each Gaussian of the batch what a pixel says of it; then a lane has a
// Gaussian and sums over the pixels. Their places are known numbers within the cell, so the sums are moments about
// the cell's corner, moved to the ellipse's middle once at the end.

#include "splat.cuh"

constexpr int ROWS = 4;                    // of a cell that one pixel of each lane covers
constexpr int CELL_X = 8, CELL_Y = ROWS * PER;  // PER: pixels of a lane
// WARPS: of a block
constexpr int BLOCK_Y = TILE / (TILE * TILE / (CELL_X * CELL_Y) / WARPS);  // rows of a block, which is as wide as a tile
constexpr int BATCH = 16 / PER;
constexpr int QUEUE = WARP + BATCH;

// Gaussians that touch a cell, with their numbers.
struct Queue {
    Ellipse ellipses[QUEUE];
    int numbers[QUEUE];
};

__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Alpha before it is held at ALPHA_MAX, in a column of pixels at dx from the middle. Both passes must come to the same,
// so every rounding is spelled out.
struct Column {
    float level, slope, c;
    __device__ Column(const Ellipse& e, float dx)
        : level(__fmaf_rn(__fmul_rn(-e.a, dx), dx, e.log)), slope(__fmul_rn(e.b, dx)), c(e.c) {}
    __device__ float full_alpha(float dy) const { return exp2_fast(__fmaf_rn(-__fmaf_rn(c, dy, slope), dy, level)); }
};

// The first two thirds of an ellipse, of which the queue gets the rest only if it touches.
__device__ inline void read_shape(const Ellipse* from, float4& one, float4& two) {
    const float4* parts = reinterpret_cast<const float4*>(from);
    one = parts[0];
    two = parts[1];
}

// Calls `work(ellipses, numbers, count)` for the Gaussians of a list that touch the cell at (x, y), front to back,
// BATCH at a time and what is left at the end; as long as it says true, and for the first `length` of the list.
template <typename Work>
__device__ inline void walk(const Ellipse* __restrict__ ellipses, const int* __restrict__ list, int length, int x, int y,
                            Queue& queue, Work work) {
    const int lane = threadIdx.x % WARP;
    // Two chunks ahead the number of a Gaussian is read, one ahead the Gaussian, so that nobody waits for memory.
    int at = lane < length ? list[lane] : -1;
    int next = WARP + lane < length ? list[WARP + lane] : -1;
    float4 one = {}, two = {};
    if (at >= 0) read_shape(ellipses + at, one, two);
    int waiting = 0;
    for (int from = 0; from < length; from += WARP) {
        Ellipse e;
        e.x = one.x; e.y = one.y; e.a = one.z; e.b = one.w; e.c = two.x; e.log = two.y;
        const bool hit = at >= 0 && touches(e, x, y, CELL_X, CELL_Y);
        const unsigned which = __ballot_sync(ALL, hit);
        if (hit) {
            const int to = waiting + __popc(which & ((1u << lane) - 1));
            float4* parts = reinterpret_cast<float4*>(queue.ellipses + to);
            parts[0] = one;
            parts[1] = two;
            queue.ellipses[to].blue = ellipses[at].blue;
            queue.ellipses[to].place = from + lane + 1;
            queue.numbers[to] = at;
        }
        waiting += __popc(which);
        at = next;
        if (at >= 0) read_shape(ellipses + at, one, two);
        next = from + 2 * WARP + lane < length ? list[from + 2 * WARP + lane] : -1;
        __syncwarp();
        int done = 0;
        for (; done + BATCH <= waiting; done += BATCH)
            if (!work(queue.ellipses + done, queue.numbers + done, BATCH)) return;
        if (done) {
            waiting -= done;
            Ellipse kept;
            int number;
            if (lane < waiting) { kept = queue.ellipses[done + lane]; number = queue.numbers[done + lane]; }
            __syncwarp();
            if (lane < waiting) { queue.ellipses[lane] = kept; queue.numbers[lane] = number; }
        }
    }
    __syncwarp();
    if (waiting) work(queue.ellipses, queue.numbers, waiting);
}

// Where a warp's cell is, and its tile.
struct Cell { int x, y, tile; };

__device__ inline Cell cell_of(int across, int down) {
    const int warp = threadIdx.x / WARP;
    const int x = blockIdx.x * TILE + warp % (TILE / CELL_X) * CELL_X;
    const int y = blockIdx.y * BLOCK_Y + warp / (TILE / CELL_X) * CELL_Y;
    return {x, y, (int(blockIdx.z) * down + y / TILE) * across + int(blockIdx.x)};
}

extern "C" __global__ void __launch_bounds__(WARPS * WARP, 24 / WARPS) draw(
    const Ellipse* __restrict__ ellipses, const int* __restrict__ sorted,
    const int* __restrict__ begins, const int* __restrict__ lengths, const int across, const int down, const int width,
    const int height, float* __restrict__ image, float* __restrict__ transmittance, int* __restrict__ last) {
    __shared__ Queue queues[WARPS];
    const Cell cell = cell_of(across, down);
    if (cell.x >= width || cell.y >= height) return;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int x = cell.x + lane % CELL_X, y = cell.y + lane / CELL_X;
    float t[PER], r[PER], g[PER], b[PER];
    int shown[PER];  // up to and with the last Gaussian that the pixel shows
    bool done[PER];
    for (int p = 0; p < PER; ++p) {
        t[p] = 1;
        r[p] = g[p] = b[p] = 0;
        shown[p] = 0;
        done[p] = x >= width || y + p * ROWS >= height;
    }
    walk(ellipses, sorted + begins[cell.tile], lengths[cell.tile], cell.x, cell.y, queues[warp],
         [&](const Ellipse* batch, const int*, int count) {
             for (int k = 0; k < count; ++k) {
                 const Ellipse& e = batch[k];
                 const Column column(e, x + 0.5f - e.x);
#pragma unroll
                 for (int p = 0; p < PER; ++p) {
                     const float alpha = fminf(ALPHA_MAX, column.full_alpha(y + p * ROWS + 0.5f - e.y));
                     const bool seen = alpha >= ALPHA_MIN && !done[p];
                     const float next = t[p] * (1 - alpha);
                     // What would take the transmittance below STOP is not drawn, nor anything behind it.
                     if (seen && next <= STOP) done[p] = true;
                     if (seen && next > STOP) {
                         const float weight = alpha * t[p];
                         r[p] += weight * e.red;
                         g[p] += weight * e.green;
                         b[p] += weight * e.blue;
                         t[p] = next;
                         shown[p] = e.place;
                     }
                 }
             }
             bool all = true;
             for (int p = 0; p < PER; ++p) all = all && done[p];
             return !__all_sync(ALL, all);
         });
    for (int p = 0; p < PER; ++p) {
        const int row = y + p * ROWS;
        if (x >= width || row >= height) continue;
        const long long pixel = ((long long)blockIdx.z * height + row) * width + x;
        image[3 * pixel] = r[p];
        image[3 * pixel + 1] = g[p];
        image[3 * pixel + 2] = b[p];
        transmittance[pixel] = t[p];
        last[pixel] = shown[p];
    }
}

constexpr int SUMS = 9;
constexpr int GROUPS = WARP / BATCH;               // lanes that share a Gaussian
constexpr int GROUP_ROWS = CELL_Y / GROUPS;        // rows of the cell that each of them sums
constexpr int GROUP = GROUP_ROWS * CELL_X;         // pixels of it
constexpr int SHIFT = PER == 1 ? 0 : 8;            // so that the lanes of a warp meet different banks of shared memory
constexpr int STRIDE = GROUPS * (GROUP + SHIFT) + 1;

// What a warp needs for its way back.
struct Bench {
    Queue queue;
    float slopes[BATCH][STRIDE];   // gradient by the logarithm of alpha, of each Gaussian and pixel
    float weights[BATCH][STRIDE];  // part of the Gaussian in the pixel
    float4 v[GROUPS * (GROUP + 1)];  // gradient by the pixel's colour
};

// Gradients of the ellipses, as `project_backward` takes them (6 moments), and of the colours (3).
extern "C" __global__ void __launch_bounds__(WARPS * WARP) draw_backward(
    const Ellipse* __restrict__ ellipses, const int* __restrict__ sorted,
    const int* __restrict__ begins, const int across, const int down, const int width, const int height,
    const float* __restrict__ image, const float* __restrict__ transmittance, const int* __restrict__ last,
    const float* __restrict__ v_image, const float* __restrict__ v_alpha, float* __restrict__ moments,
    float* __restrict__ v_colours) {
    __shared__ Bench benches[WARPS];
    const Cell cell = cell_of(across, down);
    if (cell.x >= width || cell.y >= height) return;
    Bench& bench = benches[threadIdx.x / WARP];
    const int lane = threadIdx.x % WARP;
    const int x = cell.x + lane % CELL_X, y = cell.y + lane / CELL_X;
    float t[PER], behind[PER], vr[PER], vg[PER], vb[PER];
    int shown[PER], slot[PER], reach = 0;
    for (int p = 0; p < PER; ++p) {
        const int row = y + p * ROWS, inner = lane + p * WARP;
        t[p] = 1;
        behind[p] = vr[p] = vg[p] = vb[p] = 0;
        shown[p] = 0;
        slot[p] = inner + inner / GROUP * SHIFT;
        if (x < width && row < height) {
            const long long pixel = ((long long)blockIdx.z * height + row) * width + x;
            shown[p] = last[pixel];
            vr[p] = v_image[3 * pixel];
            vg[p] = v_image[3 * pixel + 1];
            vb[p] = v_image[3 * pixel + 2];
            behind[p] = vr[p] * image[3 * pixel] + vg[p] * image[3 * pixel + 1] + vb[p] * image[3 * pixel + 2];
            if (v_alpha) behind[p] -= v_alpha[pixel] * transmittance[pixel];
        }
        bench.v[inner + inner / GROUP] = make_float4(vr[p], vg[p], vb[p], 0);
        reach = max(reach, shown[p]);
    }
    for (int step = 16; step; step >>= 1) reach = max(reach, __shfl_xor_sync(ALL, reach, step));
    walk(ellipses, sorted + begins[cell.tile], reach, cell.x, cell.y, bench.queue,
         [&](const Ellipse* batch, const int* numbers, int count) {
             for (int k = 0; k < count; ++k) {
                 const Ellipse& e = batch[k];
                 const Column column(e, x + 0.5f - e.x);
#pragma unroll
                 for (int p = 0; p < PER; ++p) {
                     const float full = column.full_alpha(y + p * ROWS + 0.5f - e.y);
                     const float held = fminf(ALPHA_MAX, full);
                     const float alpha = held >= ALPHA_MIN && e.place <= shown[p] ? held : 0;
                     const float weight = alpha * t[p], through = 1 - alpha;
                     const float by_colour = e.red * vr[p] + e.green * vg[p] + e.blue * vb[p];
                     behind[p] -= weight * by_colour;
                     const float slope = (t[p] * by_colour - __fdividef(behind[p], through)) * alpha;
                     t[p] *= through;
                     bench.slopes[k][slot[p]] = full <= ALPHA_MAX ? slope : 0;
                     bench.weights[k][slot[p]] = weight;
                 }
             }
             __syncwarp();
             // From here a lane has a Gaussian and a group of the cell's rows.
             const int k = lane % BATCH, group = lane / BATCH;
             const float* slopes = bench.slopes[k] + group * (GROUP + SHIFT);
             const float* weights = bench.weights[k] + group * (GROUP + SHIFT);
             const float4* v = bench.v + group * (GROUP + 1);
             float s[SUMS] = {};
#pragma unroll
             for (int row = 0; row < GROUP_ROWS; ++row) {
                 float s0 = 0, sx = 0, sxx = 0;
#pragma unroll
                 for (int i = 0; i < CELL_X; ++i) {
                     const float slope = slopes[row * CELL_X + i], weight = weights[row * CELL_X + i];
                     const float4 by = v[row * CELL_X + i];
                     s0 += slope;
                     sx += i * slope;
                     sxx += i * i * slope;
                     s[6] += weight * by.x;
                     s[7] += weight * by.y;
                     s[8] += weight * by.z;
                 }
                 s[0] += s0; s[1] += sx; s[2] += row * s0;
                 s[3] += sxx; s[4] += row * sx; s[5] += row * row * s0;
             }
             if (k < count) {
                 // About the ellipse's middle.
                 const Ellipse& e = batch[k];
                 const float ox = cell.x + 0.5f - e.x, oy = cell.y + group * GROUP_ROWS + 0.5f - e.y;
                 s[3] += ox * (2 * s[1] + ox * s[0]);
                 s[4] += ox * s[2] + oy * (s[1] + ox * s[0]);
                 s[5] += oy * (2 * s[2] + oy * s[0]);
                 s[1] += ox * s[0];
                 s[2] += oy * s[0];
             }
#pragma unroll
             for (int step = BATCH; step < WARP; step <<= 1)
                 for (int m = 0; m < SUMS; ++m) s[m] += __shfl_xor_sync(ALL, s[m], step);
             __syncwarp();
             // Neighbouring lanes add to neighbouring numbers.
             float* sums = bench.slopes[0];
             if (group == 0)
                 for (int m = 0; m < SUMS; ++m) sums[k * SUMS + m] = s[m];
             __syncwarp();
             for (int i = lane; i < count * SUMS; i += WARP) {
                 const int which = i / SUMS, m = i % SUMS;
                 const long long at = numbers[which];
                 float* to = m < 6 ? moments + 6 * at + m : v_colours + 3 * at + m - 6;
                 if (sums[i] != 0) atomicAdd(to, sums[i]);
             }
             __syncwarp();
             return true;
         });
}
