"""Solid cells as a voxel octree: whatever the grid, what is read back is what was written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.lib.splat import voxels


def solid_of(seed: int, shape: tuple[int, int, int], share: float) -> voxels.Cells:
    random = np.random.default_rng(seed)
    solid = random.random(shape) < share
    low = random.integers(0, np.array(shape))
    solid[tuple(slice(at, at + 9) for at in low)] = bool(seed % 2)  # whole leaves of one kind
    solid[0, 0, 0] = True
    return solid


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_what_is_written_is_read_back(seed: int, shape: tuple[int, int, int], share: float) -> None:
    solid = solid_of(seed, shape, share)
    header, words = voxels.encode(solid, (1.0, -2.0, 3.0), 0.25)
    found, told = voxels.decode(header.as_json(), words)
    inside = tuple(slice(0, size) for size in shape)
    assert np.array_equal(found[inside], solid)
    outside = found.copy()
    outside[inside] = True
    assert outside.all(), "what the grid is widened by is solid"
    assert all(size % voxels.LEAF == 0 for size in found.shape)
    assert len(words) == 4 * (told["nodeCount"] + told["leafDataCount"])


def test_the_words_of_a_small_grid() -> None:
    """A room of one leaf in a corner of 2 x 2 x 2 leaves, against the words that the format says."""
    solid = np.ones((8, 8, 8), bool)
    solid[4:8, 0:4, 0:4] = False  # octant 1: the empty child has no node
    solid[0, 0, 4] = False  # octant 4: bit 0 of its leaf
    solid[3, 3, 7] = False  # bit 63
    header, words = voxels.encode(solid, (0.0, 0.0, 0.0), 0.5)
    numbers = np.frombuffer(words, "<u4").tolist()
    root = 0b11111101 << 24 | 1
    children = [voxels.SOLID_NODE] * 3 + [0] + [voxels.SOLID_NODE] * 3
    assert numbers == [root, *children, 0xFFFFFFFE, 0x7FFFFFFF]
    told = json.loads(header.as_json())
    assert told["version"] == "1.1" and told["treeDepth"] == 1 and told["leafSize"] == 4
    assert told["gridBounds"] == {"min": [0, 0, 0], "max": [4, 4, 4]}
    assert (told["numInteriorNodes"], told["numMixedLeaves"]) == (1, 1)


def test_nothing_solid_is_refused() -> None:
    with pytest.raises(ValueError, match="no octree"):
        voxels.encode(np.zeros((8, 8, 8), bool), (0.0, 0.0, 0.0), 1.0)


def test_words_that_are_cut_off_are_refused() -> None:
    header, words = voxels.encode(np.ones((8, 8, 8), bool), (0.0, 0.0, 0.0), 1.0)
    with pytest.raises(ValueError, match="words"):
        voxels.decode(header.as_json(), words[:-4])
