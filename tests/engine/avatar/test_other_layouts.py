# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's motion in the files of VHAP, DiffPoseTalk, ARTalk and VOCASET."""

from __future__ import annotations

import numpy as np
import pytest

from engine.avatar.flame_motion import load_motion
from engine.cli import main
from engine.core.errors import BadInputError
from engine.heads.flame import load_flame
from engine.heads.flame_param import FlameParam, save_flame_param
from engine.motion.performance import Performance
from tests.engine.heads.flame_people import SKIN

FRAMES = 24


@pytest.fixture(scope="module")
def head(model_file):
    return load_flame(model_file)


@pytest.fixture(scope="module")
def moving():
    generator = np.random.default_rng(4)
    time = np.linspace(0, 3, FRAMES)[:, None]
    expr = np.zeros((FRAMES, 100), np.float32)
    expr[:, :6] = 0.8 * np.sin(time * generator.uniform(1, 4, 6))
    jaw = np.zeros((FRAMES, 3), np.float32)
    jaw[:, :1] = 0.15 + 0.15 * np.sin(4 * time)
    turned = (0.1 * np.sin(time * np.array([1.0, 2.0, 3.0]))).astype(np.float32)
    return expr, jaw, turned


@pytest.fixture(scope="module")
def expected(head, model_file, moving, tmp_path_factory):
    """The same as GaussianAvatars' file says it."""
    expr, jaw, turned = moving
    param = FlameParam.neutral(SKIN, FRAMES)
    param.expr[:], param.jaw_pose[:], param.rotation[:] = expr, jaw, turned
    path = tmp_path_factory.mktemp("same") / "flame_param.npz"
    save_flame_param(param, path)
    return load_motion(path, head, model_file)


def written(folder, kind, moving):
    expr, jaw, turned = moving
    if kind == "VHAP":
        path = folder / "tracked_flame_params_30.npz"
        np.savez(
            path, shape=np.zeros(300), expr=expr, rotation=turned, jaw_pose=jaw,
            neck_pose=jaw * 0, eyes_pose=np.zeros((FRAMES, 6)), translation=jaw * 0,
            timestep_id=np.arange(FRAMES), focal_length=np.ones(1), lights=np.zeros((9, 3)),
        )  # fmt: skip
    elif kind == "DiffPoseTalk":
        path = folder / "take.npz"
        pose = np.hstack([turned, jaw])
        np.savez(path, exp=expr[:, :50], pose=pose, shape=np.zeros((FRAMES, 100)))
    else:
        path = folder / "take.npy"
        np.save(path, np.hstack([expr, turned, jaw]))
    return path


@pytest.mark.parametrize("kind", ["VHAP", "DiffPoseTalk", "ARTalk"])
def test_each_layout_is_the_same_motion(tmp_path, head, model_file, moving, expected, kind):
    found = load_motion(written(tmp_path, kind, moving), head, model_file)
    assert (found.fps, found.frames) == (25.0, FRAMES)
    for frame in (0, 7, 23):
        np.testing.assert_allclose(
            np.tensordot(found.weights[frame], found.basis, 1),
            np.tensordot(expected.weights[frame], expected.basis, 1),
            atol=2e-5,
        )
    np.testing.assert_allclose(found.head_rotation, expected.head_rotation, atol=1e-6)


@pytest.mark.parametrize("flat", [False, True])
def test_vertices_move_the_head_and_its_teeth(tmp_path, head, model_file, expected, flat):
    moved = np.tensordot(expected.weights, expected.basis, 1) + head.template
    vertices = moved[:, :SKIN]
    np.save(tmp_path / "take.npy", vertices.reshape(FRAMES, -1) if flat else vertices)
    found = load_motion(tmp_path / "take.npy", head, model_file, fps=30.0)
    assert (found.fps, found.frames, found.vertex_count) == (30.0, FRAMES, head.vertex_count)
    again = np.tensordot(found.weights, found.basis, 1)
    # The frame whose lips are nearest stands for the neutral one.
    rest = np.abs(again).max(axis=(1, 2)).argmin()
    wanted = vertices - vertices[rest]
    np.testing.assert_allclose(again[:, :SKIN], wanted, atol=1e-4)
    teeth = head.regions["lower_teeth"]
    true = moved[:, teeth] - moved[rest, teeth]
    assert np.linalg.norm(again[:, teeth] - true, axis=2).mean() < 5e-4
    assert np.linalg.norm(true, axis=2).max() > 5e-3


@pytest.mark.parametrize(
    "arrays",
    [
        {"exp": np.zeros((0, 50))},
        {"exp": np.zeros((4, 50)), "pose": np.zeros((3, 6))},
        {"exp": np.zeros((4, 120)), "pose": np.zeros((4, 6))},
        {"expr": np.zeros((4, 100)), "jaw_pose": np.full((4, 3), np.nan)},
        {"exp": np.zeros((4, 50)), "pose": np.zeros((4, 6)), "shape": np.zeros(500)},
        {"exp": np.zeros((4, 50)), "pose": np.zeros((4, 6)), "fps": 0.0},
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, head, model_file, arrays):
    path = tmp_path / "take.npz"
    np.savez(path, **arrays)
    with pytest.raises(BadInputError, match=r"take\.npz") as caught:
        load_motion(path, head, model_file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "vertices",
    [
        np.zeros((3, 6000, 3)), np.zeros((3, 7)), np.zeros((0, 5023, 3)), np.ones((2, 5023, 3)),
        np.full((2, 5023, 3), np.nan), np.zeros(4),
    ],
)  # fmt: skip
def test_damaged_vertices_are_named_in_one_line(tmp_path, head, model_file, vertices):
    np.save(tmp_path / "take.npy", vertices)
    with pytest.raises(BadInputError, match=r"take\.npy") as caught:
        load_motion(tmp_path / "take.npy", head, model_file)
    assert "\n" not in str(caught.value)


def test_retarget_takes_them(tmp_path, model_file, moving, capsys):
    path = written(tmp_path, "DiffPoseTalk", moving)
    out = tmp_path / "out.performance.npz"
    assert main(["retarget", str(path), "--head", str(model_file), "--out", str(out)]) == 0
    assert Performance.load(out).frames == FRAMES
    assert main(["retarget", str(path), "--head", "default", "--out", str(out)]) == 2
    assert "--source" in capsys.readouterr().err
