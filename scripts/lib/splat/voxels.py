"""Solid cells as a sparse octree in PlayCanvas' voxel format, version 1.1: `.voxel.json` and `.voxel.bin`.

The SuperSplat viewer and the PlayCanvas engine read it for collisions. Its description:
https://developer.playcanvas.com/user-manual/splat-transform/voxel-format/. Its world is Y up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.lib.core.console import UserError

Cells = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint32]

LEAF = 4  # cells along each side of a leaf: 64 bits
VERSION = "1.1"
SOLID_NODE = 0xFF000000  # a node all of whose cells are solid
MOST = 2**24  # nodes and leaves that a node's 24 bits can point to
EMPTY, MIXED, SOLID = 0, 1, 2
# Children in the order of their bits: x changes first, then y, then z.
OCTANTS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)])


@dataclass(frozen=True)
class Header:
    """What `.voxel.json` says of a grid between the corners `low` and `high`, with cells of this side."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    cell: float
    depth: int  # levels from the root's cube down to the leaves
    interior: int
    mixed: int
    nodes: int
    leaf_words: int

    def as_json(self) -> bytes:
        """The file."""
        bounds = {"min": list(self.low), "max": list(self.high)}
        content = {
            "version": VERSION,
            "asset": {"generator": "splatmake"},
            "gridBounds": bounds,
            "sceneBounds": bounds,
            "voxelResolution": self.cell,
            "leafSize": LEAF,
            "treeDepth": self.depth,
            "numInteriorNodes": self.interior,
            "numMixedLeaves": self.mixed,
            "nodeCount": self.nodes,
            "leafDataCount": self.leaf_words,
        }
        return (json.dumps(content, indent=1) + "\n").encode()


def encode(solid: Cells, low: tuple[float, float, float], cell: float) -> tuple[Header, bytes]:
    """The octree of `solid` (X, Y, Z), whose first cell has its lower corner at `low`, as header and words.

    The grid is widened to whole leaves with solid cells. Raises UserError when it has more nodes than the
    format can number, ValueError when no cell is solid.
    """
    if not solid.any():
        raise ValueError("a grid without a solid cell has no octree")
    whole = [-size % LEAF for size in solid.shape]
    solid = np.pad(solid, [(0, more) for more in whole], constant_values=True)
    levels = _levels(solid)
    nodes: list[npt.NDArray[np.int64]] = []
    places = np.zeros((1, 3), np.int64)
    count, leaves, interior = 1, 0, 0
    kept: list[npt.NDArray[np.int64]] = []
    for level in range(len(levels) - 1, -1, -1):
        states = levels[level][tuple(places.T)]
        words = np.full(len(places), SOLID_NODE, np.int64)
        mixed = np.flatnonzero(states == MIXED)
        if level == 0:
            words[mixed] = leaves + np.arange(len(mixed))
            kept.append(places[mixed])
            leaves += len(mixed)
            nodes.append(words)
            break
        below = 2 * places[mixed, None] + OCTANTS  # (M, 8, 3)
        has = levels[level - 1][tuple(np.moveaxis(below, -1, 0))] != EMPTY
        children = has.sum(axis=1)
        first = count + np.concatenate([[0], np.cumsum(children)[:-1]]).astype(np.int64)
        words[mixed] = (has @ (1 << np.arange(8))).astype(np.int64) << 24 | first[: len(mixed)]
        nodes.append(words)
        interior += len(mixed)
        count += int(children.sum())
        places = below[has]
    if max(count, leaves) >= MOST:
        raise UserError(
            f"the walkable part needs {count} nodes, more than the voxel format can number; make"
            " export_walk.cell larger"
        )
    masks = _masks(solid, np.concatenate(kept) if kept else np.zeros((0, 3), np.int64))
    words32 = np.concatenate([np.concatenate(nodes).astype(np.uint32), masks.ravel()])
    high = tuple(float(a + n * cell) for a, n in zip(low, solid.shape, strict=True))
    header = Header(
        low=low,
        high=(high[0], high[1], high[2]),
        cell=cell,
        depth=len(levels) - 1,
        interior=interior,
        mixed=leaves,
        nodes=count,
        leaf_words=masks.size,
    )
    return header, words32.astype("<u4").tobytes()


def _levels(solid: Cells) -> list[npt.NDArray[np.uint8]]:
    """What each block holds: leaves first, then blocks of eight, up to the root; at least one of those."""
    blocks = solid.reshape(*(n for size in solid.shape for n in (size // LEAF, LEAF)))
    some, every = blocks.any(axis=(1, 3, 5)), blocks.all(axis=(1, 3, 5))
    state = np.where(every, SOLID, np.where(some, MIXED, EMPTY)).astype(np.uint8)
    levels: list[npt.NDArray[np.uint8]] = []
    while True:
        # What a level lacks to whole blocks of eight lies outside of the grid.
        wide = [max(2, size + size % 2) for size in state.shape]
        if state.size > 1 or not levels:
            state = np.pad(
                state, [(0, w - s) for w, s in zip(wide, state.shape, strict=True)],
                constant_values=SOLID,
            )  # fmt: skip
        levels.append(state)
        if state.size == 1:
            return levels
        eight = state.reshape(*(n for size in state.shape for n in (size // 2, 2)))
        least, most = eight.min(axis=(1, 3, 5)), eight.max(axis=(1, 3, 5))
        state = np.where(least == most, least, MIXED).astype(np.uint8)


def _masks(solid: Cells, blocks: npt.NDArray[np.int64]) -> Words:
    """The cells (B, 2) of leaves: bit z * 16 + y * 4 + x, the lower 32 first."""
    steps = np.arange(LEAF)
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    inner = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    found = np.zeros((len(blocks), 2), np.uint32)
    for bit, offset in enumerate(inner):
        cells = solid[tuple((LEAF * blocks + offset).T)].astype(np.uint32)
        found[:, bit // 32] |= cells << np.uint32(bit % 32)
    return found


def decode(header: bytes, words: bytes) -> tuple[Cells, dict[str, Any]]:
    """The solid cells (X, Y, Z) and the header of the two files. Raises ValueError when they do not fit."""
    told = json.loads(header)
    low, high = (np.array(told["gridBounds"][end]) for end in ("min", "max"))
    shape = np.rint((high - low) / told["voxelResolution"]).astype(int)
    every = np.frombuffer(words, "<u4").astype(np.int64)
    if told["version"] != VERSION or len(every) != told["nodeCount"] + told["leafDataCount"]:
        raise ValueError("the words are not those of the header")
    nodes, masks = every[: told["nodeCount"]], every[told["nodeCount"] :].reshape(-1, 2)
    solid = np.zeros(tuple(shape), bool)
    waiting = [(0, told["treeDepth"], np.zeros(3, int))]
    while waiting:
        index, level, at = waiting.pop()
        node, size = int(nodes[index]), LEAF * 2**level
        here = tuple(slice(a, a + size) for a in at)
        if node == SOLID_NODE:
            solid[here] = True
        elif level == 0:
            bits = masks[node & (MOST - 1), [b // 32 for b in range(64)]] >> (np.arange(64) % 32)
            solid[here] = (bits & 1).astype(bool).reshape(LEAF, LEAF, LEAF).T
        else:
            child = node & (MOST - 1)
            for octant in range(8):
                if node >> 24 & 1 << octant:
                    waiting.append((child, level - 1, at + OCTANTS[octant] * size // 2))
                    child += 1
    return solid, told
