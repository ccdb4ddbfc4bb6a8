"""Places, rotations, sizes, colours and opacities as the images of a SOG, with the limits of their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scripts.lib.core.activations import sigmoid
from scripts.lib.core.json_type import Json
from scripts.lib.encode.codecs import codebook
from scripts.lib.encode.codecs.rotations import (
    HALF_SQRT,
    angles,
    from_smallest_three,
    smallest_three,
)
from scripts.lib.encode.codecs.sog_layout import (
    ANTIALIASED,
    QUAT_TAG,
    STEPS,
    VERSION,
    Pixels,
    image_of,
    log_mapped,
    numbers,
)
from scripts.lib.encode.codecs.sog_rounding import Rounding, rounded_steps, rounded_turn
from scripts.lib.encode.codecs.values import to_bytes
from scripts.lib.splat.gaussians import Array, Gaussians


def store_attributes(
    inside: Gaussians, rounding: Rounding, store: Callable[[str, Pixels], None]
) -> tuple[dict[str, Json], dict[str, Any]]:
    """Store every image but those of the harmonics; returns meta.json's fields and the limits."""
    mapped = log_mapped(inside.means)
    low, high = mapped.min(0), mapped.max(0)
    width = np.where(high > low, high - low, 1.0)
    steps = np.rint((mapped - low) / width * STEPS).astype(np.int64)
    reach = np.abs(inside.means.astype(np.float64))
    steps, spare = rounded_steps(steps, inside, (1 + reach) * width / STEPS, rounding.place)
    store("means_l.webp", image_of(steps & 255))
    store("means_u.webp", image_of(steps >> 8))
    largest, three = smallest_three(inside.quats)
    turned = rounded_turn(three, inside, rounding.turn)
    store("quats.webp", image_of(np.column_stack([turned, largest + QUAT_TAG])))
    # Trained discs are as thin as rounding errors let them be, and would take up most of the table.
    middle = np.sort(inside.scales, axis=1)[:, 1:2]
    lengths = np.maximum(inside.scales, middle + np.float32(np.log(rounding.thinnest)))
    scale_table = codebook.build(lengths, entries=rounding.sizes)
    sizes = codebook.nearest(scale_table, lengths)
    store("scales.webp", image_of(sizes))
    colour_table = codebook.build(inside.sh0, entries=rounding.colours)
    alphas = to_bytes(np.rint(sigmoid(inside.opacities) * rounding.alphas) * 255 / rounding.alphas)
    colours = codebook.nearest(colour_table, inside.sh0)
    store("sh0.webp", image_of(np.column_stack([colours, alphas])))
    meta: dict[str, Json] = {
        "version": VERSION,
        "asset": {"generator": "splatmake"},
        "count": len(inside),
        "means": {
            "mins": low.tolist(),
            "maxs": high.tolist(),
            "files": ["means_l.webp", "means_u.webp"],
        },
        "scales": {"codebook": numbers(scale_table), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": numbers(colour_table), "files": ["sh0.webp"]},
    }
    if inside.antialiased:
        meta["model"] = ANTIALIASED
    back = (turned / 255.0 - 0.5) * 2 * HALF_SQRT
    limits = {
        # Half a step, or, rounded to the table's last place, up to a whole one.
        "mean": (1 + reach) * np.expm1(np.where(spare, 1.001, 0.501) * (1 << spare) * width / STEPS)
        + reach * 5e-7
        + 1e-7,
        "angle": max(
            1.2, float(angles(inside.quats, from_smallest_three(largest, back)).max()) + 0.1
        ),
        "log_scale": largest_error(inside.scales, scale_table[sizes]),
        "alpha": 0.51 / rounding.alphas + (0.0 if rounding.alphas == 255 else 0.51 / 255),
        "sh0": largest_error(inside.sh0, colour_table[colours]),
        "shN": 0.0,
    }
    return meta, limits


def largest_error(values: Array, rounded: Array) -> float:
    """Largest error that rounding to a table makes, with room for the last float32 digits."""
    return float(np.abs(values.astype(np.float64) - rounded).max()) * (1 + 1e-5) + 1e-6
