// Which tiles an ellipse touches.

#pragma once

#include "splat.cuh"

// Boxes of more tiles than this are gone through by a whole warp: one Gaussian of the sky covers a thousand.
constexpr int FEW = 12;

// How many tiles of its box a lane's ellipse touches; `each(x, y, slot, own)` is called for every one of them, by
// whichever lane, with `slot` from 0 and the `own` of the lane that has the ellipse. All lanes must come along; those
// without a box are neither `small` nor `big`.
template <typename Each>
__device__ inline int visit_tiles(const Ellipse& mine, bool small, bool big, int left, int right, int top, int bottom,
                                  int3 own, Each each) {
    int tiles = 0;
    if (small)
        for (int y = top; y <= bottom; ++y)
            for (int x = left; x <= right; ++x)
                if (touches(mine, x * TILE, y * TILE, TILE, TILE)) each(x, y, tiles++, own);
    unsigned left_over = __ballot_sync(ALL, big);
    while (left_over) {
        const int source = __ffs(left_over) - 1, lane = threadIdx.x % WARP;
        left_over &= left_over - 1;
        Ellipse e;
        e.x = __shfl_sync(ALL, mine.x, source); e.y = __shfl_sync(ALL, mine.y, source);
        e.a = __shfl_sync(ALL, mine.a, source); e.b = __shfl_sync(ALL, mine.b, source);
        e.c = __shfl_sync(ALL, mine.c, source); e.log = __shfl_sync(ALL, mine.log, source);
        const int l = __shfl_sync(ALL, left, source), r = __shfl_sync(ALL, right, source);
        const int t = __shfl_sync(ALL, top, source), b = __shfl_sync(ALL, bottom, source);
        const int3 owned = make_int3(__shfl_sync(ALL, own.x, source), __shfl_sync(ALL, own.y, source), __shfl_sync(ALL, own.z, source));
        const int across = r - l + 1, all = across * (b - t + 1);
        int found = 0;
        for (int part = 0; part < all; part += WARP) {
            const int k = part + lane, x = l + k % across, y = t + k / across;
            const bool hit = k < all && touches(e, x * TILE, y * TILE, TILE, TILE);
            const unsigned which = __ballot_sync(ALL, hit);
            if (hit) each(x, y, found + __popc(which & ((1u << lane) - 1)), owned);
            found += __popc(which);
        }
        if (lane == source) tiles = found;
    }
    return tiles;
}
