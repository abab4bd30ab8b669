# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import COLUMN
from engine.motion.interchange.arkit_json import read_arkit_json, write_arkit_json
from engine.motion.interchange.face_curves import FaceCurves


def curves(rotation):
    rng = np.random.default_rng(1)
    turned = rng.uniform(-0.3, 0.3, (9, 3)) if rotation else np.zeros((9, 3))
    return FaceCurves(25.0, rng.random((9, 52), np.float32), turned.astype(np.float32))


@pytest.mark.parametrize("rotation", [True, False])
def test_what_was_written_is_read_the_same(tmp_path, rotation):
    made = curves(rotation)
    write_arkit_json(made, tmp_path / "a.json")
    found = read_arkit_json(tmp_path / "a.json")
    assert found.fps == 25.0
    np.testing.assert_allclose(found.weights, made.weights, atol=1e-6)
    np.testing.assert_allclose(found.head_rotation, made.head_rotation, atol=1e-6)


def test_the_names_are_audio2faces(tmp_path):
    write_arkit_json(curves(rotation=False), tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert content.keys() == {"exportFps", "numPoses", "numFrames", "facsNames", "weightMat"}
    assert (content["numPoses"], content["numFrames"], content["exportFps"]) == (52, 9, 25.0)


def test_another_rate_is_resampled_and_other_poses_are_left_out(tmp_path):
    content = {
        "exportFps": 60,
        "trackPath": "speech.wav",
        "numPoses": 2,
        "numFrames": 7,
        "facsNames": ["JawOpen", "tongueTipUp"],
        "weightMat": [[frame / 10, 1.0] for frame in range(7)],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = read_arkit_json(tmp_path / "a.json", fps=30.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [0, 0.2, 0.4, 0.6], atol=1e-6)
    assert np.count_nonzero(found.weights) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"exportFps": 0},
        {"exportFps": "25"},
        {"facsNames": ["smile"]},
        {"numFrames": 3},
        {"weightMat": [[0.1], [float(10**39)]]},
        {"weightMat": [[0.1], ["wide"]]},
        {"headRotation": [[0, 0, 0]]},
    ],
)
def test_a_damaged_file_is_named(tmp_path, change):
    content = {"exportFps": 25, "numFrames": 2, "facsNames": ["jawOpen"], "weightMat": [[0], [1]]}
    (tmp_path / "a.json").write_text(json.dumps(content | change))
    with pytest.raises(BadInputError, match=r"a\.json"):
        read_arkit_json(tmp_path / "a.json")
