// L1 and structural similarity between renders and photos, and their gradient by the renders.
//
// An image is taken as rows of 3 * width numbers, in which a window's taps lie three apart: colours need no loop, and
// all reads lie side by side. A thread has one column of a strip and walks down it: the window's horizontal half comes
// from rows in shared memory, its vertical half from sums in registers that move on by one row at a time.
//
// TAPS: the window's WINDOW numbers, separated by commas. MASK: type of the masks' numbers, SEEN: what they are
// multiplied by to lie in 0..1.

constexpr int REACH = WINDOW - 1, COLOURS = 3;
constexpr int THREADS = 128, WARP = 32, WARPS = THREADS / WARP;
constexpr int EXTRA = COLOURS * REACH, WIDE = THREADS + EXTRA;  // numbers of a row that THREADS windows need
constexpr int STRIP = 38;                                       // rows of a block; REACH more are read
constexpr int ROWS = 8;                                         // of shared memory
constexpr int BATCH = 4;                                        // reads of a thread that are under way together
constexpr int ENDS = 256;                                       // threads of `finish` and `finish_exposures`
constexpr unsigned ALL = 0xffffffffu;

// Where the rows of a block's strip and its columns begin, and how the images lie in memory. Within a view 31 bits
// number everything: 200 megapixels.
struct Place {
    int width, height;        // of an image, in numbers and rows
    int windows, down;        // columns and rows of windows
    int first_column, first_row;
    long long image, map;     // first number of this view in images and in maps of windows
};

__device__ inline Place place_of(int width, int height) {
    Place p;
    p.width = COLOURS * width;
    p.height = height;
    p.windows = p.width - EXTRA;
    p.down = height - REACH;
    p.first_column = blockIdx.x * THREADS;
    p.first_row = blockIdx.y * STRIP;
    p.image = (long long)blockIdx.z * p.width * height;
    p.map = (long long)blockIdx.z * 3 * p.windows * p.down;
    return p;
}

// The images of one view, and gains and offsets of its exposure.
struct View {
    const float* render;
    const unsigned char* photo;
    const MASK* mask;  // or none
    const float* exposure;
};

// One number of an image: as it was rendered, and what is compared.
struct Pair { float made, render, photo, cover; };

__device__ inline Pair read_pair(const View& view, int at) {
    return {view.render[at], 0, float(view.photo[at]), view.mask ? view.mask[at / COLOURS] * SEEN : 1.0f};
}

// The render as the photo's exposure would have it, mixed with the photo where the mask leaves it out.
__device__ inline void make_comparable(Pair& p, const float* exposure, int colour) {
    p.photo *= 1.0f / 255.0f;
    const float exposed = p.made * exposure[colour] + exposure[COLOURS + colour];
    p.render = p.cover == 1 ? exposed : p.photo + (exposed - p.photo) * p.cover;
}

// Gains and offsets of this block's view, from (views, 6) logarithms of gains and offsets, or none. One warp writes.
__device__ inline void read_exposure(const float* exposures, float* to) {
    if (threadIdx.x >= 2 * COLOURS) return;
    const float value = exposures ? exposures[2 * COLOURS * blockIdx.z + threadIdx.x] : 0.0f;
    to[threadIdx.x] = threadIdx.x < COLOURS ? expf(value) : value;
}

// Weighted sums over a window: of render, photo, their squares together, and their product.
struct Sums { float x, y, squares, product; };

// Similarity of a window, and how it changes with the weighted sums of x, of the squares and of the product.
__device__ inline float similarity(const Sums& s, float c1, float c2, float& by_x, float& by_squares, float& by_product) {
    const float mixed = s.x * s.y, both = s.x * s.x + s.y * s.y;
    const float a1 = 2 * mixed + c1, a2 = 2 * (s.product - mixed) + c2;
    const float over1 = __fdividef(1, both + c1), over2 = __fdividef(1, s.squares - both + c2), over = over1 * over2;
    const float value = a1 * a2 * over;
    by_x = 2 * s.y * (a2 - a1) * over + 2 * s.x * value * (over2 - over1);
    by_squares = -value * over2;
    by_product = 2 * a1 * over;
    return value;
}

