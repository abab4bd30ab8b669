# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.performance import Performance
from engine.motion.rules.lip_shape import JAW
from engine.phonemes import Phone
from training.data.filmed_mouth import MouthCurve
from training.metrics.film import film_agreement, mouth_curve
from training.metrics.phone_means import OPENINGS, SpokenClip, phone_means


def posed(head, fps=25.0, frames=50, **weights):
    values = np.zeros((frames, len(head.expression_names)), np.float32)
    for name, weight in weights.items():
        values[:, head.expression_index(name)] = weight
    return Performance(fps, values, head.expression_basis, values, head.expression_names, head.id)


def wave(fps, seconds=4.0, late=0.0):
    times = np.arange(round(seconds * fps)) / fps - late
    opening = 5.0 + 3.0 * np.sin(5.3 * times) + 2.0 * np.sin(11.7 * times)
    return MouthCurve(fps, opening, 50.0 + 0.5 * opening)


def test_opening_and_width_are_those_of_the_mesh(head):
    shut, open_ = (mouth_curve(posed(head, jawOpen=jaw), head) for jaw in (0.0, 0.3))
    assert shut.opening == pytest.approx(np.zeros(50), abs=1e-6)
    assert shut.width[0] == pytest.approx(45.16, abs=0.01)
    assert open_.opening[0] == pytest.approx(0.3 * JAW, abs=0.05)
    assert open_.width[0] < shut.width[0]


def test_the_size_of_the_head_does_not_count(head):
    larger = replace(head, template=2 * head.template, expression_basis=2 * head.expression_basis)
    ours, theirs = (mouth_curve(posed(h, jawOpen=0.3), h) for h in (head, larger))
    assert theirs.opening == pytest.approx(ours.opening, rel=1e-4)
    assert theirs.width == pytest.approx(ours.width, rel=1e-4)


def test_a_head_without_eyeballs_is_refused(head):
    regions = {name: v for name, v in head.regions.items() if name != "left_eyeball"}
    with pytest.raises(BadInputError, match="left_eyeball"):
        mouth_curve(posed(head), replace(head, regions=regions))


def test_a_curve_follows_itself_at_any_frame_rate():
    found = film_agreement(wave(60.0), wave(25.0))
    assert found.seconds == 4.0
    assert found.opening.correlation > 0.995
    assert found.opening.difference < 0.1
    assert found.opening.lag_ms == 0.0
    assert found.width.correlation > 0.995


@pytest.mark.parametrize("late", [-0.12, 0.08])
def test_a_late_curve_is_late_by_as_much(late):
    found = film_agreement(wave(100.0, late=late), wave(25.0))
    assert found.opening.lag_ms == pytest.approx(1000 * late, abs=1)
    assert found.opening.correlation > 0.99


def test_the_difference_is_in_millimetres():
    ours = wave(25.0)
    wider = MouthCurve(25.0, ours.opening + 2.0, ours.width - 3.0)
    found = film_agreement(wider, ours)
    assert found.opening.difference == pytest.approx(2.0)
    assert found.width.difference == pytest.approx(3.0)


def test_frames_without_a_face_do_not_count():
    ours, film = wave(100.0), wave(25.0)
    film.opening[20:40] = film.width[20:40] = np.nan
    found = film_agreement(ours, film)
    assert found.opening.correlation > 0.99
    assert found.width.correlation > 0.99
    assert found.opening.difference < 0.2


def test_a_mouth_that_never_moves_follows_nothing():
    still = MouthCurve(25.0, np.full(100, 4.0), np.full(100, 50.0))
    found = film_agreement(still, wave(25.0))
    assert found.opening.correlation == 0.0
    assert found.opening.lag_ms == 0.0


def test_phones_are_measured_at_their_middles():
    curve = MouthCurve(100.0, np.arange(100.0), 200.0 - np.arange(100.0))
    phones = [
        Phone("SIL", 0.0, 0.1), Phone("AA", 0.1, 0.3), Phone("SIL", 0.3, 0.5),
        Phone("AA", 0.5, 0.7), Phone("SIL", 0.7, 1.0),
    ]  # fmt: skip
    vowel, pause = phone_means([SpokenClip(curve, phones)])
    assert (vowel.label, vowel.phones) == ("AA", 2)
    assert vowel.opening == pytest.approx((20 + 60) / 2)
    assert vowel.width == pytest.approx(160.0)
    assert vowel.people_opening == OPENINGS["AA"]
    assert vowel.people_width is None
    assert (pause.label, pause.phones) == ("SIL", 1)
    assert pause.opening == pytest.approx(40.0)


def test_the_film_of_a_clip_is_measured_where_its_speaker_says_the_phones():
    curve = MouthCurve(100.0, np.zeros(100), np.zeros(100))
    film = MouthCurve(50.0, np.arange(50.0), 100.0 + np.arange(50.0))
    film.opening[35:] = film.width[35:] = np.nan
    phones = [Phone("AA", 0.1, 0.3), Phone("IY", 0.3, 0.5), Phone("AA", 0.7, 0.9)]
    vowel, other = phone_means([SpokenClip(curve, phones, film, late=0.1)])
    assert (vowel.phones, vowel.filmed) == (2, 1)
    assert vowel.filmed_opening == pytest.approx(5.0)
    assert vowel.filmed_width == pytest.approx(105.0)
    assert (other.filmed, other.filmed_opening) == (1, pytest.approx(15.0))
    (alone, _) = phone_means([SpokenClip(curve, phones)])
    assert (alone.filmed, alone.filmed_opening, alone.filmed_width) == (0, None, None)


def test_a_clip_without_sounds_has_no_phones():
    curve = MouthCurve(25.0, np.zeros(25), np.zeros(25))
    assert phone_means([SpokenClip(curve, [Phone("SIL", 0.0, 1.0)])]) == ()
