// For every tile the Gaussians that touch it, by depth. KEY: the type that numbers tiles.

#include "splat.cuh"
#include "tiles.cuh"

// One thread for each Gaussian in the order of depth: writes the tiles that it touches from `ends[i] - tiles` on, and its
// colour into its ellipse. What does not fit into `capacity` is left out; the last end tells how much there was. `none`:
// the number of tiles, no tile's own number, which stands where nothing is listed.
extern "C" __global__ void list_tiles(
    Ellipse* __restrict__ ellipses, const int* __restrict__ touched, const long long* __restrict__ order,
    const int* __restrict__ ends, const Vec3* __restrict__ colours, const int count, const int total, const int width,
    const int height, const int capacity, const int none, KEY* __restrict__ tiles, int* __restrict__ gaussians) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const long long at = i < total ? order[i] : 0;
    const int many = i < total ? touched[2 * at] : 0;
    if (i < total)
        for (int slot = ends[total - 1] + i; slot < capacity; slot += total) tiles[slot] = KEY(none);
    const int across = (width + TILE - 1) / TILE, down = (height + TILE - 1) / TILE;
    int left = 0, right = -1, top = 0, bottom = -1;
    Ellipse e = {};
    if (many) {
        e = ellipses[at];
        tile_box(e, width, height, left, right, top, bottom);
        const Vec3 shade = colours[at];
        ellipses[at].red = shade.x;
        ellipses[at].green = shade.y;
        ellipses[at].blue = shade.z;
    }
    const bool few = (right - left + 1) * (bottom - top + 1) <= FEW;
    const int to = many ? ends[i] - many : 0, first = int(at / count) * across * down, mine = int(at);
    const auto write = [&](int x, int y, int slot, int3 own) {
        if (own.x + slot >= capacity) return;
        tiles[own.x + slot] = KEY(own.y + y * across + x);
        gaussians[own.x + slot] = own.z;
    };
    const int found = visit_tiles(e, many && few, many && !few, left, right, top, bottom, make_int3(to, first, mine), write);
    // Counting and listing agree; if ever they did not, no slot may stay as memory had it.
    for (int slot = found; slot < many; ++slot)
        if (to + slot < capacity) { tiles[to + slot] = KEY(none); gaussians[to + slot] = mine; }
}

// One thread for each entry of the sorted lists: which Gaussian it is, and where lists begin and end. A `ledger` (see
// room.py) learns at its `place` how much was needed, and whether that was too much.
extern "C" __global__ void find_lists(
    const KEY* __restrict__ tiles, const long long* __restrict__ order, const int* __restrict__ gaussians,
    const int* __restrict__ needed, const int capacity, const int none, int* __restrict__ sorted, int* __restrict__ begins,
    int* __restrict__ lengths, int* __restrict__ ledger, const int place) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, filled = min(*needed, capacity);
    if (ledger && i == 0) {
        atomicMax(ledger + place, *needed);
        if (*needed > capacity) ledger[0] = 1;
    }
    if (i >= filled) return;
    const int tile = tiles[i];
    if (tile == none) return;
    sorted[i] = gaussians[order[i]];
    if (i == 0 || int(tiles[i - 1]) != tile) begins[tile] = i;
    if (i + 1 == filled || int(tiles[i + 1]) != tile) atomicAdd(lengths + tile, i + 1);
    if (i == 0 || int(tiles[i - 1]) != tile) atomicAdd(lengths + tile, -i);
}
