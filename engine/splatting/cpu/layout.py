# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrays that the kernels hand to each other.

A *footprint* is a row of ``COLUMNS`` float32 values: the projected Gaussian, factored as the
normal distribution of y times that of x given y. The exponent at a pixel centre (x, y) is

    σ = ½·PRECISION·(x − MEAN_X − SLOPE·(y − MEAN_Y))² + ½·PRECISION_Y·(y − MEAN_Y)²

which is ½·dᵀΣ⁻¹d for Σ = [[a, b], [b, c]] with PRECISION = c / det Σ, SLOPE = b / c and
PRECISION_Y = 1 / c. Unlike the usual three conic terms it is a sum of squares: nothing cancels in
float32 however thin the Gaussian is, and σ is never negative.
"""

from __future__ import annotations

MEAN_X, MEAN_Y, PRECISION, SLOPE, PRECISION_Y = 0, 1, 2, 3, 4
REACH = 5
"""2·ln(opacity / alpha_min): twice the largest σ that still contributes."""
OPACITY, RED, GREEN, BLUE, DEPTH = 6, 7, 8, 9, 10
RADIUS_X = 11
"""Half the width of the bounding box of the contributing ellipse, pixels."""
COLUMNS = 12

G_MEAN_X, G_MEAN_Y, G_COV_XX, G_COV_XY, G_COV_YY = 0, 1, 2, 3, 4
G_OPACITY, G_RED, G_GREEN, G_BLUE, G_DEPTH = 5, 6, 7, 8, 9
GRADIENTS = 10
"""Columns of a footprint's gradient; G_COV_XY is that of the off-diagonal taken as one number."""

LANES = 16
"""Pixels blended at once: two AVX2 registers, one of AVX-512. The loops over lanes must stand as
``range(16)`` over a slice: with any other form LLVM leaves them scalar, without a word."""

TILE_WIDTH = 64
TILE_HEIGHT = 32
BLOCKS = TILE_WIDTH // LANES
