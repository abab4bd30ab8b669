# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that the rasteriser visits in a strip of columns, against the ellipse's own equation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.splatting.cpu.blending import strip_rows
from engine.splatting.cpu.layout import LANES, TILE_HEIGHT

FINE = 33
"""Columns that stand for a strip's continuous width, so that tips between pixels are met too."""


@given(
    wide=st.floats(0.4, 200.0),
    tall=st.floats(0.4, 200.0),
    correlation=st.floats(-0.999, 0.999),
    first=st.floats(-300.0, 300.0),
    my=st.floats(-60.0, 90.0),
    reach=st.floats(0.01, 11.0),
)
@settings(max_examples=400, deadline=None)
def test_rows_of_a_strip_are_those_that_the_ellipse_meets(
    wide, tall, correlation, first, my, reach
):
    a, b, c = wide**2, correlation * wide * tall, tall**2
    determinant = a * c - b * b
    precision, slope, precision_y = c / determinant, b / c, 1 / c
    numbers = (first, my, precision, slope, precision_y, reach, np.sqrt(a * reach))
    y0, y1 = strip_rows(*(np.float32(number) for number in numbers), TILE_HEIGHT)

    u = np.linspace(first, first + LANES - 1, FINE)
    v = np.arange(TILE_HEIGHT)[:, None] - my
    twice_sigma = precision * (u - slope * v) ** 2 + precision_y * v**2
    met = np.flatnonzero((twice_sigma <= reach).any(1))
    visited = np.arange(y0, y1 + 1)
    # None is left out, but for what the rounding of float32 decides at the very edge.
    surely = np.flatnonzero((twice_sigma <= reach * (1 - 1e-3)).any(1))
    assert np.isin(surely, visited).all()
    # And hardly one is visited for nothing: one at either end, and tips between two columns.
    if len(met):
        assert len(visited) <= met[-1] - met[0] + 1 + 2 + tall / wide
