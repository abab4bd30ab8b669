# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours, alpha and depth of the render passes."""

from __future__ import annotations

import numpy as np

from blender_addon.standalone import addon_module

render_passes = addon_module("rendering.render_passes")


def test_a_half_transparent_colour_is_decoded_before_it_is_premultiplied():
    rgb, alpha = np.full((1, 1, 3), 0.75 * 0.5, np.float32), np.full((1, 1), 0.5, np.float32)
    pixel = render_passes.combined(rgb, alpha)[0, 0]
    np.testing.assert_allclose(pixel, [0.5225216 * 0.5] * 3 + [0.5], atol=1e-5)


def test_rows_are_turned_upside_down():
    rgb = np.zeros((2, 1, 3), np.float32)
    rgb[0] = 1
    image = render_passes.combined(rgb, np.float32([[1], [0]]))
    assert image[1, 0].tolist() == [1, 1, 1, 1]
    assert image[0, 0].tolist() == [0, 0, 0, 0]


def test_a_background_fills_what_the_avatar_leaves_free():
    image = render_passes.combined(
        np.full((1, 1, 3), 0.25, np.float32), np.float32([[0.25]]), np.float32([0.2, 0.4, 0.8])
    )
    np.testing.assert_allclose(image[0, 0], [0.25 + 0.15, 0.25 + 0.3, 0.25 + 0.6, 1], atol=1e-6)


def test_depth_is_far_where_nothing_is():
    depth = render_passes.planar_depth(np.float32([[0.0], [2.5]]), np.float32([[0.0], [0.7]]))
    assert depth[:, 0].tolist() == [2.5, np.float32(1e10)]
