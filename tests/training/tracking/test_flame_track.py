# SPDX-License-Identifier: GPL-3.0-or-later
"""A track in the terms of an invented FLAME model."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.flame_param import FlameParam
from tests.engine.heads.flame_people import write_model
from training.data.posed_flame import posed, row_of
from training.tracking.flame_track import frames_of, in_flame
from training.tracking.observations import FrameFit

FRAMES = 6


@pytest.fixture(scope="module")
def flame_file(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("flame") / "flame2023.npz")


@pytest.fixture(scope="module")
def head():
    return load_head("default")


@pytest.fixture(scope="module")
def fit(head):
    """A head that opens its mouth, looks aside, and turns before the camera."""
    expression = np.zeros((FRAMES, len(head.expression_names)))
    expression[:, head.expression_index("jawOpen")] = np.linspace(0, 0.8, FRAMES)
    for name in ("eyeLookOutLeft", "eyeLookInRight"):
        expression[:, head.expression_index(name)] = np.linspace(0, 0.6, FRAMES)
    turns = np.stack([np.linspace(-20, 25, FRAMES), 0 * np.arange(FRAMES)], 1)
    rotation = Rotation.from_euler("YX", turns, degrees=True).as_matrix()
    translation = np.tile([0.01, -0.02, 0.6], (FRAMES, 1))
    return FrameFit(rotation, translation, expression)


@pytest.fixture(scope="module")
def track(flame_file, head, fit):
    return in_flame(flame_file, head, fit, lambda _share, _message: None)


def matrices(fit):
    placed = np.tile(np.eye(4), (FRAMES, 1, 1))
    placed[:, :3, :3], placed[:, :3, 3] = fit.rotation, fit.translation
    return placed


def vertices(track, param, frame):
    return posed(track.person.model, row_of(param, frame)).vertices.numpy()


@pytest.mark.slow
def test_the_jaw_opens_as_far_as_the_mouth_does(track):
    opening = track.param.jaw_pose[:, 0]
    assert (np.diff(opening) > 0).all()
    assert 0.12 < opening[-1] < 0.4
    assert np.abs(track.param.jaw_pose[:, 1:]).max() < 0.03


@pytest.mark.slow
def test_the_faces_lie_on_each_other(track):
    assert track.misfit < 2.5
    assert np.abs(track.param.expr).max() < 4


@pytest.mark.slow
def test_eyes_look_to_the_side(track):
    left, right = track.param.eyes_pose[:, :3], track.param.eyes_pose[:, 3:]
    assert left[-1, 1] == pytest.approx(right[-1, 1], abs=0.1)
    assert left[-1, 1] > 0.1
    assert np.abs(left[0]).max() < 0.01


@pytest.mark.slow
def test_the_pose_in_the_world_is_that_of_the_tracked_head(track, fit):
    placed = track.placed(matrices(fit))
    for frame in range(FRAMES):
        still = vertices(track, track.param, frame)
        expected = still @ fit.rotation[frame].T + fit.translation[frame]
        assert np.allclose(vertices(track, placed, frame), expected, atol=2e-5)


@pytest.mark.slow
def test_it_is_one_person_in_all_frames(track):
    first, last = (frames_of(track.param, slice(n, n + 1)) for n in (0, FRAMES - 1))
    assert isinstance(first, FlameParam)
    assert first.is_person(last)
    assert np.abs(track.param.shape).max() < 5


def test_a_head_that_is_no_flame_is_refused(tmp_path, head, fit):
    path = tmp_path / "flame.npz"
    np.savez(path, nothing=np.zeros(3))
    with pytest.raises(BadInputError, match=r"flame\.npz"):
        in_flame(path, head, fit, lambda _share, _message: None)
