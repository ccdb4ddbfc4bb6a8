"""How an ellipse on the image, and its gradients, lie in the arrays that the kernels hand on."""

from __future__ import annotations

import numpy as np

from scripts.lib.core.jit import inlined

f32 = np.float32
TILE = 16  # pixels of a side
ALPHA_MIN = f32(1 / 255)
EPS2D = f32(0.3)  # square pixels that every ellipse is blurred by
LOG2_E = f32(1.4426950408889634)

# Columns of an ellipse's record. The exponent of 2 at an offset (dx, dy) from the mean is
# LOG - A dx^2 - B dx dy - C dy^2, so the opacity and exp's change of base cost nothing per pixel.
X, Y, A, B, C, LOG, RED, GREEN, BLUE, REACH_X, REACH_Y = range(11)
RECORD = 12
# Columns of the gradients a rasteriser hands back for one ellipse: sums over pixels of
# g = dL/d(ln alpha), times 1, dx, dy, dx^2, dx dy, dy^2, and the gradients of its colour.
G, G_X, G_Y, G_XX, G_XY, G_YY, G_RED, G_GREEN, G_BLUE = range(9)
GRADIENTS = 9


@inlined
def pixel_box(x, y, reach_x, reach_y, width, height):  # type: ignore[no-untyped-def]
    """First and last column and row whose pixel centres (at +0.5) lie in the box; floats."""
    left = max(np.ceil(x - f32(0.5) - reach_x), f32(0))
    right = min(np.floor(x - f32(0.5) + reach_x), f32(width - 1))
    top = max(np.ceil(y - f32(0.5) - reach_y), f32(0))
    bottom = min(np.floor(y - f32(0.5) + reach_y), f32(height - 1))
    return left, right, top, bottom
