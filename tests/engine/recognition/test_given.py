# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError, CancelledError
from engine.phonemes import Phone, Word
from engine.recognition.given import accept
from engine.recognition.segmentation import find_segmentation, segmentation

SAID = [("SIL", 0.0, 0.5), ("M", 0.5, 0.6), ("AH0", 0.6, 0.8), ("ʃ", 0.8, 1.0), ("p", 1.0, 1.1)]


@pytest.fixture(scope="module")
def known(sample_voice, recognized):
    """The voice with its text aligned."""
    return recognized(*sample_voice)


def test_the_phones_are_exactly_those_given_and_the_rest_silence(sample_voice):
    speech, _ = sample_voice
    found = accept(speech, segmentation(SAID, [("mush", 0.5, 1.1)]))
    assert found.phones == (
        Phone("SIL", 0.0, 0.5), Phone("M", 0.5, 0.6), Phone("AH", 0.6, 0.8), Phone("SH", 0.8, 1.0),
        Phone("P", 1.0, 1.1), Phone("SIL", 1.1, speech.duration),
    )  # fmt: skip
    assert found.words == (Word("mush", 0.5, 1.1),)
    assert not found.warnings


def test_energy_and_mel_are_those_of_recognition_with_the_same_phones(sample_voice, known):
    given_ = accept(sample_voice[0], segmentation(known.phones, known.words), language="en")
    assert given_.phones == known.phones
    np.testing.assert_array_equal(given_.mel, known.mel)
    np.testing.assert_array_equal(given_.energy, known.energy)
    assert (given_.words, given_.language) == (known.words, "en")


def test_words_without_phones_are_found_in_their_time(sample_voice, known):
    found = accept(sample_voice[0], segmentation([], known.words))
    assert [phone.label for phone in found.phones] == [phone.label for phone in known.phones]
    off = [abs(a.start - b.start) for a, b in zip(found.phones, known.phones, strict=True)]
    assert np.mean(off) < 0.01


def test_a_word_that_is_not_said_shares_its_time_among_its_sounds(sample_voice, known):
    word = next(word for word in known.words if word.text == "voice,")
    others = [p for p in known.phones if p.end <= word.start or p.start >= word.end]
    found = accept(sample_voice[0], segmentation(others, [("banana", *word[1:])]))
    said = [p for p in found.phones if word.start <= p.start < word.end and p.label != "SIL"]
    assert [phone.label for phone in said] == ["B", "AH", "N", "AE", "N", "AH"]
    assert (said[0].start, said[-1].end) == (word.start, word.end)
    lengths = [phone.end - phone.start for phone in said]
    assert lengths[1] == pytest.approx(1.5 * lengths[0], abs=2e-3)
    before = [p for p in others if p.label != "SIL"]
    assert [p for p in found.phones if p.label != "SIL" and p not in said] == before


@pytest.mark.parametrize(
    ("word", "sounds"), [("привет", "P D IY V EH T"), ("10:30", "T EH N"), ("你好", "N")]
)
def test_words_are_pronounced_by_the_rules_of_their_language(sample_voice, word, sounds):
    found = accept(sample_voice[0], segmentation([], [(word, 1.0, 3.0)]))
    labels = [phone.label for phone in found.phones if phone.label != "SIL"]
    assert " ".join(labels).startswith(sounds)


def test_what_cannot_be_said_is_left_silent_with_a_warning(sample_voice):
    found = accept(sample_voice[0], segmentation(SAID, [("<unk>", 2.0, 2.5)]))
    assert any("“<unk>”" in warning for warning in found.warnings)
    assert found.phones[-1].label == "SIL"


@pytest.mark.parametrize(
    ("phones", "words", "named"),
    [
        ([("M", 0.5, 0.4)], [], r"phone 'M' at 0\.5 s ends at 0\.4"),
        ([("M", 0.5, 0.5)], [], "'M'"),
        ([("M", 0.5, 0.7), ("AH", 0.6, 0.8)], [], r"'M' and 'AH' overlap at 0\.6 s"),
        ([("M", 0.5, 0.7), ("AH", 0.1, 0.2)], [], r"'M' and 'AH' overlap"),
        ([("x1", 0.5, 0.7)], [], "no phone 'x1'"),
        ([("bat", 0.5, 0.7), ("@", 0.7, 0.8)], [], "no phone '@'"),
        ([("M", float("nan"), 0.7)], [], "time of the phone 'M'"),
        ([("M", 0.0, 7.0)], [], r"ends at 7 s, but the recording lasts 5\.8"),
        ([("M", -2.0, 0.3)], [], "begins 2 s before"),
        ([], [("a", 0.0, 0.2), ("b", 0.1, 0.3)], "words 'a' and 'b' overlap"),
        ([], [("a", 5.0, 9.0)], "ends at 9 s"),
    ],
)
def test_what_does_not_fit_is_named(sample_voice, phones, words, named):
    with pytest.raises(BadInputError, match=named) as caught:
        accept(sample_voice[0], segmentation(phones, words))
    assert caught.value.hint


def test_an_unknown_language_is_named(sample_voice):
    with pytest.raises(BadInputError, match="klingon"):
        accept(sample_voice[0], segmentation(SAID), language="klingon")


def test_it_can_be_cancelled(sample_voice):
    def cancel(_fraction, _message):
        raise CancelledError

    with pytest.raises(CancelledError):
        accept(sample_voice[0], segmentation(SAID), cancel)


def test_a_stretch_is_in_its_own_time_and_cuts_what_reaches_beyond():
    whole = segmentation(SAID, [("hm", 0.0, 0.75), ("shp", 0.8, 1.1)])
    part = whole.stretch(0.7, 0.35)
    assert [p.label for p in part.phones] == ["AH", "SH", "P"]
    np.testing.assert_allclose(
        [p[1:] for p in part.phones], [(0, 0.1), (0.1, 0.3), (0.3, 0.35)], atol=1e-9
    )
    # "hm" has nearly passed.
    assert [word.text for word in part.words] == ["shp"]


@given(
    st.lists(st.floats(0, 6), min_size=2, max_size=20, unique=True),
    st.floats(0, 5),
    st.floats(0.2, 3),
)
@settings(deadline=None)
def test_a_stretch_is_always_of_its_clip(times, start, duration):
    edges = sorted(times)
    phones = [("M", a, b) for a, b in pairwise(edges) if b - a > 1e-3]
    part = segmentation(phones).stretch(start, duration)
    part.check_within(duration)
    segmentation(part.phones)


def test_the_alignment_beside_a_recording_is_found_by_its_name(tmp_path):
    assert find_segmentation(tmp_path, "a") == tmp_path / "a.phones.json"
    (tmp_path / "a.textgrid").touch()
    assert find_segmentation(tmp_path, "a") == tmp_path / "a.textgrid"
    (tmp_path / "a.phones.json").touch()
    assert find_segmentation(tmp_path, "a") == tmp_path / "a.phones.json"
