# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.core.timing import frame_count
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides, to_head_weights
from engine.motion.lip_contact import fit_mouth_close
from engine.motion.retargeting import arkit_gap
from engine.motion.style import Style
from engine.phonemes import BILABIALS, ENGLISH, FOREIGN, LABIODENTALS, OPEN_VOWELS, Phone
from tests.engine.motion.known_phones import articulated, contacts_of

FPS = st.sampled_from([12.0, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 60.0, 120.0])
SOUNDS = sorted(ENGLISH | FOREIGN)
LABELS = [*SOUNDS, "SIL"]
SEQUENCE = st.lists(
    st.tuples(st.sampled_from(LABELS), st.floats(0.02, 0.4)), min_size=1, max_size=25
)


def timed(sequence, start=0.0):
    result = []
    for label, length in sequence:
        result.append(Phone(label, start, start + length))
        start += length
    return result


def said(*labels, length=0.1, silence=0.4):
    return timed([("SIL", silence), *((label, length) for label in labels), ("SIL", silence)])


def curve(curves, name):
    return curves[:, COLUMN[sides(name)[0]]]


def landmark(head, curves, name):
    """(T, P, 3) millimetres."""
    points = head.landmarks[name]
    moved = np.tensordot(
        to_head_weights(curves, head.expression_names), head.expression_basis[:, points], 1
    )
    return (head.template[points] + moved) * 1000.0


def gap(head, curves):
    upper = landmark(head, curves, "inner_lip_upper")
    lower = landmark(head, curves, "inner_lip_lower")
    return (upper - lower)[:, :, 1].max(axis=1)


def width(head, curves):
    right, left = landmark(head, curves, "mouth_corners").swapaxes(0, 1)
    return np.linalg.norm(left - right, axis=1)


@given(SEQUENCE, FPS, st.integers(0, 2**31))
@settings(deadline=None)
def test_curves_are_bounded_finite_and_of_the_right_shape(sequence, fps, seed):
    phones = timed(sequence)
    frames = frame_count(phones[-1].end, fps)
    level = np.random.default_rng(seed).normal(-30, 20, round(phones[-1].end * 100))
    curves = articulated(phones, frames, fps, loudness=level)
    assert curves.shape == (frames, len(ARKIT_NAMES))
    assert curves.dtype == np.float32
    assert np.isfinite(curves).all()
    assert curves.min() >= 0
    assert curves.max() <= 1


@given(SEQUENCE, FPS)
@settings(deadline=None)
def test_the_same_speech_gives_the_same_curves(sequence, fps):
    phones = timed(sequence)
    frames = frame_count(phones[-1].end, fps)
    assert np.array_equal(articulated(phones, frames, fps), articulated(phones, frames, fps))


@given(SEQUENCE, st.sampled_from([24.0, 25.0, 30.0, 60.0]), st.integers(1, 40))
@settings(deadline=None)
def test_speech_that_starts_later_moves_the_same_but_later(sequence, fps, shift):
    quiet = 1.0
    phones = timed([("SIL", quiet), *sequence, ("SIL", quiet)])
    frames = frame_count(phones[-1].end, fps)
    later = [Phone("SIL", 0, quiet + shift / fps)]
    later += [Phone(p.label, p.start + shift / fps, p.end + shift / fps) for p in phones[1:]]
    early = articulated(phones, frames, fps)
    moved = articulated(later, frames + shift, fps)
    assert np.abs(moved[shift:] - early).max() < 1e-3


@given(
    st.sampled_from(["P", "B", "M"]),
    st.sampled_from(["AA", "AE", "IY", "UW", "OW", "S", "SH", "W", "T", "SIL"]),
    st.sampled_from(["AA", "AE", "IY", "UW", "OW", "S", "SH", "W", "T", "SIL"]),
    st.floats(0.03, 0.2),
    st.floats(0, 0.1),
    FPS,
)
@settings(deadline=None)
def test_every_bilabial_shuts_the_lips_in_a_frame(head, label, before, after, length, phase, fps):
    start = 0.5 + phase
    phones = [
        Phone("SIL", 0, 0.3), Phone(before, 0.3, start), Phone(label, start, start + length),
        Phone(after, start + length, start + length + 0.2),
    ]  # fmt: skip
    curves = articulated(phones, frame_count(phones[-1].end, fps), fps)
    times = np.arange(len(curves)) / fps
    near = (times >= start - 0.04) & (times <= start + length + 0.04)
    assert gap(head, curves)[near].min() < 0.3


@pytest.mark.parametrize("label", ["P", "B", "M"])
def test_shut_lips_hardly_pass_through_each_other(head, label):
    for neighbour in ("AA", "IY", "UW", "S"):
        phones = said(neighbour, label, neighbour)
        curves = articulated(phones, 110, 100.0)
        closure = contacts_of(phones, 110, 100.0).closure
        curves = fit_mouth_close(curves, arkit_gap(head), closure)
        upper = landmark(head, curves, "inner_lip_upper")
        lower = landmark(head, curves, "inner_lip_lower")
        assert (lower - upper)[:, :, 1].max() < 1.0
        assert gap(head, curves)[50:60].min() < 0.05