// Slope of the loss at one number: `gathered` is what the windows over it owe to x, x^2 and xy.
__device__ inline float slope(const float* gathered, float x, float y, float l1_share, float ssim_share) {
    const float step = x > y ? l1_share : (x < y ? -l1_share : 0.0f);
    return (gathered[0] + 2 * x * gathered[1] + y * gathered[2]) * ssim_share + step;
}

__device__ inline float over_warp(float value) {
    for (int step = WARP / 2; step; step >>= 1) value += __shfl_xor_sync(ALL, value, step);
    return value;
}

// Similarity's slopes by every window, maps (views, 3, down, windows); and for each block the sums of distance,
// similarity and cover, `partial` (views, blocks, 3). A block has THREADS columns of windows and STRIP rows of them.
extern "C" __global__ void __launch_bounds__(THREADS, 5) compare(
    const float* __restrict__ renders, const unsigned char* __restrict__ photos, const MASK* __restrict__ masks,
    const float* __restrict__ exposures, const int width, const int height, const float c1, const float c2,
    float* __restrict__ maps, float* __restrict__ partial) {
    __shared__ float2 pairs[ROWS][WIDE];
    __shared__ float totals[3][WARPS];
    __shared__ float exposure[2 * COLOURS];
    constexpr float taps[WINDOW] = {TAPS};
    const Place p = place_of(width, height);
    const int thread = threadIdx.x, column = p.first_column + thread;
    const int rows = min(STRIP, p.down - p.first_row) + REACH;
    const bool is_last_x = blockIdx.x + 1 == gridDim.x, is_last_y = blockIdx.y + 1 == gridDim.y;
    const View view = {renders + p.image, photos + p.image, masks ? masks + p.image / COLOURS : nullptr, exposure};
    read_exposure(exposures, exposure);
    float away = 0, alike = 0, cover = 0;
    // Of windows that end k rows further down: all but the taps of those k rows.
    Sums open[REACH];
    for (int k = 0; k < REACH; ++k) open[k] = {0, 0, 0, 0};
    for (int from = 0; from < rows; from += ROWS) {
        const int many = min(ROWS, rows - from);
        __syncthreads();
#pragma unroll 1
        for (int begin = thread; begin < ROWS * WIDE; begin += BATCH * THREADS) {
            Pair some[BATCH];
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                const int i = begin + j * THREADS, row = i / WIDE, x = p.first_column + i % WIDE;
                if (row < many && x < p.width) some[j] = read_pair(view, (p.first_row + from + row) * p.width + x);
            }
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                const int i = begin + j * THREADS, row = i / WIDE, k = i % WIDE, x = p.first_column + k, y = from + row;
                if (row >= many || x >= p.width) continue;
                make_comparable(some[j], exposure, x % COLOURS);
                pairs[row][k] = make_float2(some[j].render, some[j].photo);
                // What blocks share is counted by one of them.
                if ((k < THREADS || is_last_x) && (y < STRIP || is_last_y)) {
                    away += fabsf(some[j].render - some[j].photo);
                    cover += some[j].cover;
                }
            }
        }
        __syncthreads();
        if (column >= p.windows) continue;
        for (int row = 0; row < many; ++row) {
            Sums s = {0, 0, 0, 0};
#pragma unroll
            for (int k = 0; k < WINDOW; ++k) {
                const float2 v = pairs[row][thread + COLOURS * k];
                const float x = taps[k] * v.x, y = taps[k] * v.y;
                s.x += x;
                s.y += y;
                s.squares += x * v.x + y * v.y;
                s.product += x * v.y;
            }
            const Sums done = {open[0].x + taps[REACH] * s.x, open[0].y + taps[REACH] * s.y,
                               open[0].squares + taps[REACH] * s.squares, open[0].product + taps[REACH] * s.product};
#pragma unroll
            for (int k = 0; k < REACH; ++k) {
                const Sums before = k + 1 < REACH ? open[k + 1] : Sums{0, 0, 0, 0};
                const float tap = taps[REACH - 1 - k];
                open[k] = {before.x + tap * s.x, before.y + tap * s.y, before.squares + tap * s.squares,
                           before.product + tap * s.product};
            }
            const int window = from + row - REACH;
            if (window < 0) continue;
            float by_x, by_squares, by_product;
            alike += similarity(done, c1, c2, by_x, by_squares, by_product);
            const int area = p.down * p.windows;
            float* to = maps + p.map + (p.first_row + window) * p.windows + column;
            to[0] = by_x;
            to[area] = by_squares;
            to[2 * area] = by_product;
        }
    }
    away = over_warp(away);
    alike = over_warp(alike);
    cover = over_warp(cover);
    if (thread % WARP == 0) {
        totals[0][thread / WARP] = away;
        totals[1][thread / WARP] = alike;
        totals[2][thread / WARP] = cover;
    }
    __syncthreads();
    if (thread >= 3) return;
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    float sum = 0;
    for (int warp = 0; warp < WARPS; ++warp) sum += totals[thread][warp];
    partial[3 * block + thread] = sum;
}

