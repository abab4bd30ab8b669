# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters as trackers leave them, with missing keys and arrays of other shapes."""

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads.flame_layouts import load_flame_layout

FRAMES = 6


def tracked(tmp_path, **changed):
    """What VHAP writes, with some arrays changed, or left out where they are ``None``."""
    rng = np.random.default_rng(0)
    arrays = {
        "expr": rng.normal(size=(FRAMES, 100)),
        "rotation": rng.normal(size=(FRAMES, 3)),
        "neck_pose": np.zeros((FRAMES, 3)),
        "jaw_pose": rng.normal(size=(FRAMES, 3)),
        "eyes_pose": np.zeros((FRAMES, 6)),
        "translation": np.zeros((FRAMES, 3)),
        "shape": rng.normal(size=300),
        "static_offset": np.zeros((1, 5143, 3)),
        "timestep_id": np.arange(FRAMES),
    } | changed
    path = tmp_path / "tracked_flame_params_30.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_keys_that_are_missing_are_zero(tmp_path):
    gone = dict.fromkeys(("neck_pose", "eyes_pose", "translation", "shape", "timestep_id"))
    found, fps = load_flame_layout(tracked(tmp_path, **gone))
    assert fps is None
    assert found.expr.shape == (FRAMES, 100)
    assert not found.neck_pose.any()
    assert not found.eyes_pose.any()
    assert found.jaw_pose.any()


def test_fewer_expressions_are_the_first_ones(tmp_path):
    few = np.ones((FRAMES, 50))
    found, _ = load_flame_layout(tracked(tmp_path, expr=few))
    np.testing.assert_array_equal(found.expr[:, :50], few)
    assert not found.expr[:, 50:].any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"expr": None}, "it has none of 'expr', 'exp', 'expression'"),
        ({"expr": np.ones((1, FRAMES, 100))}, r"shape \(1, 6, 100\); expected \(T, E\)"),
        ({"expr": np.ones(100)}, r"shape \(100,\); expected \(T, E\)"),
        ({"expr": np.ones((FRAMES, 120))}, r"expr has shape \(6, 120\)"),
        ({"jaw_pose": np.ones((FRAMES - 1, 3))}, r"jaw_pose has shape \(5, 3\)"),
        ({"rotation": np.ones((FRAMES, 4))}, r"rotation has shape \(6, 4\)"),
        ({"shape": np.ones(400)}, "shape has 400 coefficients; FLAME has 300"),
        ({"jaw_pose": np.full((FRAMES, 3), np.nan)}, "'jaw_pose' holds NaN"),
    ],
)
def test_arrays_of_other_shapes_are_named(tmp_path, changed, message):
    with pytest.raises(BadInputError, match=message) as caught:
        load_flame_layout(tracked(tmp_path, **changed))
    assert "tracked_flame_params_30.npz" in caught.value.message
