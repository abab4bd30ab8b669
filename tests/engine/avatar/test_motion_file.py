# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest

from engine.avatar.motion_file import read_motion
from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.interchange.curve_files import write_curves
from engine.motion.interchange.face_curves import FaceCurves, curves_of
from engine.motion.performance import Performance
from engine.phonemes import Phone


@pytest.fixture(scope="module")
def default_head():
    return load_head("default")


def performance_of(head, expression, **about):
    return Performance(
        25.0, expression, head.expression_basis, expression, head.expression_names, head.id, **about
    )


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_curves_move_the_default_head(default_head, tmp_path, suffix):
    random = np.random.default_rng(0)
    weights = random.random((30, 52), np.float32)
    turned = random.uniform(-0.2, 0.2, (30, 3)).astype(np.float32)
    write_curves(FaceCurves(60.0, weights, turned), tmp_path / f"a{suffix}")
    found = read_motion(tmp_path / f"a{suffix}", default_head, "default")
    assert (found.fps, found.head) == (60.0, "default")
    assert found.expression_names == default_head.expression_names
    again = curves_of(found)
    np.testing.assert_allclose(again.weights, weights, atol=1e-5)
    np.testing.assert_allclose(again.head_rotation, turned, atol=1e-5)


def test_curves_are_put_at_the_frames_that_are_wanted(default_head, tmp_path):
    weights = np.zeros((61, 52), np.float32)
    weights[:, COLUMN["jawOpen"]] = np.linspace(0, 1, 61)
    write_curves(FaceCurves(60.0, weights, np.zeros((61, 3), np.float32)), tmp_path / "a.csv")
    found = read_motion(tmp_path / "a.csv", default_head, "default", 24.0)
    assert (found.fps, found.frames) == (24.0, 25)
    jaw = found.expression[:, default_head.expression_index("jawOpen")]
    np.testing.assert_allclose(jaw, np.linspace(0, 1, 25), atol=1e-5)


def test_a_performance_of_the_head_is_read_as_it_is(default_head, tmp_path):
    random = np.random.default_rng(0)
    made = performance_of(default_head, random.random((4, len(ARKIT_NAMES)), np.float32))
    made.save(tmp_path / "a.performance.npz")
    found = read_motion(tmp_path / "a.performance.npz", default_head, "default", 60.0)
    np.testing.assert_array_equal(found.weights, made.weights)
    assert found.fps == 25.0


def test_arkit_weights_of_another_head_come_with_what_is_said(default_head, tmp_path):
    other = dataclasses.replace(default_head, id="other")
    phones = (Phone("AA", 0.0, 0.1),)
    weights = np.random.default_rng(0).random((4, len(ARKIT_NAMES)), np.float32)
    performance_of(other, weights, phones=phones, language="en").save(tmp_path / "a.npz")
    found = read_motion(tmp_path / "a.npz", default_head, "default")
    np.testing.assert_array_equal(found.weights, weights)
    assert (found.head, found.phones, found.language) == ("default", phones, "en")


def test_motion_of_a_head_without_arkit_weights_stays_on_that_head(default_head, tmp_path):
    names = tuple(f"expr_{number:03d}" for number in range(len(ARKIT_NAMES)))
    foreign = dataclasses.replace(default_head, id="flame-0", expression_names=names)
    performance_of(foreign, np.zeros((2, len(names)), np.float32)).save(tmp_path / "a.npz")
    with pytest.raises(BadInputError, match="was made for the head 'flame-0'"):
        read_motion(tmp_path / "a.npz", default_head, "default")


@pytest.mark.parametrize("name", ["a.bvh", "missing.npz", "missing.csv", "missing.json"])
def test_a_file_of_no_kind_is_named(default_head, tmp_path, name):
    (tmp_path / "a.bvh").write_text("x")
    with pytest.raises(BadInputError, match=name):
        read_motion(tmp_path / name, default_head, "default")