// Sum of a number for each thread of a block of ENDS, in the order of the threads; thread 0 has it.
__device__ inline float over_block(float value, float* room) {
    value = over_warp(value);
    __syncthreads();
    if (threadIdx.x % WARP == 0) room[threadIdx.x / WARP] = value;
    __syncthreads();
    float sum = 0;
    for (int warp = 0; warp < ENDS / WARP; ++warp) sum += room[warp];
    return sum;
}

// From `partial` of `compare`, a block a view: the loss, and 1 / (share of the photo that counts).
extern "C" __global__ void __launch_bounds__(ENDS) finish(
    const float* __restrict__ partial, const int blocks, const int width, const int height, const float ssim_weight,
    float* __restrict__ losses, float* __restrict__ scales) {
    __shared__ float room[ENDS / WARP];
    const float* mine = partial + (long long)blockIdx.x * blocks * 3;
    float sums[3];
    for (int k = 0; k < 3; ++k) {
        float sum = 0;
        for (int i = threadIdx.x; i < blocks; i += ENDS) sum += mine[3 * i + k];
        sums[k] = over_block(sum, room);
    }
    if (threadIdx.x) return;
    const float numbers = float(COLOURS * width) * height;
    const float windows = float(COLOURS * (width - REACH)) * (height - REACH);
    const float scale = 1 / fmaxf(sums[2] / numbers, 1e-6f);
    scales[blockIdx.x] = scale;
    losses[blockIdx.x] = ((1 - ssim_weight) * sums[0] / numbers + ssim_weight * (1 - sums[1] / windows)) * scale;
}

