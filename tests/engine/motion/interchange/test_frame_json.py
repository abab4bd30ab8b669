# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit weights as JSON with an entry for each frame: BEAT's, and those of apps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.interchange.curve_files import read_curves

BEAT_NAMES = [name for name in ARKIT_NAMES if name != "tongueOut"]


def written(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return path


def test_beat_is_read(tmp_path):
    weights = np.random.default_rng(1).random((25, 51))
    frames = [
        {"weights": row.tolist(), "time": round(0.5 + number / 60, 4), "rotation": []}
        for number, row in enumerate(weights)
    ]
    found = read_curves(written(tmp_path, {"names": BEAT_NAMES, "frames": frames}))
    assert (found.fps, found.frames) == (60.0, 25)
    columns = [COLUMN[name] for name in BEAT_NAMES]
    np.testing.assert_allclose(found.weights[:, columns], weights, atol=0.02)
    assert not found.weights[:, COLUMN["tongueOut"]].any()
    assert not found.head_rotation.any()


@pytest.mark.parametrize("scale", [1.0, 1000.0, 1e6, 1e9])
def test_irregular_times_count_in_seconds_or_smaller_parts_of_them(tmp_path, scale):
    times = np.array([0.0, 0.02, 0.05, 0.1, 0.11, 0.2, 0.2, 0.15])
    frames = [
        {"timestamp": time * scale, "blendShapes": {"JawOpen": 4 * time, "mood": 1}}
        for time in times
    ]
    found = read_curves(written(tmp_path, {"frames": frames}), fps=100.0)
    assert found.frames == 21
    np.testing.assert_allclose(
        found.weights[:, COLUMN["jawOpen"]], 4 * np.arange(21) / 100, atol=1e-6
    )


def test_frames_without_times_follow_the_rate_and_weights_are_limited(tmp_path):
    content = {"fps": 30, "frames": [{"weights": {"jawOpen": 1.5}}, {"weights": {"jawOpen": -1}}]}
    found = read_curves(written(tmp_path, content))
    assert found.fps == 30.0
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [1.0, 0.0])


@pytest.mark.parametrize(
    "weights",
    [
        {"jawOpen": 0.5, "eyeBlink_L": 0.25},
        [{"name": "JawOpen", "value": 0.5}, {"name": "face.eyeBlink_L", "value": 0.25}],
        [
            {"index": 0, "categoryName": "_neutral", "score": 1e-6, "displayName": ""},
            {"index": 1, "categoryName": "jawOpen", "score": 0.5},
            {"index": 2, "categoryName": "eyeBlinkLeft", "score": 0.25},
        ],
        {"jaw_open": 50, "eyeBlinkLeft": 25, "noseSneerRight": -1},
    ],
)
def test_weights_are_named_in_many_ways_and_may_be_percent(tmp_path, weights):
    frames = [{"time": number / 30, "blendShapes": weights} for number in range(4)]
    found = read_curves(written(tmp_path, frames))
    expected = np.zeros(52)
    expected[[COLUMN["jawOpen"], COLUMN["eyeBlinkLeft"]]] = 0.5, 0.25
    np.testing.assert_allclose(found.weights, np.tile(expected, (4, 1)))


@pytest.mark.parametrize("nothing", [None, [], [None]])
def test_frames_in_which_no_face_was_seen_are_bridged(tmp_path, nothing):
    rows = [[0.2], nothing, [0.4], [0.5]]
    content = {"fps": 30, "names": ["jawOpen"], "frames": [{"weights": row} for row in rows]}
    found = read_curves(written(tmp_path, content), fps=30.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [0.2, 0.3, 0.4, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        [{"weights": {"jawOpen": 0.5}}] * 3,
        {"numFrames": 3, "facsNames": ["jawOpen"], "weightMat": [[0.5]] * 3},
    ],
)
def test_a_file_without_times_and_rate_has_the_rate_that_is_given(tmp_path, content):
    path = written(tmp_path, content)
    with pytest.raises(BadInputError, match=r"a\.json has neither times nor 'fps'") as caught:
        read_curves(path, fps=24.0)
    assert "--timecode-rate" in caught.value.hint
    found = read_curves(path, fps=60.0, rate=30.0)
    assert (found.fps, found.frames) == (60.0, 5)


@pytest.mark.parametrize("times", [(-1e18, 0.0, 0.03, 0.06), (-1e308, 1e308, 1.1e308)])
def test_times_that_are_one_since_a_first_far_away_are_a_leap(tmp_path, times):
    frames = [{"time": time, "weights": {"jawOpen": 0.5}} for time in times]
    with pytest.raises(BadInputError, match="leap"):
        read_curves(written(tmp_path, {"frames": frames}))


@pytest.mark.parametrize(
    "content",
    [
        {"names": ["jawOpen"], "frames": []},
        {"names": ["jawOpen"], "frames": [{"weights": [0.1]}]},
        {"frames": [{"weights": [0.1], "time": 0}]},
        {"names": ["jawOpen"], "frames": [{"weights": [0.1, 0.2], "time": 0}]},
        {"names": ["jawOpen"], "frames": [{"weights": [0.1], "time": 0}, {"weights": [0.1]}]},
        {"names": ["jawOpen"], "frames": [{"weights": ["wide"], "time": 0}]},
        {"frames": [{"weights": {"jawOpen": 0}, "time": t} for t in (0, 1e12)]},
        {"names": ["smile"], "frames": [{"weights": [0.1], "time": 0}]},
        {"names": ["jawOpen"], "frames": [3]},
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_in_one_line(tmp_path, content):
    with pytest.raises(BadInputError, match=r"a\.json") as caught:
        read_curves(written(tmp_path, content))
    assert "\n" not in str(caught.value)
