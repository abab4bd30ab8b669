# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import numpy as np
import pytest

from engine.core.errors import BadInputError
from training.data.filmed_mouth import load_filmed_mouth

FRAMES = 50


def film(**changed):
    return {
        "fps": 25,
        "text": "Hm.",
        "opening_mm": [3.0] * FRAMES,
        "width_mm": [50.0] * FRAMES,
        "nose_to_chin_mm": [80.0] * FRAMES,
    } | changed


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "clip.mouth.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_filmed_mouth_comes_back(written):
    filmed = load_filmed_mouth(written(film(opening_mm=list(range(FRAMES)))))
    assert filmed.text == "Hm."
    assert np.array_equal(filmed.curve.opening, np.arange(FRAMES))
    assert filmed.curve.width.max() == 50.0
    assert filmed.curve.times[-1] == pytest.approx((FRAMES - 1) / 25)


def test_a_film_may_lack_its_text(written):
    content = film()
    del content["text"]
    assert load_filmed_mouth(written(content)).text == ""


def test_frames_without_a_face_are_unknown(written):
    openings = [None, None, *range(FRAMES)]
    widths = [50.0] * (FRAMES + 1) + [None]
    curve = load_filmed_mouth(written(film(opening_mm=openings, width_mm=widths))).curve
    for values in (curve.opening, curve.width):
        assert np.flatnonzero(np.isnan(values)).tolist() == [0, 1, FRAMES + 1]
    with pytest.raises(BadInputError, match="less than 1 s"):
        load_filmed_mouth(written(film(opening_mm=[3.0] * 24 + [None] * (FRAMES - 24))))


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        "{}",
        film(fps=0),
        film(fps="25"),
        film(opening_mm=3.0),
        film(opening_mm=[]),
        film(opening_mm=["a"] * FRAMES),
        film(opening_mm=[None] * FRAMES),
        film(opening_mm=[-1.0] * FRAMES),
        film(width_mm=[50.0] * (FRAMES - 1)),
        film(width_mm=[5e3] * FRAMES),
        film(opening_mm=[1.0] * 20, width_mm=[50.0] * 20),
        film(text=3),
    ],
)
def test_what_is_no_filmed_mouth_is_named(written, content):
    with pytest.raises(BadInputError, match=r"clip\.mouth\.json"):
        load_filmed_mouth(written(content))