@pytest.mark.parametrize("vowel", ["AA", "AE", "AH", "AO", "AW", "AY"])
def test_open_vowels_open_between_closures(head, vowel):
    curves = articulated(said("M", vowel, "M", vowel, "B", length=0.08), 120, 100.0)
    assert gap(head, curves)[52] > 3.0


@pytest.mark.parametrize("label", ["F", "V"])
@given(fps=FPS, length=st.floats(0.03, 0.15))
@settings(deadline=None)
def test_labiodentals_tuck_the_lower_lip_under_the_upper_teeth(head, label, fps, length):
    phones = timed([("SIL", 0.3), ("AA", 0.15), (label, length), ("AA", 0.2)])
    curves = articulated(phones, frame_count(phones[-1].end, fps), fps)
    assert curve(curves, "mouthRollLower").max() > 0.8
    frame = int(curve(curves, "mouthRollLower").argmax())
    lip = landmark(head, curves, "inner_lip_lower")
    teeth = landmark(head, curves, "upper_teeth_edge")
    apart = np.linalg.norm(lip[:, lip.shape[1] // 2] - teeth[:, teeth.shape[1] // 2], axis=1)
    assert apart[frame] < 0.55 * apart[0]


def test_rounded_sounds_are_narrower_than_spread_ones(head):
    def at_middle(label):
        return width(head, articulated(said("T", label, "T"), 110, 100.0))[55]

    for rounded in ("W", "UW"):
        for spread in ("IY", "EH"):
            assert at_middle(rounded) < at_middle(spread) - 6.0


def test_rounding_starts_before_its_sound():
    curves = articulated(said("S", "T", "UW"), 110, 100.0)
    vowel = 60
    assert curve(curves, "mouthPucker")[vowel - 5] > 0.1


def test_the_jaw_is_nearly_shut_in_a_sibilant_between_open_vowels():
    jaw = curve(articulated(said("AA", "S", "AA"), 110, 100.0), "jawOpen")
    assert jaw[55] < 0.4 * jaw[45]


@pytest.mark.parametrize("fps", [12.0, 24.0, 25.0, 60.0, 120.0])
@pytest.mark.parametrize("silence", [0.75, 1.0, 3.0])
def test_long_silence_rests_neutral(fps, silence):
    phones = timed([("SIL", 0.3), ("AA", 0.3), ("SIL", silence), ("AO", 0.3), ("SIL", 0.3)])
    curves = articulated(phones, frame_count(phones[-1].end, fps), fps)
    times = np.arange(len(curves)) / fps
    inside = (times > 0.6) & (times < 0.6 + silence)
    assert curves[inside].max(axis=1).min() < 1e-6


@pytest.mark.parametrize("silence", [0.05, 0.1, 0.3])
def test_a_clip_that_begins_silent_begins_nearly_shut_and_ends_so(head, silence):
    phones = timed([("SIL", silence), ("T", 0.1), ("AA", 0.2), ("T", 0.1), ("SIL", silence + 0.1)])
    opening = gap(head, articulated(phones, frame_count(phones[-1].end, 50.0), 50.0))
    assert opening[0] < 0.3 * opening.max()
    assert opening[-1] < 0.1 * opening.max()


@pytest.mark.parametrize("silence", [0.07, 0.15, 0.25, 0.35, 0.49])
def test_a_short_pause_leaves_the_mouth_half_open(head, silence):
    # People do not close for a breath: 7.6 mm on average in pauses (docs/lip-sync.md).
    phones = timed([("SIL", 0.3), ("AA", 0.2), ("SIL", silence), ("AA", 0.2), ("SIL", 0.3)])
    opening = gap(head, articulated(phones, frame_count(phones[-1].end, 100.0), 100.0))
    assert 6.0 < opening[round(100 * (0.5 + silence / 2))] < opening[40]


def test_the_mouth_opens_for_the_breath_and_waits_for_the_sound(head):
    phones = timed([("SIL", 1.2), ("AA", 0.2), ("SIL", 1.2), ("T", 0.1), ("AA", 0.2), ("SIL", 1.0)])
    opening = gap(head, articulated(phones, frame_count(phones[-1].end, 100.0), 100.0))
    for sound in (120, 260):
        assert opening[sound - 38] < 0.3
        waiting = opening[sound - 15 : sound - 5]
        assert waiting.min() > 7.0
        assert np.ptp(waiting) < 1.0


def test_lips_do_not_part_between_silence_and_a_bilabial(head):
    opening = gap(head, articulated(said("M", "AA", "M"), 110, 100.0))
    assert opening[:44].max() < 0.3
    assert opening[70:].max() < 0.3


@given(SEQUENCE)
@settings(deadline=None)
def test_curves_do_not_pop(sequence):
    phones = timed([("SIL", 0.3), *((label, max(0.05, d)) for label, d in sequence), ("SIL", 0.3)])
    fps = 480.0
    curves = articulated(phones, round(phones[-1].end * fps), fps)
    # A movement by 1 in its shortest ramp of 20 ms has acceleration 5.8 / 0.02² at most.
    assert np.abs(np.diff(curves, n=2, axis=0)).max() * fps**2 < 5.8 / 0.02**2
    assert np.abs(np.diff(curves, axis=0)).max() < 0.25


def test_loud_vowels_open_further_than_soft_ones():
    phones = said("AA", "T", "AA", "T", "AA", length=0.15)
    level = np.full(160, -40.0)
    level[40:55] = -22.0
    jaw = curve(articulated(phones, 155, 100.0, loudness=level), "jawOpen")
    even = curve(articulated(phones, 155, 100.0), "jawOpen")
    assert jaw[47] > 1.1 * jaw[107]
    assert jaw[47] > even[47]


def test_a_part_opens_as_in_the_whole_though_the_rest_is_louder():
    rng = np.random.default_rng(7)
    phones = [
        Phone(label, start, start + 0.1)
        for start in np.arange(0, 30, 0.2)
        for label, start in (("AA", float(start)), ("T", float(start) + 0.1))
    ]
    level = np.repeat(rng.normal(-40, 4, 300), 10)
    level[1500:] += 25
    whole = articulated(phones, 3000, 100.0, loudness=level)
    part = articulated([p for p in phones if p.start < 12], 1200, 100.0, loudness=level[:1200])
    np.testing.assert_allclose(part[:800], whole[:800], atol=1e-6)


def test_silent_loudness_is_no_trouble():
    phones = said("AA", "M", "AA")
    for level in (np.array([]), np.full(5, -np.inf), np.full(110, np.nan)):
        assert np.isfinite(articulated(phones, 110, 100.0, loudness=level)).all()


def test_without_phones_the_mouth_rests():
    assert not articulated([], 50, 25.0).any()


def test_a_mouth_without_jaw_still_rounds():
    curves = articulated(said("UW", "AA"), 100, 100.0, style=Style(jaw=0))
    assert curve(curves, "jawOpen").max() == 0
    assert curve(curves, "mouthPucker").max() > 0.3


@given(st.floats(0, 3), st.floats(0, 3), st.floats(0.2, 3), st.floats(0, 3))
@settings(deadline=None)
def test_lips_shut_whatever_the_speaker(head, jaw, lips, anticipation, press):
    speaker = Style(jaw=jaw, lips=lips, anticipation=anticipation, press=press)
    curves = articulated(said("AA", "B", "AA"), 110, 100.0, style=speaker)
    assert gap(head, curves)[50:60].min() < 0.8


@given(st.floats(0, 3), st.floats(0, 3))
@settings(deadline=None)
def test_the_lip_reaches_the_teeth_whatever_the_speaker(head, jaw, lips):
    phones = said("AO", "F", "IY")
    curves = articulated(phones, 110, 100.0, style=Style(jaw=jaw, lips=lips))
    plain = articulated(phones, 110, 100.0)
    theirs, ours = (landmark(head, made, "inner_lip_lower")[55, 6] for made in (curves, plain))
    assert np.linalg.norm(theirs - ours) < 0.8


@pytest.mark.parametrize("bad", [{"jaw": -0.1}, {"lips": 4}, {"anticipation": 0}])
def test_impossible_speakers_are_refused(bad):
    with pytest.raises(BadInputError, match=next(iter(bad))):
        Style(**bad)


def test_memory_and_work_are_linear_in_time():
    unit = [("M", 0.08), ("AA", 0.12), ("F", 0.07), ("IY", 0.1), ("SIL", 0.2)]
    phones = timed(unit * 400)
    curves = articulated(phones, frame_count(phones[-1].end, 25.0), 25.0)
    short = articulated(timed(unit * 4), frame_count(phones[19].end, 25.0), 25.0)
    assert np.abs(curves[25:40] - short[25:40]).max() < 1e-6


@given(
    st.lists(st.tuples(st.sampled_from(SOUNDS), st.floats(0.06, 0.2)), min_size=1, max_size=20),
    st.sampled_from([24.0, 25.0, 30.0, 60.0]),
)
@settings(deadline=None)
def test_every_sound_of_any_sequence_does_what_it_must(head, sequence, fps):
    phones = timed([("SIL", 0.3), *sequence, ("SIL", 0.3)])
    curves = articulated(phones, frame_count(phones[-1].end, fps), fps)
    opening, tuck = gap(head, curves), curve(curves, "mouthRollLower")
    times = np.arange(len(curves)) / fps
    for phone in phones:
        near = (times >= phone.start - 0.04) & (times <= phone.end + 0.04)
        if phone.label in BILABIALS:
            assert opening[near].min() < 0.3
        if phone.label in LABIODENTALS:
            assert tuck[near].max() > 0.75
        if phone.label in OPEN_VOWELS:
            assert np.interp((phone.start + phone.end) / 2, times, opening) > 0.8