// The adjoint of `compare`, gradients (views, height, width, 3): every number collects from the windows it lies in. A
// block has THREADS numbers of STRIP rows. l1_share and ssim_share: weights of one number and of one window. For each
// block `partial` (views, blocks, 6) has the gradient by gain and by offset of each colour, if there are exposures.
extern "C" __global__ void __launch_bounds__(THREADS, 6) follow_back(
    const float* __restrict__ renders, const unsigned char* __restrict__ photos, const MASK* __restrict__ masks,
    const float* __restrict__ exposures, const float* __restrict__ maps, const float* __restrict__ scales,
    const int width, const int height, const float l1_share, const float ssim_share, float* __restrict__ gradients,
    float* __restrict__ partial) {
    __shared__ float parts[3][ROWS][WIDE];
    __shared__ float totals[WARPS][2 * COLOURS];
    __shared__ float exposure[2 * COLOURS];
    constexpr float taps[WINDOW] = {TAPS};
    const Place p = place_of(width, height);
    const int thread = threadIdx.x, column = p.first_column + thread, colour = column % COLOURS;
    const int rows = min(STRIP, p.height - p.first_row) + REACH;  // of windows, from REACH above the strip on
    const int area = p.down * p.windows;
    const View view = {renders + p.image, photos + p.image, masks ? masks + p.image / COLOURS : nullptr, exposure};
    const float scale = scales[blockIdx.z];
    read_exposure(exposures, exposure);
    float by_gain = 0, by_offset = 0;
    float open[REACH][3];  // of numbers k + 1 rows further down: all but the taps of those rows
    for (int k = 0; k < REACH; ++k) open[k][0] = open[k][1] = open[k][2] = 0;
    for (int from = 0; from < rows; from += ROWS) {
        const int many = min(ROWS, rows - from);
        __syncthreads();
#pragma unroll 1
        for (int begin = thread; begin < ROWS * WIDE; begin += BATCH * THREADS) {
            float some[BATCH][3];
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                const int i = begin + j * THREADS, x = p.first_column + i % WIDE - EXTRA;
                const int y = p.first_row + from + i / WIDE - REACH;
                const bool is_window = x >= 0 && x < p.windows && y >= 0 && y < p.down;
                const float* source = maps + p.map + y * p.windows + x;
#pragma unroll
                for (int part = 0; part < 3; ++part) some[j][part] = is_window ? source[part * area] : 0.0f;
            }
#pragma unroll
            for (int j = 0; j < BATCH; ++j) {
                const int i = begin + j * THREADS;
                if (i >= ROWS * WIDE) continue;
#pragma unroll
                for (int part = 0; part < 3; ++part) parts[part][i / WIDE][i % WIDE] = some[j][part];
            }
        }
        __syncthreads();
        if (column >= p.width) continue;
        const int above = p.first_row + from - REACH;
        // A row ahead, so that nobody waits for memory.
        Pair next = {};
        if (above >= p.first_row) next = read_pair(view, above * p.width + column);
        for (int row = 0; row < many; ++row) {
            const int y = above + row;
            const int at = y * p.width + column;
            Pair pair = next;
            if (row + 1 < many && y + 1 >= p.first_row) next = read_pair(view, at + p.width);
            float done[3];
#pragma unroll
            for (int part = 0; part < 3; ++part) {
                float sum = 0;
#pragma unroll
                for (int k = 0; k < WINDOW; ++k) sum += taps[k] * parts[part][row][thread + EXTRA - COLOURS * k];
                done[part] = open[0][part] + taps[REACH] * sum;
#pragma unroll
                for (int k = 0; k < REACH; ++k)
                    open[k][part] = (k + 1 < REACH ? open[k + 1][part] : 0.0f) + taps[REACH - 1 - k] * sum;
            }
            if (y < p.first_row) continue;
            make_comparable(pair, exposure, colour);
            const float value = slope(done, pair.render, pair.photo, l1_share, ssim_share) * pair.cover * scale;
            const float by_render = value * exposure[colour];
            gradients[p.image + at] = by_render;
            if (exposures) {
                by_gain += by_render * pair.made;
                by_offset += value;
            }
        }
    }
    if (!exposures) return;
    for (int k = 0; k < COLOURS; ++k) {
        const float gains = over_warp(colour == k ? by_gain : 0.0f), offsets = over_warp(colour == k ? by_offset : 0.0f);
        if (thread % WARP) continue;
        totals[thread / WARP][k] = gains;
        totals[thread / WARP][COLOURS + k] = offsets;
    }
    __syncthreads();
    if (thread >= 2 * COLOURS) return;
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    float sum = 0;
    for (int warp = 0; warp < WARPS; ++warp) sum += totals[warp][thread];
    partial[2 * COLOURS * block + thread] = sum;
}

// Sums of `partial` of `follow_back` over a view's blocks, a block a view: (views, 6).
extern "C" __global__ void __launch_bounds__(ENDS) finish_exposures(
    const float* __restrict__ partial, const int blocks, float* __restrict__ by_exposures) {
    __shared__ float room[ENDS / WARP];
    const float* mine = partial + (long long)blockIdx.x * blocks * 2 * COLOURS;
    for (int k = 0; k < 2 * COLOURS; ++k) {
        float sum = 0;
        for (int i = threadIdx.x; i < blocks; i += ENDS) sum += mine[2 * COLOURS * i + k];
        sum = over_block(sum, room);
        if (threadIdx.x == 0) by_exposures[2 * COLOURS * blockIdx.x + k] = sum;
    }
}
